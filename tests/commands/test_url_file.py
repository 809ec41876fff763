# SPDX-License-Identifier: Apache-2.0
"""A database's URL out of a file, as secrets are mounted: read when it is one, never shown."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ledger.__main__ import main
from tests.commands.outcomes import checked_sizes, done, refused
from tests.ledgers import Ledger
from tests.running import run_ledger

SECRET = "tRicky-Secret"

# What a file may hold that is no URL of a database, and words of the answer.
NO_URLS = {
    "nothing": (b"", "0 lines"),
    "an empty line": (b"\n", "does not hold a URL"),
    "two lines": (f"postgresql://{SECRET}@db/a\npostgresql://{SECRET}@db/b\n".encode(), "2 lines"),
    "the password alone": (f"{SECRET}\n".encode(), "does not hold a URL"),
    "settings of libpq": (f"host=db password={SECRET}\n".encode(), "does not hold a URL"),
    "another kind": (f"mysql://u:{SECRET}@db/ledger".encode(), "does not hold a URL"),
    "a blank in the password": (f"postgresql://u:a {SECRET}@db/ledger".encode(), "percent-encoded"),
    "a per cent sign": (f"postgresql://u:%{SECRET}@db/ledger".encode(), "percent-encoded"),
    "an at sign": (f"postgresql://u:a@{SECRET}@db/ledger".encode(), "percent-encoded"),
    "a slash": (f"postgresql://u:a/{SECRET}@db/ledger".encode(), "percent-encoded"),
    "a slash after digits": (f"postgresql://u:12/{SECRET}@db/ledger".encode(), "percent-encoded"),
    "no text": (b"postgresql://u:\xff\x00@db/" + SECRET.encode(), "does not hold a URL"),
    "too much": (b"postgresql://u:" + SECRET.encode() * 1000 + b"@db/ledger", "over 4096 bytes"),
}

URLS = (
    "postgresql://db/ledger",
    "postgres://ledger:a%20b:c@db:5432/ledger?sslmode=require",
    "postgresql://ledger@one:5432,two:5433/ledger?target_session_attrs=primary",
    "postgresql://ledger@[::1]:5432/ledger",
    "postgresql://%2Frun%2Fpostgresql/ledger",
    "postgresql://postgres@/postgres?host=/run/postgresql&port=5432",
)


def _check(*arguments: str, **variables: str) -> Result:
    empty = {name: None for name in ("LEDGER_DATABASE_URL", "LEDGER_DATABASE_URL_FILE", "LEDGER_KEYSTORE_URL_FILE")}
    return CliRunner().invoke(main, ["check", *arguments], env=empty | variables)


def _refusal(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("ledger: ")
    assert SECRET not in result.output
    return result.stderr


@pytest.mark.parametrize("name", NO_URLS)
@pytest.mark.parametrize("variable", ["LEDGER_DATABASE_URL_FILE", "LEDGER_KEYSTORE_URL_FILE"])
def test_file_without_a_url_is_refused_and_not_shown(tmp_path: Path, variable: str, name: str) -> None:
    content, words = NO_URLS[name]
    file = tmp_path / "url"
    file.write_bytes(content)
    said = _refusal(_check(**{variable: str(file), "LEDGER_DATA": str(tmp_path / "data")}))
    assert words in said and str(file) in said


@pytest.mark.parametrize(("name", "words"), [("missing", "No such file"), ("", "Is a directory")])
def test_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, words: str) -> None:
    assert words in _refusal(_check(LEDGER_DATABASE_URL_FILE=str(tmp_path / name)))


# How a URL and its file are given, and how the answer calls them.
BOTH = [
    ((), ("LEDGER_DATABASE_URL", "LEDGER_DATABASE_URL_FILE")),
    (("--database-url",), ("--database-url", "LEDGER_DATABASE_URL_FILE")),
    (("--database-url-file",), ("LEDGER_DATABASE_URL", "--database-url-file")),
    (("--database-url", "--database-url-file"), ("--database-url", "--database-url-file")),
]


@pytest.mark.parametrize(("flags", "names"), BOTH)
def test_both_forms_are_refused_and_called_what_they_were_given_as(
    tmp_path: Path, flags: tuple[str, ...], names: tuple[str, str]
) -> None:
    """None wins: whoever forgot a variable would work on another database than the one that he named."""
    file = tmp_path / "url"
    file.write_text(f"postgresql://{SECRET}@db/a\n")
    given = {"--database-url": f"postgresql://{SECRET}@db/b", "--database-url-file": str(file)}
    told = {f"LEDGER_{flag[2:].replace('-', '_').upper()}": value for flag, value in given.items() if flag not in flags}
    said = _refusal(_check(*(word for flag in flags for word in (flag, given[flag])), **told))
    assert f"{names[0]} and {names[1]} are both given" in said and "leave one of them out" in said


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("end", ["", "\n"])
def test_url_of_every_form_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, end: str) -> None:
    seen: list[str | None] = []
    monkeypatch.setattr("ledger.log.store.postgres.PostgresStore", lambda url, **_: seen.append(url) or 1 / 0)
    file = tmp_path / "url"
    file.write_text(url + end)
    _check(LEDGER_DATABASE_URL_FILE=str(file))
    assert seen == [url]


@pytest.mark.only_on("postgres", why="it is the URL of a database")
def test_ledger_is_found_by_files(fresh_ledger: Ledger, tmp_path: Path) -> None:
    place, _ = fresh_ledger
    file = tmp_path / "url"
    file.write_text(f"{place.database_url}\n")
    where = ("--data", str(place.data), "--guard", str(place.guard))
    assert checked_sizes(done(run_ledger("check", *where, "--database-url-file", str(file)))) == [3, 3]
    # That database holds a log and no data keys.
    command = ("check", *where, "--database-url-file", str(file), "--keystore-url-file", str(file))
    refused(run_ledger(*command), "without a keystore")
