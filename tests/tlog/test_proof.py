# SPDX-License-Identifier: Apache-2.0
import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.errors import MalformedError, ProofError, SignatureError, TlogError
from ledger.tlog.note import SigningKey, parse_vkey
from ledger.tlog.proof import MAX_PATH, TlogProof, parse_tlog_proof, verify_tlog_proof
from ledger.tlog.text import MAX_INTEGER
from tests.tlog.vectors import signing

ERRORS = {"malformed": MalformedError, "signature": SignatureError, "proof": ProofError}
KEY = SigningKey("example.com/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
hashes = st.binary(min_size=32, max_size=32)


def make_proof(tree, index, size, extra=None):
    checkpoint = Checkpoint(KEY.name, size, tree.root(size))
    return TlogProof(index, tuple(tree.inclusion(index, size)), checkpoint.sign(KEY), extra)


@pytest.mark.vectors("tlog_proofs")
def test_tlog_proof_agrees_with_vectors(case):
    vkeys = [parse_vkey(vkey) for vkey in case["vkeys"]]
    data = base64.b64decode(case["data"])
    if case["ok"]:
        proof = parse_tlog_proof(case["proof"])
        checkpoint = verify_tlog_proof(proof, data, vkeys)
        extra = None if proof.extra is None else base64.b64encode(proof.extra).decode()
        root = base64.b64encode(checkpoint.root).decode()
        found = proof.index, extra, checkpoint.size, root
        assert found == (case["index"], case["extra"], case["size"], case["root"])
        assert proof.format() == case["proof"]
    elif case["error"] == "malformed":
        with pytest.raises(MalformedError):
            parse_tlog_proof(case["proof"])
    else:
        proof = parse_tlog_proof(case["proof"])
        assert proof.format() == case["proof"]
        with pytest.raises(ERRORS[case["error"]]):
            verify_tlog_proof(proof, data, vkeys)


def test_published_proof_is_what_its_parts_give(textbook):
    tree = textbook.Tree([textbook.leaf(data) for data in signing.TESSERA_LEAVES])
    proof = TlogProof(2, tuple(tree.inclusion(2, 5)), signing.TESSERA_CHECKPOINT)
    assert proof.format() == signing.TESSERA_PROOF
    verify_tlog_proof(proof, b"three", [parse_vkey(signing.TESSERA_VKEY)])


def test_proof_of_every_leaf_verifies_for_that_leaf_alone(tree):
    for size in range(1, 10):
        for index in range(size):
            proof = parse_tlog_proof(make_proof(tree, index, size).format())
            assert verify_tlog_proof(proof, b"leaf %d" % index, [KEY.vkey]).size == size
            for other in {*range(size)} - {index}:
                with pytest.raises(ProofError):
                    verify_tlog_proof(proof, b"leaf %d" % other, [KEY.vkey])


@given(
    st.integers(0, MAX_INTEGER),
    st.lists(hashes, max_size=MAX_PATH).map(tuple),
    st.none() | st.binary(),
    st.integers(1, MAX_INTEGER),
)
def test_tlog_proof_is_read_as_it_is_written(index, path, extra, size):
    proof = TlogProof(index, path, Checkpoint(KEY.name, size, bytes(32)).sign(KEY), extra)
    assert parse_tlog_proof(proof.format()) == proof


def test_path_of_64_hashes_is_malformed():
    proof = TlogProof(0, (bytes(32),) * 64, Checkpoint(KEY.name, 5, bytes(32)).sign(KEY))
    with pytest.raises(MalformedError, match="at most 63"):
        parse_tlog_proof(proof.format())


@pytest.mark.parametrize("extra", [None, b"", b"\0", b"leaf 2"])
def test_extra_is_carried_and_not_verified(tree, extra):
    proof = parse_tlog_proof(make_proof(tree, 2, 5, extra).format())
    assert proof.extra == extra
    assert verify_tlog_proof(proof, b"leaf 2", [KEY.vkey]) == Checkpoint(KEY.name, 5, tree.root(5))


@given(st.data())
def test_edited_proof_is_refused_or_proves_the_same(edited, tree, data):
    proof = make_proof(tree, 2, 5, b"extra")
    text = data.draw(edited(proof.format()))
    try:
        parsed = parse_tlog_proof(text)
        checkpoint = verify_tlog_proof(parsed, b"leaf 2", [KEY.vkey])
    except TlogError:
        assert text != proof.format()
    else:
        assert (parsed.index, parsed.path, checkpoint.root) == (proof.index, proof.path, tree.root(5))
        assert parsed.format() == text


def test_proof_with_any_character_changed_is_refused(tree):
    text = make_proof(tree, 4, 7).format()
    for position, character in enumerate(text):
        changed = text[:position] + chr(ord(character) ^ 1) + text[position + 1 :]
        with pytest.raises(TlogError):
            verify_tlog_proof(parse_tlog_proof(changed), b"leaf 4", [KEY.vkey])


def test_truncated_proof_is_malformed(tree):
    text = make_proof(tree, 4, 7, b"extra").format()
    for length in range(len(text)):
        with pytest.raises(MalformedError):
            parse_tlog_proof(text[:length])


@given(st.text() | st.text().map(lambda text: f"c2sp.org/tlog-proof@v1\nindex 0\n{text}"))
def test_parse_tlog_proof_refuses_whatever_is_no_proof(text):
    with pytest.raises(MalformedError):
        parse_tlog_proof(text)


def test_proof_made_for_another_log_is_refused(tree):
    proof = make_proof(tree, 2, 5)
    other = SigningKey("example.org/other", KEY.private_key)
    with pytest.raises(SignatureError):
        verify_tlog_proof(proof, b"leaf 2", [other.vkey])
    with pytest.raises(SignatureError):
        verify_tlog_proof(proof, b"leaf 2", [])


def test_half_a_surrogate_pair_in_a_cosignature_is_malformed(tree):
    text = make_proof(tree, 2, 5).format()
    with pytest.raises(MalformedError, match="surrogate"):
        parse_tlog_proof(f"{text}— \ud800 AAAAAAA=\n")
