# SPDX-License-Identifier: Apache-2.0
"""E6: a decision names the governing entry in force, and none lies between. Today's catalogue has no decision yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_verify import TrustedKeys, VerificationError, catalogue, trusted_keys, verify_export
from ledger_verify.entry import Entry
from ledger_verify.governing import Chain
from ledger_verify.sequence import EntrySequence

from .test_export import new_log, own_export
from .world import Log

DECIDED = catalogue.EventType("call", "agent_id", {"as_of": "integer", "agent_id": "text", "verdict": "verdict"}, {})


@pytest.fixture(autouse=True)
def with_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.EVENT_TYPES, ("call.decided", 1), DECIDED)


def decide(log: Log, as_of: int) -> int:
    return log.append("call.decided", {"as_of": as_of, "agent_id": "a", "verdict": "allow"}, "a")


def governed_log() -> Log:
    """Governing entries at 0, 1 and 4, calls at 2, 3 and 5."""
    log = new_log()
    log.govern("tenant.created", {"actor": "operator", "tenant_id": "t"}, "t")
    log.call({})
    log.call({})
    log.govern("key.revoked", {"actor": "operator", "key_id": "k"}, "k")
    log.call({})
    return log


@pytest.mark.parametrize("start", [0, 3, 4, 5, 6])
def test_exactly_the_last_governing_entry_will_do_wherever_the_range_begins(start: int, tmp_path: Path) -> None:
    for as_of in range(7):
        log = governed_log()
        assert decide(log, as_of) == 6
        log.call({})
        folder, keys = own_export(log, tmp_path / str(as_of), start, 8)
        if as_of == 4:
            assert verify_export(str(folder), keys).end == 8
        else:
            with pytest.raises(VerificationError, match="E4" if as_of == 6 else "E6"):
                verify_export(str(folder), keys)


def test_a_decision_between_two_governing_entries(tmp_path: Path) -> None:
    """None lies between as_of and its index; that one comes later is nothing to it."""
    log = new_log()
    decide(log, 0)
    log.govern("key.revoked", {"actor": "operator", "key_id": "k"}, "k")
    decide(log, 2)
    folder, keys = own_export(log, tmp_path / "good", 0, 4)
    assert verify_export(str(folder), keys).types["call.decided v1"] == 2
    stale = new_log()
    stale.govern("key.revoked", {"actor": "operator", "key_id": "k"}, "k")
    decide(stale, 0)
    folder, keys = own_export(stale, tmp_path / "stale", 0, 3)
    with pytest.raises(VerificationError, match=r"entry 2: as_of is not .*E6.*got 0, want 1.*no longer in force"):
        verify_export(str(folder), keys)


def test_an_unknown_event_may_have_governed() -> None:
    """Whether it did is not known, so a decision may name it, or the one before."""
    for as_of, good in [(0, True), (1, True), (2, False)]:
        log = new_log()
        log.append("policy.deployed", {})
        log.call({})
        decide(log, as_of)
        sequence = EntrySequence(log.origin)
        for index, entry in enumerate(log.entries[:3]):
            sequence.check(entry, index)
        if good:
            assert sequence.check(log.entries[3], 3).type == "call.decided"
        else:
            with pytest.raises(VerificationError, match="E6"):
                sequence.check(log.entries[3], 3)


def _begun(folder: Path, keys: TrustedKeys) -> tuple[int, Chain]:
    told: list[tuple[int, Chain]] = []
    shown: list[int] = []

    def visit(index: int, entry: Entry, disclosed: object) -> None:
        assert told, "what comes before the range is told before the first entry is shown"
        shown.append(index)

    export = verify_export(str(folder), keys, visit, lambda start, chain: told.append((start, chain)))
    assert shown == list(range(export.start, export.end))
    [found] = told
    return found


def test_governing_entries_before_the_range_are_kept_for_whoever_asks(tmp_path: Path) -> None:
    """They are whole if one of the range or after it names the last of them; else one may be missing at their end."""
    log = governed_log()
    rows = [(0, [], True), (1, [0], True), (3, [0, 1], True), (4, [0, 1], True), (5, [0, 1, 4], False)]
    for number, (start, before, whole) in enumerate(rows):
        folder, keys = own_export(log, tmp_path / str(number), start, 6)
        told, chain = _begun(folder, keys)
        assert told == start
        assert [index for index, _ in chain.before] == before
        assert [entry.text for _, entry in chain.before] == [log.entries[index] for index in before]
        assert chain.before_is_whole == whole
        assert verify_export(str(folder), keys).governing.before == []


def test_an_unknown_event_in_the_chain_leaves_it_open_what_came_before(tmp_path: Path) -> None:
    """Nobody looks at its as_of."""
    log = new_log()
    log.govern("policy.deployed", {})
    log.govern("key.revoked", {"actor": "operator", "key_id": "k"}, "k")
    log.govern("key.revoked", {"actor": "operator", "key_id": "j"}, "j")
    for start, whole in [(1, False), (2, False), (3, False)]:
        folder, _ = own_export(log, tmp_path / str(start), start, 4)
        _, chain = _begun(folder, trusted_keys([log.signer.vkey]))
        assert chain.before_is_whole == whole
