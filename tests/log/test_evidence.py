# SPDX-License-Identifier: Apache-2.0
"""The service's own opinion of evidence is that of ledger-verify, which shares no code with it.

Both look at good files, at files with a byte changed, and at files whose JSON was changed and written canonically
again. Neither may take a forged one, and they must agree on what is only weaker.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from ledger_verify import VerificationError
from ledger_verify import verify_day_file as outside_day
from ledger_verify import verify_receipt as outside_receipt

from ledger.log.canonical import encode
from ledger.log.evidence import known_keys, verify_day, verify_own_receipt, verify_receipt
from ledger.settings import Settings
from tests.ledgers import Room
from tests.log.world import DAY, NOON, World

Document = dict[str, Any]
Judge = Callable[[bytes], bool]


@pytest.fixture(scope="module")
def grown(open_world: Callable[..., World]) -> Iterator[World]:
    with open_world() as world:
        world.fill(40)
        world.close_day()
        world.wake_at(NOON + DAY)
        world.fill(270)
        world.close_day()
        world.fill(290)
        world.commit_heads()
        world.fill(300)
        yield world


@pytest.fixture(scope="module")
def receipts(grown: World) -> list[bytes]:
    """Of every strength, with and without disclosures."""
    return [grown.receipt(index, disclose=disclose) for index in (3, 200, 280, 299) for disclose in (False, True)]


@pytest.fixture(scope="module")
def days(grown: World) -> list[bytes]:
    return [grown.close_day(date).text() for date in ("2026-03-01", "2026-03-02")]


@pytest.fixture(scope="module")
def both(grown: World) -> Judge:
    """Whether a receipt holds, asked of both, who must agree."""
    known, trusted = known_keys(grown.ledger), grown.keys

    def judge(text: bytes) -> bool:
        inside = verify_receipt(known, text)
        outside = refusal(lambda: outside_receipt(text, trusted))
        assert (inside is None) == (outside is None), f"inside: {inside}; outside: {outside}; {text!r}"
        return inside is None

    return judge


@pytest.fixture(scope="module")
def both_on_days(grown: World) -> Judge:
    known, trusted = known_keys(grown.ledger), grown.keys

    def judge(text: bytes) -> bool:
        inside = verify_day(known, text)
        outside = refusal(lambda: outside_day(text, trusted))
        assert (inside is None) == (outside is None), f"inside: {inside}; outside: {outside}; {text!r}"
        return inside is None

    return judge


def refusal(check: Callable[[], object]) -> str | None:
    try:
        check()
    except VerificationError as error:
        return str(error)
    return None


def changed_bytes(text: bytes, count: int, seed: int) -> Iterator[bytes]:
    """The text with a byte changed, dropped, doubled or cut off behind."""
    generator = random.Random(seed)
    for _ in range(count):
        at = generator.randrange(len(text))
        way = generator.randrange(5)
        byte = bytes([text[at] ^ (1 << generator.randrange(8))])
        yield [
            text[:at] + byte + text[at + 1 :],
            text[:at] + byte + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + text[at : at + 1] + text[at:],
            text[:at],
        ][way]


def changed_documents(document: Document, others: list[Document], seed: int) -> Iterator[Document]:
    """The document with one member, at any depth, changed in every way that its type allows."""
    generator = random.Random(seed)
    for path in list(paths(document)):
        for value in other_values(at_path(document, path), [at_path(other, path) for other in others], generator):
            mixed = copy.deepcopy(document)
            owner = at_path(mixed, path[:-1])
            owner[path[-1]] = value
            if mixed != document:
                yield mixed


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from paths(member, (*path, name))


def at_path(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def other_values(value: Any, elsewhere: list[Any], generator: random.Random) -> Iterator[Any]:
    yield from (other for other in elsewhere if other != value)
    yield None
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int):
        yield from (value + 1, value - 1, 0, 2**53, str(value), float(value) + 0.5)
    elif isinstance(value, str):
        at = generator.randrange(len(value) + 1)
        yield from (value[:at] + "A" + value[at:], value[:at] + value[at + 1 :], value[::-1], "", value + "\n", [value])
        if "\n\n" in value:
            yield value + "— stranger.example/key AAAAAAA=\n"
            yield value + value[value.index("\n\n") + 2 :]
    elif isinstance(value, list):
        yield from (value[1:], value[:-1], [*value, *value[:1]], value[::-1], [], [*value, 7])
    elif isinstance(value, dict):
        yield from ({**value, "more": 1}, dict(list(value.items())[1:]), {}, [value])


# Good ones


def test_both_take_every_good_receipt_and_day(
    both: Judge, both_on_days: Judge, receipts: list[bytes], days: list[bytes]
) -> None:
    assert all(map(both, receipts)) and all(map(both_on_days, days))


def test_neither_takes_one_kind_for_the_other(
    both: Judge, both_on_days: Judge, receipts: list[bytes], days: list[bytes]
) -> None:
    assert not any(map(both, days)) and not any(map(both_on_days, receipts))


# Forged ones


def test_neither_takes_a_receipt_with_any_byte_changed(both: Judge, receipts: list[bytes]) -> None:
    for number, receipt in enumerate(receipts):
        for forged in changed_bytes(receipt, 60, number):
            assert forged == receipt or not both(forged), forged


def test_neither_takes_a_day_with_any_byte_changed(both_on_days: Judge, days: list[bytes]) -> None:
    for number, day in enumerate(days):
        for forged in changed_bytes(day, 120, number):
            assert forged == day or not both_on_days(forged), forged


def is_weaker(document: Document, original: Document) -> bool:
    """What may be left out, or put beside the signatures, without anything becoming false."""
    one, two = copy.deepcopy(document), copy.deepcopy(original)
    shown, all_of_them = one.pop("disclosures", []), two.pop("disclosures", [])
    if not isinstance(shown, list) or [item for item in all_of_them if item in shown] != shown:
        return False
    if one["daily_root"] is None:
        two["daily_root"] = None
    if one["root"] is None and one["daily_root"] is None:
        two["root"] = None
    return without_strangers(one) == without_strangers(two)


def without_strangers(value: Any) -> Any:
    """Notes with one signature each: more of them, by strangers or the same again, say nothing."""
    if isinstance(value, dict):
        return {name: without_strangers(member) for name, member in value.items()}
    if isinstance(value, str) and "\n\n" in value:
        body, _, signatures = value.partition("\n\n")
        return body, signatures.split("\n")[0]
    return value


def test_neither_takes_a_receipt_with_any_member_changed(both: Judge, receipts: list[bytes]) -> None:
    documents = [json.loads(receipt) for receipt in receipts]
    seen = weaker = 0
    for number, document in enumerate(documents):
        others = [other for other in documents if other["leaf_index"] != document["leaf_index"]]
        forgeries = changed_documents(document, others, number)
        for forged in islice(forgeries, number % 3, None, 3):
            seen += 1
            weaker += (taken := both(encode(forged) + b"\n"))
            assert not taken or is_weaker(forged, document), forged
    assert seen > 400 and 0 < weaker < seen / 4


def test_neither_takes_a_day_with_any_member_changed(both_on_days: Judge, days: list[bytes]) -> None:
    documents = [json.loads(day) for day in days]
    for number, document in enumerate(documents):
        for forged in changed_documents(document, [documents[1 - number]], number):
            taken = both_on_days(encode(forged) + b"\n")
            assert not taken or without_strangers(forged) == without_strangers(document), forged


@pytest.mark.parametrize(
    "text",
    [b"", b"\n", b"{}\n", b"[]\n", b"null\n", b"\xff\n", b"{" * 10_000 + b"\n", b'{"format":"ledger-receipt/v1"}\n'],
)
def test_neither_takes_what_is_no_document(both: Judge, both_on_days: Judge, text: bytes) -> None:
    assert not both(text) and not both_on_days(text)


SPELLINGS: list[Callable[[bytes], bytes]] = [
    lambda text: text[:-1],
    lambda text: text + b"\n",
    lambda text: b" " + text,
    lambda text: text.replace(b",", b", ", 1),
]


@pytest.mark.parametrize("change", SPELLINGS)
def test_neither_takes_another_spelling(
    both: Judge, both_on_days: Judge, receipts: list[bytes], days: list[bytes], change: Callable[[bytes], bytes]
) -> None:
    assert not any(both(change(receipt)) for receipt in receipts)
    assert not any(both_on_days(change(day)) for day in days)


def test_disclosures_belong_to_their_entry_and_stand_in_order(both: Judge, receipts: list[bytes]) -> None:
    documents = [json.loads(receipt) for receipt in receipts]
    document, other = documents[-1], documents[1]
    assert document["root"] is None
    disclosures = document["disclosures"]
    repeated = [disclosures[0], *disclosures]
    for shown in (disclosures[::-1], disclosures * 2, repeated, other["disclosures"], [*disclosures, disclosures[0]]):
        assert not both(encode(document | {"disclosures": shown}) + b"\n")
    for shown in (disclosures[:1], disclosures[1:], disclosures[::2], []):
        assert both(encode(document | {"disclosures": shown}) + b"\n")


def test_receipt_of_a_fork_is_good_evidence_but_not_ours(made_ledger: Settings, room: Room) -> None:
    """Two copies of a ledger with the same keys: what one signed the other's keys verify, its log does not hold."""
    with World(room.copy(made_ledger)) as one, World(room.copy(made_ledger)) as two:
        receipts = []
        for world, call_id in ((one, "allowed"), (two, "denied")):
            [item] = world.report(call_id).items
            receipts.append(world.fresh_receipt(item.leaf_index))
        assert verify_receipt(known_keys(two.ledger), receipts[0]) is None
        assert verify_own_receipt(one.ledger, receipts[0]) is None
        assert "another entry" in (verify_own_receipt(two.ledger, receipts[0]) or "")
