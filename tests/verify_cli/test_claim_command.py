# SPDX-License-Identifier: Apache-2.0
"""`ledger-verify claim`: exit codes, what is said of each claim, and the page's own examples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .claim_log import KEY, call, claims_log, export, govern_key, write_claims
from .conftest import REPOSITORY, Run
from .test_hostile_files import run as run_here
from .textbook import Signer
from .world import Log, genesis

REFUND = {"type": "call.reported", "tool_name": "payments.refund"}
AMOUNT = "/data/tool_args/amount"
PAGE = (REPOSITORY / "spec" / "claims.md").read_text(encoding="utf-8")
[EXAMPLE] = re.findall(r"<!-- claims: hold -->\n```\n(.*?)```\n", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return export(claims_log(), tmp_path_factory.mktemp("claims") / "whole")


def ask(folder: str, path: Path, *claims: dict[str, Any], key: list[str] = KEY) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the results."""
    code, said = run_here(["claim", write_claims(path, *claims), folder, *key, "--json"])
    answer = json.loads(said[: said.rindex("}") + 1])
    assert answer["format"] == "ledger-verify/v1"
    return code, answer["results"]


def verdicts(folder: str, path: Path, *claims: dict[str, Any]) -> list[str]:
    return [result["verdict"] for result in ask(folder, path, *claims)[1]]


def test_examples_of_the_page_hold_and_each_can_fail(whole: str, tmp_path: Path) -> None:
    claims = json.loads(EXAMPLE)["claims"]
    code, results = ask(whole, tmp_path / "claims", *claims)
    assert code == 0 and [result["notes"] for result in results] == [[], [], [], []]
    assert [result["matched"] for result in results] == [0, 4, 1, 1]

    def against(change: Any, name: str) -> list[str]:
        log = claims_log()
        change(log)
        found = ask(export(log, tmp_path / name), tmp_path / "claims", *claims)[1]
        assert all(result["claim_index"] == 16 for result in found if result["verdict"] == "not-verified")
        return [result["verdict"] == "not-verified" for result in found]

    assert against(lambda log: call(log, "ann", "mail", "c-9", key_id="k0"), "revoked") == [True, False, False, False]
    assert against(lambda log: call(log, "ann", "payments.refund", "c-3", "10000.01"), "large") == [0, 1, 0, 0]
    assert against(lambda log: call(log, "ann", "payments.refund", "c-4", "9001"), "one reviewer") == [0, 0, 1, 0]
    assert against(lambda log: call(log, "ann", "payments.refund", "c-9", "9001"), "no reviewer") == [0, 0, 1, 0]


def test_exit_codes(whole: str, tmp_path: Path) -> None:
    holds, false = {"never": {"verdict": "warn"}}, {"never": {"verdict": "deny"}}
    some_withheld = export(claims_log(), tmp_path / "withheld", withhold=(3,))
    doubtful = {"count": {AMOUNT: {"exists": True}, "/data/tool_args/amount": 120}, "is": 1}
    other = ["--key", Signer("localhost/log/x", b"x").vkey]
    bad = export(claims_log(), tmp_path / "bad")
    (tmp_path / "bad" / "entries.jsonl").write_bytes(b"")
    rows = [
        (0, whole, [holds], KEY),
        (1, whole, [false], KEY),
        (1, whole, [false], []),
        (3, whole, [holds], []),
        (2, some_withheld, [doubtful], KEY),
        (1, some_withheld, [holds, doubtful, false], KEY),
        (2, some_withheld, [holds, doubtful], []),
        (1, whole, [holds], other),
        (1, bad, [holds], KEY),
        (2, str(tmp_path / "missing"), [holds], KEY),
    ]
    for code, folder, claims, key in rows:
        assert ask(folder, tmp_path / "claims", *claims, key=key)[0] == code, (code, folder, claims)
    for name, content in [("missing", None), ("junk", b"x"), ("long", b" " * 10_000_000), ("deep", b"[" * 99_999)]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        code, said = run_here(["claim", str(tmp_path / name), whole, *KEY])
        assert code == 2 and "the claims file" in said and "please report" not in said, said


def test_lines_for_people(run: Run, whole: str, tmp_path: Path) -> None:
    claims = write_claims(
        tmp_path / "claims",
        {"name": "calm\u202e", "never": {"verdict": "warn"}},
        {"name": "small", "always": REFUND, "has": {AMOUNT: {"at_most": 9000}}},
        {"name": "nobody", "never": {}, "between": {"after": {"type": "key.revoked", "key_id": "k9"}}},
    )
    done = run("claim", claims, whole, *KEY)
    first, second, third, last = done.stdout.splitlines()
    holds = 'tamper-evident  claim "calm\\u202e" holds of entries 0 to 15 of localhost/log/claims, 0 matched'
    assert first == f"OK  {whole}  {holds}"
    assert second.startswith(
        f'FAIL {whole}  claim "small": entry 10 is the first that contradicts it: got call.reported'
    )
    assert f"{AMOUNT} 9.5E+3, want {AMOUNT} at_most 9000." in second and "/api/v1/receipts/" in second
    assert "(no entry matches after: nothing to check)" in third
    assert last == "3 claims: 2 verified, 1 not verified" and done.returncode == 1 and done.stderr == ""


def test_json_of_a_claim(whole: str, tmp_path: Path) -> None:
    code, [result] = ask(whole, tmp_path / "claims", {"name": "all", "count": {}, "is": 16})
    assert code == 0
    assert (result["claim"], result["kind"], result["matched"]) == ("all", "count", 16)
    assert (result["from"], result["to"], result["tree_size"], result["tier"]) == (0, 16, 16, "tamper-evident")
    assert result["checked"][-2:] == ["as_of", "claim"] and "completeness" in result["checked"]
    code, [result] = ask(whole, tmp_path / "claims", {"name": "few", "count": {}, "at_most": 9})
    assert code == 1 and set(result) == {"file", "verdict", "tier", "reason", "claim", "claim_index"}
    assert (result["claim"], result["claim_index"]) == ("few", 9)
    _, [result] = ask(whole, tmp_path / "claims", {"name": "more", "count": {}, "at_least": 17})
    assert result["claim_index"] is None and "got 16 entries, want at least 17" in result["reason"]


def test_withheld_and_erased_values_cannot_be_told_only_where_they_matter(tmp_path: Path) -> None:
    folder = export(claims_log(), tmp_path / "withheld", withhold=(10, 11))
    small = {"always": REFUND, "has": {AMOUNT: {"at_most": 9000}}}
    code, [result] = ask(folder, tmp_path / "claims", small)
    assert code == 2 and result["claim_index"] == 10
    assert f"because of entry 10, {AMOUNT}: its value is withheld. Ask for an export" in result["reason"]
    erased = {"always": {**REFUND, "mode": "observe"}, "has": {AMOUNT: 12}}
    _, [result] = ask(folder, tmp_path / "claims", erased)
    assert f"because of entry 11, {AMOUNT}: its value was erased" in result["reason"]
    assert verdicts(folder, tmp_path / "claims",
        {"never": {**REFUND, "verdict": "warn", AMOUNT: 5}},
        {"always": {"type": "call.reported", "mode": "observe"}, "has": {AMOUNT: {"exists": True}}},
        {"never": {"tool_name": "mail", AMOUNT: {"exists": True}}},
        {"count": {AMOUNT: {"at_least": 1}}, "at_most": 4},
        {"count": {AMOUNT: {"at_least": 1}}, "at_most": 3},
        {"count": {AMOUNT: {"at_least": 1}}, "at_most": 1},
    ) == ["verified", "verified", "verified", "verified", "cannot-tell", "not-verified"]  # fmt: skip


def test_numbers_compare_by_value_however_they_are_written(tmp_path: Path) -> None:
    amounts = ["1e1", "10.0", "10", "10.000000000000000000000000001", "1e999999999999", "-0", "1E99999999999999999999",
               '"10"', "true", "[10]", "null"]  # fmt: skip
    log = claims_log()
    for number, amount in enumerate(amounts):
        call(log, "ann", "odd", f"odd-{number}", amount)
    folder = export(log, tmp_path / "odd", 16)

    def counted(wanted: Any) -> dict[str, Any]:
        return {"count": {AMOUNT: wanted}, "is": 0}

    for wanted, least, most in [
        (10, 3, 4), ({"at_least": 10}, 5, 6), ({"at_least": 11}, 1, 2), ({"at_most": 10}, 4, 5),
        ("10", 1, 1), (True, 1, 1), (1, 0, 1), ({"exists": True}, 11, 11), (0, 1, 2),
    ]:  # fmt: skip
        claims = [{"count": {AMOUNT: wanted}, "at_least": least}, {"count": {AMOUNT: wanted}, "at_least": most + 1},
                  {"count": {AMOUNT: wanted}, "at_most": most}]  # fmt: skip
        assert verdicts(folder, tmp_path / "claims", *claims) == ["verified", "not-verified", "verified"], wanted
        if least != most:
            [result] = ask(folder, tmp_path / "claims", {"count": {AMOUNT: wanted}, "is": least})[1]
            assert "beyond comparison" in result["reason"]


def test_a_part_of_a_log(tmp_path: Path) -> None:
    """What governed before it is known, where it can be; what was called before it is not."""
    used = {"type": "call.reported", "key_id": {"same": "k"}}
    revoked = {"type": "key.revoked", "key_id": {"same": "k"}}
    claims: list[dict[str, Any]] = [
        {"always": used, "earlier": {"type": "key.created", "key_id": {"same": "k"}}},
        {"never": used, "between": {"after": revoked}},
        {"never": {**used, "verdict": "allow"}, "between": {"after": revoked}},
        {"always": {**REFUND, "call_id": {"same": "c"}, AMOUNT: {"at_least": 9001}},
         "earlier": {"type": "call.reported", "tool_name": "review", "call_id": {"same": "c"}}},
        {"never": {"verdict": "deny"}, "between": {"after": 2, "before": 20}},
    ]  # fmt: skip
    log = claims_log()
    rows = {
        (3, 16): ["verified", "not-verified", "verified", "verified", "not-verified"],
        (5, 13): ["verified", "not-verified", "verified", "verified", "not-verified"],
        (6, 16): ["verified", "verified", "verified", "verified", "verified"],
        (10, 16): ["verified", "verified", "verified", "cannot-tell", "verified"],
        # Nothing that governs comes later, so that k1 was revoked might have been left out.
        (14, 16): ["cannot-tell", "cannot-tell", "cannot-tell", "verified", "verified"],
    }
    for (start, end), want in rows.items():
        folder = export(log, tmp_path / f"{start}", start, end)
        assert verdicts(folder, tmp_path / "claims", *claims) == want, (start, end)
    [result] = ask(str(tmp_path / "6"), tmp_path / "claims", claims[4])[1]
    assert result["notes"][0] == "of the entries 3 to 19 only those of the range, 6 to 15"


def test_an_unknown_version_cannot_be_told_and_an_unknown_type_only_where_none_is_named(tmp_path: Path) -> None:
    log = claims_log()
    log.append("call.reviewed", {"verdict": "x"}, "ann")
    other_type = export(log, tmp_path / "type")
    log.entries[-1] = log.entries[-1].replace("call.reviewed", "call.reported").replace('"v":1', '"v":2')
    other_version = export(log, tmp_path / "version")
    claims: list[dict[str, Any]] = [
        {"never": {"type": "call.reported", "verdict": "warn"}},
        {"never": {"verdict": "warn"}},
        {"never": {"verdict": "warn", "subject": "bob"}},
        {"never": {"verdict": "warn", "v": 1}},
    ]
    assert verdicts(other_type, tmp_path / "claims", *claims) == ["verified", "cannot-tell", "verified", "cannot-tell"]
    told = ["cannot-tell", "cannot-tell", "verified", "verified"]
    assert verdicts(other_version, tmp_path / "claims", *claims) == told
    [result] = ask(other_version, tmp_path / "claims", claims[0])[1]
    assert "entry 16: this verifier does not know the event call.reported v2. A newer" in result["reason"]


def test_a_claim_that_looked_at_nothing_says_so(whole: str, tmp_path: Path) -> None:
    results = ask(whole, tmp_path / "claims",
        {"always": {"agent_id": "nobody"}, "has": {"verdict": "deny"}},
        {"never": {}, "between": {"after": {"agent_id": "nobody"}}},
        {"never": {"verdict": "warn"}, "between": {"after": 0, "before": {"agent_id": "nobody"}}},
    )[1]  # fmt: skip
    assert [result["notes"] for result in results] == [
        ["no entry matches always: nothing to check"],
        ["no entry matches after: nothing to check"],
        ["no entry matches before: looked at up to the end of the range"],
    ]


def test_help_and_usage(run: Run) -> None:
    assert run("claim", "x").returncode == 2
    assert "CLAIMS" in run("claim", "--help").stdout


def test_memory_is_that_of_what_is_tied(tmp_path: Path) -> None:
    """Of ten thousand entries under one key a judge remembers one key."""
    from ledger_verify.claim_judges import Judges
    from ledger_verify.claims import parse_claims
    from ledger_verify.entry import parse_entry
    from ledger_verify.governing import Chain

    log = Log(Signer("localhost/log/claims", b"claims"))
    genesis(log, "tenant")
    created = govern_key(log, "key.created", "k1")
    used = call(log, "ann", "mail", "c-1")
    tied = {"type": "call.reported", "key_id": {"same": "k"}}
    made = {"type": "key.created", "key_id": {"same": "k"}}
    path = write_claims(tmp_path / "claims", {"always": tied, "earlier": tied, "between": {"after": made}})
    judges = Judges(parse_claims(Path(path).read_bytes()))
    judges.begin(0, Chain(0, 0, set(), [], [], -1, True))
    entries = [parse_entry(log.entries[created]), parse_entry(log.entries[used])]
    for index in range(10_000):
        judges.visit(index, entries[index > 0], {})
    [judge] = judges._judges
    assert judge._between is not None and len(judge._between._bits) == 1
    assert len(judge._earlier._tallies) == 1  # type: ignore[attr-defined]
    [finding] = judges.findings(10_000)
    assert (finding.answer, finding.leaf_index, finding.matched) == (False, 1, 9999)
