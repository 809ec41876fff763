# SPDX-License-Identifier: Apache-2.0
import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, read_checkpoint
from ledger.tlog.errors import MalformedError, SignatureError, TlogError
from ledger.tlog.merkle import EMPTY_ROOT
from ledger.tlog.note import SigningKey, open_note, parse_vkey
from ledger.tlog.text import MAX_INTEGER
from tests.tlog.vectors import signing

ERRORS = {"malformed": MalformedError, "signature": SignatureError}
KEY = SigningKey("example.com/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = SigningKey("example.org/other", Ed25519PrivateKey.from_private_bytes(bytes(32)))
CHECKPOINT = Checkpoint("example.com/log", 5, bytes(range(32)))
NOTE = CHECKPOINT.sign(KEY)

origins = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='+"\\'), min_size=1, max_size=60)
checkpoints = st.builds(Checkpoint, origins, st.integers(1, MAX_INTEGER), st.binary(min_size=32, max_size=32))


def unverified(note):
    """What stands above the last empty line, whatever it is signed with."""
    return note.rpartition("\n\n")[0] + "\n"


@pytest.mark.vectors("checkpoints")
def test_open_checkpoint_agrees_with_vectors(case):
    vkeys = [parse_vkey(vkey) for vkey in case["vkeys"]]
    if case["ok"]:
        checkpoint = Checkpoint(case["origin"], case["size"], base64.b64decode(case["root"]))
        assert open_checkpoint(case["note"], vkeys) == checkpoint
        assert open_checkpoint(case["note"].encode(), iter(vkeys)) == checkpoint
        assert read_checkpoint(case["note"]) == checkpoint
        assert checkpoint.format() == unverified(case["note"])
    else:
        with pytest.raises(ERRORS[case["error"]]):
            open_checkpoint(case["note"], vkeys)


@pytest.mark.vectors("checkpoints")
def test_read_checkpoint_refuses_just_the_malformed_vectors(case):
    if case.get("error") == "malformed":
        with pytest.raises(MalformedError):
            read_checkpoint(case["note"])
    else:
        assert read_checkpoint(case["note"]).format() == unverified(case["note"])


def test_published_head_of_sumdb_is_a_note_whose_origin_is_refused():
    """The signature is good, but its origin has spaces and is not the name of its key: we take no such thing."""
    vkey = parse_vkey(signing.SUMDB_VKEY)
    assert open_note(signing.SUMDB_NOTE, [vkey]) == signing.SUMDB_TEXT
    with pytest.raises(MalformedError, match="not an origin"):
        open_checkpoint(signing.SUMDB_NOTE, [vkey])


@given(checkpoints)
def test_checkpoint_is_read_as_it_is_written(checkpoint):
    assert parse_checkpoint(checkpoint.format()) == checkpoint


@pytest.mark.parametrize("size", [1, MAX_INTEGER])
def test_checkpoint_of_an_extreme_size_is_read(size):
    checkpoint = Checkpoint("example.com/log", size, bytes(32))
    assert parse_checkpoint(checkpoint.format()) == checkpoint


def test_checkpoint_of_the_empty_tree_has_the_empty_root():
    empty = Checkpoint("example.com/log", 0, EMPTY_ROOT)
    assert parse_checkpoint(empty.format()) == empty
    with pytest.raises(MalformedError, match="empty tree"):
        parse_checkpoint(Checkpoint("example.com/log", 0, bytes(32)).format())


@given(st.text())
def test_parse_checkpoint_refuses_whatever_is_no_checkpoint(text):
    with pytest.raises(MalformedError):
        parse_checkpoint(text)


@given(st.data(), checkpoints)
def test_parse_checkpoint_takes_one_text_a_checkpoint(edited, data, checkpoint):
    text = data.draw(edited(checkpoint.format()))
    try:
        parsed = parse_checkpoint(text)
    except MalformedError:
        assert text != checkpoint.format()
    else:
        assert parsed.format() == text


@given(st.data())
def test_edited_checkpoint_is_refused_or_still_the_signed_one(edited, data):
    note = data.draw(edited(NOTE))
    try:
        opened = open_checkpoint(note, [KEY.vkey, OTHER.vkey])
    except TlogError:
        assert note != NOTE
    else:
        assert opened == CHECKPOINT


@given(st.text() | st.binary())
def test_open_checkpoint_refuses_whatever_is_no_note(note):
    with pytest.raises(TlogError):
        open_checkpoint(note, [KEY.vkey])


def test_key_of_one_trusted_log_cannot_sign_for_another():
    """Both keys are trusted, each for its own log."""
    forged = OTHER.sign(CHECKPOINT.format())
    for vkeys in ([KEY.vkey, OTHER.vkey], [OTHER.vkey, KEY.vkey]):
        with pytest.raises(SignatureError):
            open_checkpoint(forged, vkeys)
    with pytest.raises(SignatureError, match="no trusted key has the name of the origin"):
        open_checkpoint(forged, [OTHER.vkey])
    own_line = NOTE.rpartition("\n\n")[2]
    assert open_checkpoint(forged + own_line, [KEY.vkey, OTHER.vkey]) == CHECKPOINT


def test_sign_refuses_a_key_with_another_name():
    with pytest.raises(AssertionError):
        CHECKPOINT.sign(OTHER)
