# SPDX-License-Identifier: Apache-2.0
"""Many leaves read together: what comes out is what the strict reader gives of each, or nothing.

The strict reader itself is held to its rules in `test_entry.py` and `test_events.py`.
"""

import re
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.canonical import encode
from ledger.log.entry import MAX_ENTRY_BYTES, IdSource, compose, format_time, format_uuid
from ledger.log.events import Event, Governing, catalogue
from ledger.log.events.calls import AgentManifestReported, CallReported
from ledger.log.events.logs import EvidenceExported
from ledger.log.leaf import InvalidEntryError, LeafReader, read_leaf
from ledger.log.sealed import Commitment, SealedMembers
from tests.log.world import NOON

READERS = {name: (event, reader) for name, event in catalogue().items() if (reader := LeafReader.of(event)) is not None}
MOMENTS = st.integers(0, 4_000_000_000_000).map(format_time)
DIGESTS = st.sampled_from("AEIMQUYcgkosw048").flatmap(
    lambda last: st.from_regex(r"[A-Za-z0-9_-]{42}", fullmatch=True).map(lambda text: text + last)
)
NAMES = st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True)
TEXTS = st.text(max_size=20) | st.sampled_from(['"', "\\", "\n", "é", "\x7f", "a/b", "{}", '","'])


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values that a field of this type may have."""
    if kind is Commitment:
        return st.builds(Commitment, DIGESTS)
    if kind == SealedMembers:
        by_member = st.dictionaries(NAMES, st.builds(Commitment, DIGESTS), max_size=4)
        return by_member | st.builds(lambda digest: {"$sealed": digest}, DIGESTS)
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kinds := get_args(kind):
        return st.one_of([values(one) for one in kinds])
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXTS,
        int: st.integers(0, 2**53 - 1),
        bool: st.booleans(),
        msgspec.UnsetType: st.just(msgspec.UNSET),
    }
    return simple[kind]


@st.composite
def leaves(draw: st.DrawFn, event: type[Event]) -> bytes:
    fields = {field.name: draw(values(field.type)) for field in msgspec.structs.fields(event)}
    return compose(
        data=encode(event(**fields)),
        id=format_uuid(IdSource(0).next(draw(st.integers(NOON, NOON + 9)))),
        recordedat=draw(MOMENTS),
        source="localhost/log/1",
        subject=draw(st.none() | TEXTS),
        time=draw(st.none() | MOMENTS),
        type=event.type,
    )


def commitments(event: Event) -> list[tuple[str, str]]:
    found = []
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, Commitment):
            found.append((f"/data/{name}", value.digest))
        elif isinstance(value, dict):
            found += [
                (f"/data/{name}/{member}", sealed.digest)
                if isinstance(sealed, Commitment)
                else (f"/data/{name}", sealed)
                for member, sealed in value.items()
            ]
    return sorted(found)


def plain(value: Any) -> Any:
    """A field's value, or an envelope's, without the types that hold it."""
    return None if value is msgspec.UNSET else msgspec.to_builtins(value)


def same_as_the_strict_reader(reader: LeafReader, texts: list[bytes]) -> bool:
    """Whether something came out; what did is what the strict reader gives."""
    read = reader.read(texts)
    if read is None:
        return False
    assert len(read.entries) == len(read.pointers) == len(texts)
    digests = iter(read.digests)
    for text, entry, pointers in zip(texts, read.entries, read.pointers, strict=True):
        envelope, event = read_leaf(text)
        for name in ("id", "recordedat", "source", "subject", "time", "type"):
            assert getattr(entry, name) == getattr(envelope, name)
        for name in event.__struct_fields__:
            assert plain(getattr(entry.data, name)) == plain(getattr(event, name))
        assert [(pointer, next(digests)) for pointer in pointers] == commitments(event)
    assert next(digests, None) is None
    return True


def test_whatever_there_may_be_many_of_has_a_reader() -> None:
    without = {name for name, event in catalogue().items() if name not in READERS and not issubclass(event, Governing)}
    assert without == {AgentManifestReported.type, EvidenceExported.type}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40)
@given(data=st.data())
def test_what_is_composed_is_read_as_the_strict_reader_reads_it(name: str, data: st.DataObject) -> None:
    event, reader = READERS[name]
    assert same_as_the_strict_reader(reader, data.draw(st.lists(leaves(event), min_size=1, max_size=4)))


STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
# What somebody might write in another way, or in the wrong place.
PIECES = [
    b" ", b"\n", b"\t", b",", b":", b'"', b"\\", b"{", b"}", b"[", b"]", b"0", b"-0", b"1.0", b"1e0", b"null", b"true",
    b"a", b"Z", b"\\u0041", b"\\/", b"\x7f", b"\x00", b"\xff", b"\xc3\xa9", b'"x":1,', b'{"$sealed":"x"}',
    b"\n{}\n", b"2026-02-30T12:00:00.000Z", b"2026-01-01T24:00:00.000Z", b"2026-01-01T23:59:60.000Z",
]  # fmt: skip


@st.composite
def broken(draw: st.DrawFn, leaf: bytes) -> bytes:
    """A leaf with a piece of it changed, taken out, said twice or put elsewhere."""
    strings = [match.span() for match in STRING.finditer(leaf)]
    lo, hi = draw(st.sampled_from(strings) | st.integers(0, len(leaf)).map(lambda at: (at, min(at + 1, len(leaf)))))
    piece = draw(st.sampled_from(PIECES) | st.just(leaf[lo:hi]) | st.binary(max_size=3))
    at = draw(st.sampled_from([lo, hi]))
    ways = [
        leaf[:lo] + piece + leaf[hi:],
        leaf[:lo] + b'"' + piece + b'"' + leaf[hi:],
        leaf[:at] + piece + leaf[at:],
        leaf[:lo] + leaf[hi:],
        leaf[:lo] + leaf[lo:hi].swapcase() + leaf[hi:],
    ]
    return draw(st.sampled_from(ways))


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150)
@given(data=st.data())
def test_a_broken_leaf_is_never_read_but_as_the_strict_reader_does(name: str, data: st.DataObject) -> None:
    event, reader = READERS[name]
    texts = data.draw(st.lists(leaves(event), min_size=1, max_size=3))
    place = data.draw(st.integers(0, len(texts) - 1))
    for _ in range(data.draw(st.integers(1, 3))):
        texts[place] = data.draw(broken(texts[place]))
    if not same_as_the_strict_reader(reader, texts):
        assert reader.read(texts) is None


A = "A" * 43
DATA = {
    "agent_id": '"a"', "call_id": '"c"', "env": '"production"', "key_id": '"k"', "mode": '"enforce"',
    "tool_args": f'{{"x":{{"$sealed":"{A}"}}}}', "tool_name": '"t"', "v": "1", "verdict": '"allow"',
}  # fmt: skip
ENVELOPE = {
    "id": f'"{format_uuid(IdSource(0).next(NOON))}"', "recordedat": '"2026-03-01T12:00:00.000Z"',
    "source": '"localhost/log/1"', "specversion": '"1.0"', "subject": '"s"', "time": '"2026-03-01T12:00:00.000Z"',
    "type": '"call.reported"',
}  # fmt: skip


def call(**changes: str) -> bytes:
    """A reported call, put together by hand from the JSON texts of its members."""
    data = DATA | {name: text for name, text in changes.items() if name not in ENVELOPE}
    envelope = ENVELOPE | {name: text for name, text in changes.items() if name in ENVELOPE}
    return json_object({"data": json_object(data), **envelope}).encode()


def json_object(members: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{text}' for name, text in sorted(members.items())) + "}"


REFUSED = {
    "a day that no month has": {"time": '"2026-02-30T12:00:00.000Z"'},
    "an hour too many": {"recordedat": '"2026-03-01T24:00:00.000Z"'},
    "a time in another spelling": {"time": '"2026-03-01T12:00:00Z"'},
    "an id of another version": {"id": '"019ca945-0a00-46eb-ab69-775081e3fe77"'},
    "an id in capitals": {"id": '"019CA945-0A00-76EB-AB69-775081E3FE77"'},
    "a source that JSON escapes": {"source": '"local\\"host"'},
    "a member without a plain name": {"tool_args": f'{{"x y":{{"$sealed":"{A}"}}}}'},
    "members out of order": {"tool_args": f'{{"y":{{"$sealed":"{A}"}},"x":{{"$sealed":"{A}"}}}}'},
    "a member that is not sealed": {"tool_args": f'{{"x":"{A}"}}'},
    "a digest with bits too many": {"tool_args": f'{{"x":{{"$sealed":"{A[:-1]}B"}}}}'},
    "a digest that is too short": {"principal": f'{{"$sealed":"{A[:-1]}"}}'},
    "another version": {"v": "2"},
    "another type": {"type": '"call.decided"'},
    "an unknown verdict": {"verdict": '"maybe"'},
    "a null": {"principal": "null"},
    "a number as text": {"v": '"1"'},
    "more bytes than an entry has": {"call_id": '"' + "c" * MAX_ENTRY_BYTES + '"'},
    "more members than are sealed singly": {
        "tool_args": json_object({f"{number:03}": f'{{"$sealed":"{A}"}}' for number in range(65)})
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_strict_reader_refuses_is_not_read(name: str) -> None:
    _, reader = READERS[CallReported.type]
    assert same_as_the_strict_reader(reader, [call()])
    with pytest.raises(InvalidEntryError):
        read_leaf(call(**REFUSED[name]))
    assert reader.read([call(), call(**REFUSED[name]), call()]) is None


def test_lines_are_not_taken_for_leaves() -> None:
    """Two leaves in one, and none in the next, are as many lines as two leaves."""
    _, reader = READERS[CallReported.type]
    assert reader.read([call() + b"\n" + call(), b""]) is None
    assert reader.read([]) is None
