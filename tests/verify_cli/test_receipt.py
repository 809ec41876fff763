# SPDX-License-Identifier: Apache-2.0
"""Receipts: good ones of every form, every step broken by itself, and every byte changed."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from ledger_verify import TrustedKeys, VerificationError, trusted_keys, verify_receipt

from .textbook import Signer, b64, file_bytes, jcs, sha256
from .world import Log, World, build_world, genesis

Document = dict[str, object]
NO_KEYS = TrustedKeys()


def refused(document: object, keys: TrustedKeys, because: str = ".") -> str:
    raw = document if isinstance(document, bytes) else file_bytes(document)
    with pytest.raises(VerificationError, match=because) as caught:
        verify_receipt(raw, keys)
    return str(caught.value)


def inner(document: Document, *names: str) -> Document:
    for name in names:
        found = document[name]
        assert isinstance(found, dict)
        document = found
    return document


def test_every_entry_of_the_log_has_a_receipt(world: World, keys: TrustedKeys) -> None:
    for index in range(world.log_size):
        for disclose in (True, False):
            receipt = verify_receipt(file_bytes(world.receipt(index, disclose=disclose)), keys)
            assert receipt.leaf_index == index and receipt.signed.tier == "tamper-evident"
            assert receipt.day is not None and receipt.day.date == "2026-11-22"
            assert len(receipt.disclosures) == (len(world.log.disclosures.get(index, [])) if disclose else 0)


def test_a_log_of_one_entry() -> None:
    log = Log(Signer("localhost/log/one", b"one"))
    genesis(log, "tenant")
    document = {
        "checkpoint": log.checkpoint(),
        "daily_root": None,
        "disclosures": [],
        "entry": log.entries[0],
        "format": "ledger-receipt/v1",
        "inclusion_path": [],
        "leaf_index": 0,
        "root": None,
    }
    assert verify_receipt(file_bytes(document), trusted_keys([log.signer.vkey])).signed.tier == "tamper-detecting"


def test_verdict_follows_from_the_keys_and_the_way_up(world: World) -> None:
    log, root = trusted_keys(world.keys["log"]), trusted_keys((), world.keys["root"])
    both, strangers = trusted_keys(**world.keys), trusted_keys([Signer("localhost/x", b"x").vkey])
    with_root, without = world.receipt(9, day=False), world.receipt(9, root=False, day=False)
    tiers = [
        (with_root, both, "tamper-evident"),
        (with_root, root, "tamper-evident"),
        (with_root, log, "tamper-detecting"),
        (with_root, NO_KEYS, None),
        (without, both, "tamper-detecting"),
        (without, log, "tamper-detecting"),
        (without, root, None),
        (without, NO_KEYS, None),
        (world.receipt(9), log, "tamper-detecting"),
        (world.receipt(9), NO_KEYS, None),
    ]
    for document, keys, tier in tiers:
        assert verify_receipt(file_bytes(document), keys).signed.tier == tier
    for document in (with_root, without):
        refused(document, strangers, "step 5: no --key was given for the log")
    refused(with_root, TrustedKeys((), strangers.log), "step 7: no --root-key was given for the log")
    refused(without, TrustedKeys(root.root), "step 5")


def test_root_keys_sign_no_tenant_log(world: World) -> None:
    """The keys of the two logs are not exchangeable, even under the same name."""
    impostor = Signer(world.log.origin, b"impostor")
    refused(world.receipt(9), trusted_keys([impostor.vkey]), "none of the given keys")
    refused(world.receipt(9), trusted_keys(world.keys["root"], world.keys["log"]), "step 5")


def test_one_of_several_keys_is_enough(world: World) -> None:
    old = Signer(world.log.origin, b"old")
    keys = trusted_keys([old.vkey, *world.keys["log"]], [Signer("localhost/root", b"old").vkey, *world.keys["root"]])
    assert verify_receipt(file_bytes(world.receipt(9)), keys).signed.tier == "tamper-evident"


def test_unknown_signatures_are_ignored_and_known_bad_ones_are_not(world: World) -> None:
    witness = Signer("witness.example/w", b"w")
    document = world.receipt(9, root=False, day=False)
    document["checkpoint"] = str(document["checkpoint"]) + witness.line("another text\n")
    assert verify_receipt(file_bytes(document), trusted_keys(world.keys["log"])).signed.tier == "tamper-detecting"
    refused(document, trusted_keys([*world.keys["log"], witness.vkey]), "step 5: the signature by witness")


def test_unknown_event_type_is_verified_but_for_its_fields() -> None:
    log = Log(Signer("localhost/log/one", b"one"))
    genesis(log, "tenant")
    log.append("call.decided", {"new": [1, {"$sealed": "A" * 43}], "as_of": 99})
    receipt = verify_receipt(file_bytes(log.receipt(1)), trusted_keys([log.signer.vkey]))
    assert receipt.entry.known is None and list(receipt.entry.commitments) == ["/data/new/1"]


# Each row changes one thing of a good receipt and names the step that must refuse it.
Change = Callable[[World, Document], object]
BROKEN: list[tuple[str, Change]] = [
    ("step 1", lambda w, d: d.pop("root")),
    ("step 1", lambda w, d: d.update(note="x")),
    ("step 1", lambda w, d: d.update(format="ledger-receipt/v2")),
    ("step 1", lambda w, d: d.update(leaf_index=-1)),
    ("step 1", lambda w, d: d.update(leaf_index=True)),
    ("step 1", lambda w, d: d.update(leaf_index="9")),
    ("step 1", lambda w, d: d.update(inclusion_path=None)),
    ("step 1", lambda w, d: d.update(inclusion_path=["AA=="])),
    ("step 1", lambda w, d: d.update(entry=None)),
    ("step 1", lambda w, d: d.update(checkpoint=None)),
    ("step 2", lambda w, d: d.update(entry="{}")),
    ("step 2", lambda w, d: d.update(leaf_index=0)),
    ("step 3", lambda w, d: d.update(checkpoint="")),
    ("step 3", lambda w, d: d.update(checkpoint=w.root.checkpoint())),
    ("step 3", lambda w, d: d.update(checkpoint=w.log.signer.sign(w.log.body(w.log_size) + "extension\n"))),
    ("step 4", lambda w, d: d.update(leaf_index=10)),
    ("step 4", lambda w, d: d.update(leaf_index=2**53 - 1)),
    ("step 4", lambda w, d: d.update(inclusion_path=[])),
    ("step 4", lambda w, d: d.update(inclusion_path=w.log.path(10, w.log_size))),
    ("step 4", lambda w, d: d.update(inclusion_path=[*w.log.path(9, w.log_size), b64(bytes(32))])),
    ("step 4", lambda w, d: d.update(entry=w.log.entries[10])),
    ("step 4", lambda w, d: d.update(entry=str(d["entry"]).replace("agent-7", "agent-8"))),
    ("step 4", lambda w, d: d.update(checkpoint=w.log.checkpoint(w.log_size - 1))),
    ("step 5", lambda w, d: d.update(checkpoint=Signer(w.log.origin, b"x").sign(w.log.body(w.log_size)))),
    ("step 5", lambda w, d: d.update(checkpoint=w.log.body(w.log_size) + "\n" + w.log.signer.line("other\n"))),
    ("step 6", lambda w, d: d.update(disclosures=None)),
    ("step 6", lambda w, d: d.update(disclosures=w.log.disclosures[10])),
    ("step 6", lambda w, d: d.update(disclosures=w.log.disclosures[9][::-1])),
    ("step 6", lambda w, d: d.update(disclosures=w.log.disclosures[9] * 2)),
    ("step 7", lambda w, d: d.update(root={})),
    ("step 7", lambda w, d: d.update(root=[])),
    ("step 7", lambda w, d: inner(d, "root").update(x=1)),
    ("step 7", lambda w, d: inner(d, "root").update(heads_count=3)),
    ("step 7", lambda w, d: inner(d, "root").update(heads_index=1 - w.root_member()["heads_index"])),
    ("step 7", lambda w, d: inner(d, "root").update(heads_path=[])),
    ("step 7", lambda w, d: inner(d, "root").update(heads_path=[b64(bytes(32))])),
    ("step 7", lambda w, d: inner(d, "root").update(entry=w.root.entries[w.day_entry])),
    ("step 7", lambda w, d: inner(d, "root").update(entry=w.root.entries[w.heads_entry + 2])),
    ("step 7", lambda w, d: inner(d, "root").update(entry=d["entry"])),
    ("step 7", lambda w, d: inner(d, "root").update(entry_index=0)),
    ("step 7", lambda w, d: inner(d, "root").update(entry_index=w.heads_entry + 1)),
    ("step 7", lambda w, d: inner(d, "root").update(entry_path=[])),
    ("step 7", lambda w, d: inner(d, "root").update(checkpoint=d["checkpoint"])),
    ("step 7", lambda w, d: inner(d, "root").update(checkpoint=Signer(w.root.origin, b"x").sign(w.root.body()))),
    ("step 8", lambda w, d: d.update(root=None)),
    ("step 8", lambda w, d: d.update(daily_root={})),
    ("step 8", lambda w, d: d.update(daily_root=w.first_day())),
    ("step 8", lambda w, d: inner(d, "daily_root").update(date="2026-11-23")),
    ("step 8", lambda w, d: inner(d, "daily_root").update(checkpoint=d["checkpoint"])),
]


@pytest.mark.parametrize(("step", "change"), BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_each_step_refuses(step: str, change: Change, world: World, keys: TrustedKeys) -> None:
    document = copy.deepcopy(world.receipt(9))
    change(world, document)
    assert refused(document, keys).startswith(step + ": ")


@pytest.mark.parametrize(("step", "change"), BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_without_keys_all_but_the_signatures_are_checked(step: str, change: Change, world: World) -> None:
    document = copy.deepcopy(world.receipt(9))
    change(world, document)
    try:
        assert verify_receipt(file_bytes(document), NO_KEYS).signed.tier is None
    except VerificationError:
        return
    refused(document, trusted_keys(**world.keys))


def test_a_log_is_not_its_own_root_log(world: World) -> None:
    """A tenant's operator may sign what it likes, a heads.committed entry in its own log too."""
    log = build_world(6).log
    line = f"{b64(sha256(log.origin.encode()))} {b64(sha256(log.body(4).encode()))}\n"
    log.append("heads.committed", {"count": 1, "root": b64(sha256(b"\0" + line.encode()))})
    index = len(log.entries) - 1
    document = {
        "checkpoint": log.checkpoint(4),
        "daily_root": None,
        "disclosures": [],
        "entry": log.entries[3],
        "format": "ledger-receipt/v1",
        "inclusion_path": log.path(3, 4),
        "leaf_index": 3,
        "root": {
            "checkpoint": log.checkpoint(),
            "entry": log.entries[index],
            "entry_index": index,
            "entry_path": log.path(index),
            "heads_count": 1,
            "heads_index": 0,
            "heads_path": [],
        },
    }
    refused(document, trusted_keys([log.signer.vkey]), "its own root log")


def test_daily_root_of_other_heads_is_refused(world: World, keys: TrustedKeys) -> None:
    """The day is good by itself, and so is the way up, but it leads elsewhere."""
    other = build_world(12)
    assert other.log.origin == world.log.origin
    document = world.receipt(9)
    document["daily_root"] = other.day()
    refused(document, keys, "step 8: daily_root closes on other heads")


def test_two_histories_of_the_root_log_are_refused(world: World, keys: TrustedKeys) -> None:
    """Two root-log checkpoints of one size with two roots, both signed and both with valid proofs."""
    document = world.receipt(9)
    document["root"] = world.root_member(world.day_entry + 1)
    assert verify_receipt(file_bytes(document), keys).signed.by_root
    fork = copy.deepcopy(world.root)
    fork.entries[0] = fork.entries[0].replace("60}", "61}").replace('"max_commit_delay":60', '"max_commit_delay":61')
    assert fork.entries[0] != world.root.entries[0]
    forked = copy.copy(world)
    forked.root = fork
    document["daily_root"] = forked.day()
    refused(document, keys, "two root hashes for size")


def test_previous_checkpoint_of_the_day_must_be_signed_too(world: World, keys: TrustedKeys) -> None:
    document = world.receipt(9)
    day = inner(document, "daily_root")
    body = world.root.body(world.previous_root_size)
    day["previous_checkpoint"] = Signer("localhost/root", b"x").sign(body)
    refused(document, keys, "step 8: day document: step 5: previous_checkpoint")
    assert verify_receipt(file_bytes(document), trusted_keys(world.keys["log"])).signed.tier == "tamper-detecting"


def test_daily_root_of_another_root_log_is_refused(world: World) -> None:
    """Without keys nothing else would tell: both are good by themselves."""
    other = copy.deepcopy(world)
    other.root.signer = Signer("localhost/rood", b"rood")
    other.root.entries = [entry.replace("localhost/root", "localhost/rood") for entry in other.root.entries]
    document = world.receipt(9) | {"daily_root": other.day()}
    refused(document, NO_KEYS, "step 8: daily_root is of another root log")


def test_daily_root_of_the_same_heads_elsewhere_is_refused(world: World) -> None:
    """The same heads.committed entry twice in a log: a log of ours has no two entries with one id."""
    twin = copy.deepcopy(world)
    entries = twin.root.entries
    entries[twin.day_entry + 1 :] = [entries[twin.heads_entry], entries[twin.day_entry]]
    twin.day_entry += 2
    document = world.receipt(9)
    twin.heads_entry += 2
    document["daily_root"] = twin.day()
    refused(document, NO_KEYS, "does not follow")


def test_two_histories_between_root_and_the_day_before_are_refused(world: World, keys: TrustedKeys) -> None:
    """`root` leads to a tree of the size of the day before's, with another root hash."""
    forked = copy.deepcopy(world)
    forked.root.entries[0] = forked.root.entries[0].replace('"max_commit_delay":60', '"max_commit_delay":61')
    forked.previous_root_size = world.day_entry
    document = world.receipt(9) | {"root": world.root_member(world.day_entry), "daily_root": forked.day()}
    refused(document, keys, f"step 8: two root hashes for size {world.day_entry}")


def test_heads_entry_of_another_root_log_is_refused(world: World) -> None:
    other = copy.deepcopy(world)
    other.root.signer = Signer("localhost/rood", b"rood")
    document = world.receipt(9, day=False) | {"root": other.root_member()}
    refused(document, NO_KEYS, "step 7: root.entry is from another log")


def test_count_of_heads_is_the_entrys(world: World) -> None:
    """The proof holds for two heads; the entry says three."""
    other = copy.deepcopy(world)
    other.root.entries[world.heads_entry] = other.root.entries[world.heads_entry].replace('"count":2', '"count":3')
    document = world.receipt(9, day=False) | {"root": other.root_member()}
    refused(document, NO_KEYS, "step 7: heads_count is not the entry's count: got 2, want 3")


def test_messages_escape_what_they_quote(world: World, keys: TrustedKeys) -> None:
    document = world.receipt(9)
    document["format"] = "\x1b]0;owned\x07\u202e"
    message = refused(document, keys)
    assert message.isprintable() and "\\x1b" in message


def test_thousands_of_receipts_cost_one_signature(
    world: World, keys: TrustedKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ledger_verify import ed25519, note, receipt

    calls = []
    real = ed25519.verify
    monkeypatch.setattr(ed25519, "verify", lambda *a: calls.append(a) or real(*a))
    note._authenticate.cache_clear()
    receipt._heads.clear()
    for index in range(world.log_size):
        verify_receipt(file_bytes(world.receipt(index, day=False)), keys)
    assert len(calls) == 2


def test_failed_signatures_are_not_remembered_as_good(world: World) -> None:
    document = world.receipt(9, root=False, day=False)
    document["checkpoint"] = world.log.body(world.log_size) + "\n" + world.log.signer.line("other\n")
    for _ in range(3):
        refused(document, trusted_keys(world.keys["log"]), "step 5")
    assert jcs(document) != jcs(world.receipt(9, root=False, day=False))
