# SPDX-License-Identifier: Apache-2.0
"""What the commands share at the terminal: flags that are also environment variables, refusals, progress."""

import functools
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast

import click
import structlog
from click.core import ParameterSource

from ledger.log.errors import ConfigurationError, LedgerError
from ledger.settings import Settings

ENVIRONMENT_PREFIX = "LEDGER_"
MAX_URL_BYTES = 4096

_WORD = r"(?:[^\s\x00-\x1f\ufffd%/@]|%[0-9A-Fa-f]{2})*"
_HOST = r"(?:(?:[^\s%/@?:,\[\]]|%[0-9A-Fa-f]{2})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
# What libpq takes for one. Of anything else it quotes the part that it cannot read, perhaps some of the password.
_DATABASE_URL = re.compile(
    rf"postgres(?:ql)?://(?:{_WORD}@)?{_HOST}(?:,{_HOST})*(?:/{_WORD})?(?:\?(?:[^\s%]|%[0-9A-Fa-f]{{2}})*)?"
)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def option(flag: str, *names: str, **attributes: Any) -> Callable[[_Function], _Function]:
    """A flag that can also be set in the environment: `--root-interval` is `LEDGER_ROOT_INTERVAL`."""
    return click.option(flag, *names, envvar=_variable(flag), show_envvar=True, show_default=True, **attributes)


def _variable(flag: str) -> str:
    return ENVIRONMENT_PREFIX + flag.lstrip("-").split("/")[0].replace("-", "_").upper()


def _given_as(flag: str) -> str:
    """What the user knows a flag by that has a value: the flag, or its variable."""
    source = click.get_current_context().get_parameter_source(flag.lstrip("-").replace("-", "_"))
    return _variable(flag) if source is ParameterSource.ENVIRONMENT else flag


def _state_directory() -> Path | None:
    """Where a program keeps what must outlive its data (XDG Base Directory Specification); None without a home."""
    state = os.environ.get("XDG_STATE_HOME")
    try:
        # The specification wants relative values ignored.
        parent = Path(state) if state and os.path.isabs(state) else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return parent / "decision-ledger"


guard_option = click.option(
    "--guard",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="LEDGER_GUARD",
    show_envvar=True,
    default=_state_directory,
    show_default="~/.local/state/decision-ledger",
    help="directory of the rollback guard, apart from the data",
)


def data_option(function: _Function) -> _Function:
    """Where the ledger is and what opens it: the command gets a `settings` argument."""

    @option("--data", type=click.Path(path_type=Path, file_okay=False), default="ledger-data", help="data directory")
    @option("--database-url", help="PostgreSQL database with the log, e.g. postgresql://ledger@db/ledger")
    @option("--database-url-file", type=click.Path(path_type=Path), help="file with that URL instead, e.g. a secret")
    @option("--keystore-url", help="PostgreSQL database with the data keys, apart from the log's")
    @option("--keystore-url-file", type=click.Path(path_type=Path), help="file with that URL instead")
    @option(
        "--exports", type=click.Path(path_type=Path), help="directory of exports until fetched, instead of in --data"
    )
    @option("--master-key-file", type=click.Path(path_type=Path), help="file with the master key, instead of in --data")
    @guard_option
    @click.option("--master-key", envvar="LEDGER_MASTER_KEY", hidden=True)
    @refusals
    @functools.wraps(function)
    def wrapped(
        data: Path,
        database_url: str | None,
        database_url_file: Path | None,
        keystore_url: str | None,
        keystore_url_file: Path | None,
        exports: Path | None,
        master_key_file: Path | None,
        guard: Path | None,
        master_key: str | None,
        **arguments: Any,
    ) -> Any:
        settings = Settings(
            data=data,
            database_url=_url("--database-url", database_url, database_url_file),
            keystore_url=_url("--keystore-url", keystore_url, keystore_url_file),
            exports=exports,
            master_key=master_key,
            master_key_path=master_key_file,
            guard=guard,
        )
        return function(settings=settings, **arguments)

    return wrapped  # type: ignore[return-value]


def _url(flag: str, url: str | None, path: Path | None) -> str | None:
    """A database's URL as given, or out of a file. Raises ConfigurationError, which never shows what the file holds."""
    if path is None:
        return url or None
    if url:
        # That a flag wins over a variable is no rule for two of them: a forgotten one would name another database.
        raise ConfigurationError(
            f"{_given_as(flag)} and {_given_as(f'{flag}-file')} are both given, and could name two databases: leave "
            "one of them out"
        )
    try:
        with path.open("rb") as file:
            content = file.read(MAX_URL_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{flag}-file {path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_URL_BYTES or len(content.splitlines()) != 1:
        lines = f"{len(content.splitlines())} lines" if len(content) <= MAX_URL_BYTES else f"over {MAX_URL_BYTES} bytes"
        raise ConfigurationError(f"{flag}-file {path} has {lines}: want one line, postgresql://user:password@host/name")
    read = content.decode(errors="replace").strip()
    if not _DATABASE_URL.fullmatch(read):
        raise ConfigurationError(
            f"{flag}-file {path} does not hold a URL: want postgresql://user:password@host/name, with every special "
            "character of the password percent-encoded"
        )
    return read


def refusals(function: _Function) -> _Function:
    """Turn the errors a user can cause into one line on stderr and exit code 1; the traceback is for bugs only."""

    @functools.wraps(function)
    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        except LedgerError as error:
            fail(error.for_operator)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            fail(f"{where}{error.strerror or error}")

    return wrapped  # type: ignore[return-value]


def fail(message: str) -> None:
    click.echo(f"ledger: {printable(message)}", err=True)
    sys.exit(1)


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays a result."""
    click.echo(printable(message), err=True)


def printable(text: str) -> str:
    """Text that cannot steer a terminal: control characters are escaped."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where that is a terminal, else nothing. Yields a function that takes how many more are done."""
    # Imported here, since most commands have nothing that takes long.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.advance(task, done)


def log_to_stderr() -> None:
    """Events of the program as one JSON object a line, so that stdout stays a result in every command."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    # While a database is away these two would have a line for every try; our own log says it once.
    for talkative in ("psycopg.pool", "apscheduler"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without the values of local variables: among them are credentials and what callers sealed.
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _LogStream())),
    )


class _LogStream:
    """stderr, for the log. A full disk or a reader that went away costs lines of the log and nothing else."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()
