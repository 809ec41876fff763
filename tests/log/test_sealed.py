# SPDX-License-Identifier: Apache-2.0
"""Sealed fields: the digest rule of RFC 9901 computed again, values byte for byte, nothing of them in a leaf."""

import base64
import json
from contextlib import suppress
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.entry import read_envelope
from ledger.log.errors import DamagedError
from ledger.log.events import read_event
from ledger.log.keystore import DataKey
from ledger.log.receipts import disclosures_of
from ledger.log.report import Reporter, draft_report, read_report
from ledger.log.sealed import (
    NONCE_BYTES,
    SALT_BYTES,
    Commitment,
    Field,
    decrypt,
    digest_of,
    is_sealed,
    member_fields,
    read_disclosure,
    seal,
    sealed_by_member,
    sealed_members,
)
from tests.log.world import World, event

KEY = DataKey(b"k" * 16, bytes(range(32)))
CONTEXT = b"localhost/log/1"
POINTERS = st.from_regex(r"/data/[a-z_]{1,12}(/[A-Za-z0-9_.-]{1,12})?", fullmatch=True)
ARGUMENTS = st.from_regex(r"/data/tool_args/[A-Za-z0-9_.-]{1,64}", fullmatch=True)
JSON_TEXTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).flatmap(
    lambda value: st.builds(
        json.dumps, st.just(value), ensure_ascii=st.booleans(), indent=st.none() | st.just(1), sort_keys=st.booleans()
    )
)
# Text that occurs in no leaf by chance.
SECRETS = st.text(max_size=20).map("a very ~ secret {}".format)
DIGEST = "A" * 43


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def urlsafe_b64decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


@given(st.dictionaries(POINTERS, JSON_TEXTS.filter(is_utf8), min_size=1, max_size=6))
def test_commitments_follow_rfc_9901_and_values_come_back_byte_for_byte(fields: dict[str, str]) -> None:
    """The rule in the test's own words: D = b64url(["salt","pointer",value]), digest = b64url(sha256(D))."""
    sealed = seal([(pointer, text.encode()) for pointer, text in fields.items()])
    commitments = sealed.commitments
    assert list(commitments) == list(fields)
    blob = sealed.encrypt(KEY, CONTEXT)
    assert blob is not None
    shown = decrypt(blob, KEY, CONTEXT)
    assert len(shown) == len(fields)
    salts = set()
    for disclosure in shown:
        array = urlsafe_b64decode(disclosure).decode()
        salt, pointer, _ = json.loads(array)
        assert array == f'["{salt}","{pointer}",{fields[pointer]}]'
        assert len(base64.urlsafe_b64decode(salt + "=")) == 32
        assert commitments[pointer].digest == b64url(sha256(disclosure.encode("ascii")).digest())
        assert digest_of(disclosure) == commitments[pointer].digest
        read = read_disclosure(disclosure)
        assert (read.salt, read.pointer, bytes(read.value)) == (salt, pointer, fields[pointer].encode())
        salts.add(salt)
    assert len(salts) == len(fields)


@given(st.dictionaries(POINTERS | ARGUMENTS, JSON_TEXTS.filter(is_utf8), min_size=1, max_size=6))
def test_blob_is_smaller_than_the_disclosures_it_opens_to(fields: dict[str, str]) -> None:
    sealed = seal([(pointer, text.encode()) for pointer, text in fields.items()])
    blob = sealed.encrypt(KEY, CONTEXT)
    assert blob is not None
    shown = [urlsafe_b64decode(text) for text in decrypt(blob, KEY, CONTEXT)]
    assert sealed.size == sum(map(len, shown))
    assert len(blob) - NONCE_BYTES - 16 < len(b"[%b]" % b",".join(shown))


@given(st.dictionaries(POINTERS | ARGUMENTS, JSON_TEXTS.filter(is_utf8), min_size=1, max_size=6))
def test_blobs_of_before_open_to_the_same_disclosures(fields: dict[str, str]) -> None:
    """They held the disclosures as a JSON array in pointer order."""
    blob = seal([(pointer, text.encode()) for pointer, text in fields.items()]).encrypt(KEY, CONTEXT)
    assert blob is not None
    shown = decrypt(blob, KEY, CONTEXT)
    array = b"[%b]" % b",".join(map(urlsafe_b64decode, shown))
    before = blob[:NONCE_BYTES] + KEY.aead.encrypt(blob[:NONCE_BYTES], array, CONTEXT)
    assert decrypt(before, KEY, CONTEXT) == shown


@given(st.dictionaries(POINTERS | ARGUMENTS, JSON_TEXTS.filter(is_utf8), min_size=2, max_size=6))
def test_fields_keep_their_salts_when_others_are_taken_out(fields: dict[str, str]) -> None:
    """Then the salts of those that stay are kept one by one, and the seed is gone."""
    blob = seal([(pointer, text.encode()) for pointer, text in fields.items()]).encrypt(KEY, CONTEXT)
    assert blob is not None
    _, *staying = decrypt(blob, KEY, CONTEXT)
    read = [read_disclosure(text) for text in staying]
    salts = b"".join(urlsafe_b64decode(disclosure.salt) for disclosure in read)
    values = {disclosure.pointer: bytes(disclosure.value) for disclosure in read}
    kept = KEY.aead.encrypt(blob[:NONCE_BYTES], msgspec.msgpack.encode((salts, values)), CONTEXT)
    assert decrypt(blob[:NONCE_BYTES] + kept, KEY, CONTEXT) == staying


@given(
    st.binary().filter(lambda text: not text.startswith(b"["))
    | st.builds(msgspec.msgpack.encode, st.tuples(st.binary(), st.dictionaries(st.text(), st.binary())))
)
def test_what_is_no_blob_is_refused_or_has_all_its_fields(text: bytes) -> None:
    blob = bytes(NONCE_BYTES) + KEY.aead.encrypt(bytes(NONCE_BYTES), text, CONTEXT)
    with suppress(ValueError, msgspec.MsgspecError):
        shown = decrypt(blob, KEY, CONTEXT)
        salts, values = msgspec.msgpack.decode(text)
        assert len(shown) == len(values)
        assert len(salts) in (SALT_BYTES, SALT_BYTES * len(values))


@given(st.lists(POINTERS | ARGUMENTS, unique=True, min_size=2, max_size=20))
def test_disclosures_are_in_the_order_of_their_pointers(pointers: list[str]) -> None:
    blob = seal([(pointer, b'"\\",\\""') for pointer in pointers]).encrypt(KEY, CONTEXT)
    assert blob is not None
    shown = [read_disclosure(text).pointer for text in decrypt(blob, KEY, CONTEXT)]
    assert shown == sorted(pointers, key=str.encode)


def test_equal_values_have_distinct_digests() -> None:
    fields: list[Field] = [(f"/data/{place}", b"true") for place in range(500)]
    digests = {commitment.digest for commitment in seal(fields).commitments.values()}
    digests |= {seal([("/data/0", b"true")]).commitments["/data/0"].digest for _ in range(500)}
    assert len(digests) == 1000


def test_blob_opens_under_its_own_key_and_context_only() -> None:
    blob = seal([("/data/reason", b'"a reason"')]).encrypt(KEY, CONTEXT)
    assert blob is not None and b"reason" not in blob
    for key, context in ((DataKey(KEY.key_id, bytes(32)), CONTEXT), (KEY, b"localhost/log/2")):
        with pytest.raises(DamagedError):
            decrypt(blob, key, context)
    for short in (b"", blob[:11], blob[:12], blob[:-1]):
        with pytest.raises(DamagedError):
            decrypt(short, KEY, CONTEXT)
    for position in range(len(blob)):
        with pytest.raises(DamagedError):
            decrypt(blob[:position] + bytes([blob[position] ^ 1]) + blob[position + 1 :], KEY, CONTEXT)


def test_event_without_sealed_fields_has_no_blob() -> None:
    assert seal([]).encrypt(KEY, CONTEXT) is None


# Grain


@pytest.mark.parametrize(
    ("names", "by_member"),
    [
        ([], True),
        (["a"], True),
        ([f"a{i}" for i in range(64)], True),
        ([f"a{i}" for i in range(65)], False),
        (["x" * 64], True),
        (["x" * 65], False),
        (["A.b-c_9"], True),
        ([""], False),
        (["$sealed"], False),
        (["a b"], False),
        (["a/b"], False),
        (["a~b"], False),
        (['a"b'], False),
        (["é"], False),
        (["a\n"], False),
        (["٣"], False),
        (["good", "not good"], False),
    ],
)
def test_arguments_are_sealed_by_member_up_to_64_plain_names(names: list[str], by_member: bool) -> None:
    assert sealed_by_member(names) == by_member
    members = {name: msgspec.Raw(b"1") for name in names}
    text = json.dumps(dict.fromkeys(names, 1)).encode()
    made = seal(member_fields("/data/tool_args", members, text))
    sealed = sealed_members("/data/tool_args", made.commitments)
    assert is_sealed(dict(sealed))
    blob = made.encrypt(KEY, CONTEXT)
    shown = [] if blob is None else [read_disclosure(disclosure) for disclosure in decrypt(blob, KEY, CONTEXT)]
    if by_member:
        assert list(sealed) == names
        assert sorted(d.pointer for d in shown) == sorted(f"/data/tool_args/{name}" for name in names)
    else:
        [disclosure] = shown
        assert list(sealed) == ["$sealed"]
        assert (disclosure.pointer, bytes(disclosure.value)) == ("/data/tool_args", text)


@pytest.mark.parametrize(
    "members",
    [
        {"a": "open"},
        {"$sealed": Commitment(DIGEST)},
        {"$sealed": DIGEST, "a": Commitment(DIGEST)},
        {"a": Commitment(DIGEST), "b": DIGEST},
        {"not plain": Commitment(DIGEST)},
        {f"a{i}": Commitment(DIGEST) for i in range(65)},
    ],
)
def test_members_that_are_not_sealed_throughout_are_noticed(members: dict[str, Any]) -> None:
    assert not is_sealed(members)


@pytest.mark.parametrize(
    "digest", ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 42 + "+", "A" * 42 + "é", "A" * 43 + "\\n"]
)
def test_commitment_with_another_digest_is_refused(digest: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"$sealed":"{digest}"}}', type=Commitment)


@pytest.mark.parametrize(
    "text", ['{"$sealed":7}', '{"$sealed":null}', "{}", f'{{"$sealed":"{DIGEST}","a":1}}', f'"{DIGEST}"']
)
def test_commitment_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Commitment)


# Disclosures from outside


def disclosure_of(text: str) -> str:
    return b64url(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "A",
        disclosure_of("[]"),
        disclosure_of("{}"),
        disclosure_of(f'["{DIGEST}","/data/reason"]'),
        disclosure_of(f'["{DIGEST}","/data/reason",1,2]'),
        disclosure_of(f'["{DIGEST}",7,1]'),
        disclosure_of('["short","/data/reason",1]'),
        disclosure_of(f'["{DIGEST[:-1]}B","/data/reason",1]'),
        disclosure_of(f'["{DIGEST}","/data/reason",1]') + "=",
        disclosure_of(f'["{DIGEST}","/data/reason",1]') + "\n",
        disclosure_of(f'["{DIGEST}","/data/reason",1'),
        b64url(b'["' + DIGEST.encode() + b'","/data/\xff",1]'),
    ],
)
def test_disclosure_in_another_form_is_refused(text: str) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        read_disclosure(text)


# In the log


@settings(max_examples=25)
@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), SECRETS, max_size=4),
    SECRETS,
)
def test_leaf_holds_neither_values_nor_salts(sealing_world: World, arguments: dict[str, str], reason: str) -> None:
    secrets = [*arguments.values(), reason]
    payload = {"tool_args": arguments, "reason": reason, "principal": {"user_id": "ada-lovelace"}, "result": secrets}
    [item] = sealing_world.report(f"call-{sealing_world.size}", payload=payload).items
    assert item.leaf is not None
    shown = [read_disclosure(d) for d in disclosures_of(sealing_world.ledger, sealing_world.log, item.leaf_index)]
    assert {d.pointer: msgspec.json.decode(d.value) for d in shown} == {
        **{f"/data/tool_args/{name}": value for name, value in arguments.items()},
        "/data/reason": reason,
        "/data/principal": {"user_id": "ada-lovelace"},
        "/data/result": secrets,
    }
    [row] = sealing_world.ledger.store.rows(1, item.leaf_index, item.leaf_index + 1)
    assert row.sealed is not None
    for value in (*secrets, "ada-lovelace", *(d.salt for d in shown)):
        for spelled in (value.encode(), json.dumps(value)[1:-1].encode()):
            assert spelled not in item.leaf and spelled not in row.sealed


@pytest.fixture(scope="module")
def sealing_world(open_world: Any) -> Any:
    with open_world() as world:
        yield world


def test_values_come_back_byte_for_byte_however_they_were_spelled(world: World) -> None:
    spelled = '{ "n" : 1.50e+3, "big": 123456789012345678901234567890, "s":"\\u0041\\/\\ud83d\\ude02", "a" : [ ] }'
    body = json.dumps({"events": [event("a", payload={"tool_args": "HERE"})]}).replace('"HERE"', spelled)
    reporter = Reporter(key_id="k", env=None)
    [draft] = draft_report(world.ledger, world.log, read_report(body.encode()), reporter, world.clock())
    [item] = world.append(draft).items
    shown = {
        d.pointer: bytes(d.value)
        for d in map(read_disclosure, disclosures_of(world.ledger, world.log, item.leaf_index))
    }
    assert shown == {
        "/data/tool_args/n": b"1.50e+3",
        "/data/tool_args/big": b"123456789012345678901234567890",
        "/data/tool_args/s": b'"\\u0041\\/\\ud83d\\ude02"',
        "/data/tool_args/a": b"[ ]",
    }


def test_absent_and_null_fields_leave_no_trace(world: World) -> None:
    payload = {"tool_args": None, "principal": None, "reason": None, "result": None}
    [item] = world.report("a", payload=payload).items
    assert item.leaf is not None and b"$sealed" not in item.leaf
    assert world.ledger.store.sealed(1, item.leaf_index) is None
    assert disclosures_of(world.ledger, world.log, item.leaf_index) == []
    assert read_event(read_envelope(item.leaf)) is not None


def test_empty_arguments_are_seen_to_be_empty(world: World) -> None:
    [item] = world.report("a", payload={"tool_args": {}}).items
    assert item.leaf is not None and b'"tool_args":{}' in item.leaf
