# SPDX-License-Identifier: Apache-2.0
"""`ledger-verify state`: what it says after each entry of an export, and that it says nothing where it would guess."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from ledger_verify.catalogue import EVENT_TYPES
from ledger_verify.errors import CannotTellError
from ledger_verify.state_command import state_outcome
from ledger_verify.tenant_state import TenantState
from ledger_verify.trust import TrustedKeys, trusted_keys

from .claim_log import KEY, call, export
from .exports import read_manifest, sign_manifest
from .test_hostile_files import run
from .textbook import Signer, seal, sha256
from .world import Log, genesis

KEYS: TrustedKeys = trusted_keys(log=[KEY[1]], root=[KEY[3]])
LAST_GOVERNING, SIZE = 10, 13


def sealed(name: str) -> dict[str, str]:
    return seal(f"/data/{name}", f'"{name}"', sha256(name.encode()))[1]


def govern(log: Log, kind: str, **data: Any) -> int:
    subject = EVENT_TYPES[kind, 1].subject if (kind, 1) in EVENT_TYPES else None
    return log.govern(kind, {"actor": "member:m-1", **data}, None if subject is None else str(data[subject]))


def begun() -> Log:
    log = Log(Signer("localhost/log/claims", b"claims"))
    genesis(log, "tenant")
    govern(log, "tenant.created", tenant_id="t-1", actor="operator")  # 1
    govern(log, "member.joined", member_id="m-1", role="owner", how="setup", email=sealed("email"))  # 2
    return log


def tenants_log() -> Log:
    log = begun()
    govern(
        log, "key.created", key_id="k1", role="agent", env="production", label=sealed("label"), agents=["ann", "bob"],
        expires_at="2027-01-01T00:00:00.000Z",
    )  # 3 # fmt: skip
    call(log, "ann", "mail", "c-1")  # 4
    govern(log, "kill_switch.engaged")  # 5
    call(log, "ann", "mail", "c-2", verdict="deny")  # 6
    call(log, "ann", "mail", "c-3", verdict="deny")  # 7
    govern(log, "key.revoked", key_id="k1")  # 8
    call(log, "ann", "mail", "c-4", verdict="deny")  # 9
    govern(log, "kill_switch.released", actor="operator")  # 10
    call(log, "bob", "mail", "c-5")  # 11
    call(log, "bob", "mail", "c-6")  # 12
    assert len(log.entries) == SIZE and log.last_governing == LAST_GOVERNING
    return log


def folded(log: Log, at: int) -> dict[str, object]:
    """The state after an entry, from the log itself."""
    state = TenantState()
    for index in log.governing:
        if index <= at:
            event = json.loads(log.entries[index])
            state.apply(index, event["type"], event["data"])
    return state.as_object()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return export(tenants_log(), tmp_path_factory.mktemp("state") / "whole")


def ask(path: str, at: object, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the one result."""
    code, said = run(["state", path, "--at", str(at), *options, "--json"])
    [result] = json.loads(said[: said.rindex("}") + 1])["results"]
    return code, result


def test_state_is_told_after_each_entry(whole: str) -> None:
    log = tenants_log()
    for at in range(SIZE):
        code, result = ask(whole, at, *KEY)
        assert code == 0 and result["verdict"] == "verified" and result["tier"] == "tamper-evident"
        assert (result["at"], result["last_governing"]) == (at, max(i for i in log.governing if i <= at))
        assert result["state"] == folded(log, at)
    switches = [ask(whole, at)[1]["state"]["kill_switch"] for at in (4, 5, 9, 10)]
    engaged = {"index": 5, "actor": "member:m-1"}
    assert switches == [None, engaged, engaged, None]


def test_people_get_lines(whole: str) -> None:
    code, said = run(["state", whole, "--at", "8", *KEY])
    assert code == 0
    assert said.splitlines() == [
        f"OK  {whole}  tamper-evident  who could act after entry 8 of localhost/log/claims, last governed by entry 8",
        "  tenant t-1: plan enterprise, calls in a month: what the plan allows",
        "  kill switch: engaged since entry 5 by member:m-1",
        "  member m-1: owner, active",
        "  key k1: agent, production for agents ann, bob, revoked, expires 2027-01-01T00:00:00.000Z",
    ]


def test_everything_there_is_has_its_line(tmp_path: Path) -> None:
    log = begun()
    expiry = "2027-01-01T00:00:00.000Z"
    govern(log, "tenant.changed", plan="starter", monthly_calls=0)
    govern(log, "member.invited", member_id="m-2", role="auditor", expires_at=expiry, email=sealed("other"))
    govern(log, "agent.credential_issued", credential_id="c-1", agent_id="ann", env="staging")
    govern(log, "token.revoked", agent="ann")
    govern(log, "token.revoked", session_id="s-1")
    sso = {"issuer": "https://idp.example.com", "client_id": "c", "role": "readonly"}
    govern(log, "sso.configured", provider="idp", enabled=True, domains=["a.example", "b.example"], **sso)
    govern(log, "sso.configured", provider="old", enabled=False, **sso)
    govern(log, "share.created", share_id="l-1", expires_at=expiry)
    govern(log, "key.created", key_id="k1", role="dpo", env="all", label=sealed("label"), uploads=True, triggers=["t"])
    said = run(["state", export(log, tmp_path / "e"), "--at", str(len(log.entries) - 1), *KEY])[1]
    assert said.splitlines()[1:] == [
        "  tenant t-1: plan starter, calls in a month: no limit",
        "  kill switch: not engaged",
        "  member m-1: owner, active",
        f"  member m-2: auditor, invited, expires {expiry}",
        "  key k1: dpo, all for triggers t, uploads, not revoked",
        "  credential c-1: of agent ann, staging, not revoked",
        "  agent ann: tokens from before entry 6 are revoked",
        "  provider idp: enabled, https://idp.example.com, joins a.example, b.example as readonly",
        "  provider old: disabled, https://idp.example.com, joins nobody",
        f"  share l-1: not revoked, expires {expiry}",
        "  sessions ended one by one: 1",
    ]


# ------------------------------------------------------------------------------------------------------- never a guess


def test_of_every_part_the_same_is_told_or_nothing(tmp_path: Path) -> None:
    """Told where a later governing entry names the one before it, or where no entry behind the last is missing."""
    log = tenants_log()
    told = 0
    for start, end in combinations((0, 4, 9, 11, 12, SIZE), 2):
        path = export(log, tmp_path / f"{start}-{end}", start, end)
        for at in range(SIZE + 1):
            sure = at < LAST_GOVERNING or at == LAST_GOVERNING or (start <= LAST_GOVERNING + 1 and at < end)
            if at < SIZE and sure:
                outcome = state_outcome(path, at, KEYS)
                assert outcome.details["state"] == folded(log, at)
                told += 1
            else:
                with pytest.raises(CannotTellError, match=r"there is no entry 13|Take one that has them"):
                    state_outcome(path, at, KEYS)
    assert told > 100


def test_an_index_beyond_the_tree_is_not_told(whole: str) -> None:
    code, result = ask(whole, SIZE, *KEY)
    assert code == 2 and result["reason"].startswith(f"there is no entry {SIZE} in this tree of {SIZE} entries")
    assert "state" not in result


def test_a_governing_entry_that_was_left_out_at_the_end_changes_no_answer(tmp_path: Path) -> None:
    """The operator can leave the last ones out of a part of a log, and sign it."""
    log = tenants_log()
    path = export(log, tmp_path / "part", 0, 10)
    chain = (tmp_path / "part" / "governing.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "part" / "governing.jsonl").write_bytes(b"".join(chain[:-1]))
    manifest = read_manifest(tmp_path / "part")
    del manifest["files"]
    sign_manifest(tmp_path / "part", log, manifest)
    assert run(["export", path, *KEY])[0] == 0
    for at in range(SIZE):
        code, result = ask(path, at, *KEY)
        assert (code, result.get("state")) == ((0, folded(log, at)) if at < 10 else (2, None))


def strange(log: Log, kind: str = "agent.paused", v: int = 1) -> int:
    """A governing entry of a type or version that is not known, with a subject that anything may have."""
    text = log.envelope(kind, {"as_of": log.last_governing, "actor": "operator"}, "x", v)
    log.entries.append(json.dumps(text, sort_keys=True, separators=(",", ":")))
    log.last_governing = len(log.entries) - 1
    log.governing.append(log.last_governing)
    return log.last_governing


@pytest.mark.parametrize(("kind", "v"), [("agent.paused", 1), ("key.revoked", 2)])
@pytest.mark.parametrize("more", [False, True])
def test_an_unknown_governing_type_stands_in_the_way(tmp_path: Path, kind: str, v: int, more: bool) -> None:
    log = tenants_log()
    unknown = strange(log, kind, v)
    call(log, "bob", "mail", "c-7")
    if more:
        govern(log, "kill_switch.engaged")
        call(log, "bob", "mail", "c-8")
    path = export(log, tmp_path / "export")
    for at in range(len(log.entries)):
        code, result = ask(path, at, *KEY)
        if at < unknown:
            assert code == 0 and result["state"] == folded(log, at)
        else:
            assert code == 2 and f"entry {unknown} means" in result["reason"] and f"{kind} v{v}" in result["reason"]


def test_an_unknown_type_that_may_govern_stands_in_the_way_until_the_chain_goes_on(tmp_path: Path) -> None:
    log = tenants_log()
    note = log.append("note.added", {"actor": "operator"})
    call(log, "bob", "mail", "c-7")
    path = export(log, tmp_path / "open")
    assert [ask(path, at, *KEY)[0] for at in (note - 1, note, note + 1)] == [0, 2, 2]
    govern(log, "kill_switch.engaged")
    path = export(log, tmp_path / "settled")
    assert [ask(path, at, *KEY)[0] for at in (note - 1, note, note + 1, note + 2)] == [0, 0, 0, 0]


# ---------------------------------------------------------------------------------------------------------- verdicts


CHANGES: list[tuple[str, dict[str, str]]] = [
    ("key.revoked", {"key_id": "x"}),
    ("agent.credential_revoked", {"credential_id": "x", "agent_id": "ann"}),
    ("share.revoked", {"share_id": "x"}),
    ("member.removed", {"member_id": "x"}),
    ("token.revoked", {"member_id": "x"}),
]


@pytest.mark.parametrize(("kind", "data"), CHANGES)
def test_a_log_that_changes_what_nobody_made_has_no_state(tmp_path: Path, kind: str, data: dict[str, str]) -> None:
    log = tenants_log()
    broken = govern(log, kind, **data)
    path = export(log, tmp_path / "export")
    assert ask(path, broken - 1, *KEY)[0] == 0
    code, result = ask(path, broken, *KEY)
    assert code == 1 and result["reason"].startswith(f"entry {broken}: no entry before made the {next(iter(data))}")


def test_verdict_is_that_of_the_export(whole: str, tmp_path: Path) -> None:
    assert ask(whole, 5)[0] == 3
    assert ask(whole, 5, *KEY[:2])[1]["tier"] == "tamper-detecting"
    code, result = ask(whole, 5, "--key", Signer("localhost/log/claims", b"another").vkey)
    assert code == 1 and "state" not in result
    path = Path(export(tenants_log(), tmp_path / "export"))
    (path / "governing.jsonl").write_bytes((path / "governing.jsonl").read_bytes().replace(b"owner", b"ciso"))
    code, result = ask(str(path), SIZE, *KEY)
    assert code == 1 and "state" not in result


@pytest.mark.parametrize("at", ["", "x", "-1", "+1", "01", "1.0", "1_0", str(2**63), "\u0661"])
def test_an_index_is_a_plain_number(whole: str, at: str) -> None:
    assert run(["state", whole, "--at", at, *KEY])[0] == 2


def test_an_index_is_needed_and_a_missing_export_is_told(whole: str, tmp_path: Path) -> None:
    assert run(["state", whole, *KEY])[0] == 2
    assert run(["state", str(tmp_path / "none"), "--at", "1", *KEY])[0] == 2
