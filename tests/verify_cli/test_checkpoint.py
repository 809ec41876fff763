# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: a published one, the fields, and the line in the tree of heads."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError
from ledger_verify.checkpoint import head_line_hash, parse_checkpoint, same_tree, signed_by
from ledger_verify.merkle import leaf_hash, verify_inclusion
from ledger_verify.note import MAX_NOTE_BYTES, parse_vkey

from .textbook import Signer, b64, leaf, sha256
from .world import World, head_line

# transparency-dev/tessera, testdata/log: size 5, and the proof of its third leaf, "three".
TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
TESSERA = (
    "example.com/log/testdata\n5\ngy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=\n\n— example.com/log/testdata "
    "M9e0lmn5eDHyHP10zJObZdFAX2y1V8fdDKBi4IiHbDYf1TCUBwxZOhqwv2QZCqrdda2zTRTrmnwjwscN5RBTEmZUYAs=\n"
)
TESSERA_PATH = [
    "9xWrP6pdBx5uKsS7mU1b9zWUPcw3mdoNCF55gM+5M2o=",
    "T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=",
    "zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=",
]
SIGNER = Signer("localhost/log/a", b"a")
ROOT = b64(sha256(b"root"))


def test_tessera_checkpoint_is_signed_and_holds_its_leaf() -> None:
    checkpoint = parse_checkpoint(TESSERA)
    signed_by(checkpoint, [parse_vkey(TESSERA_VKEY)], "--key")
    assert (checkpoint.origin, checkpoint.tree_size) == ("example.com/log/testdata", 5)
    path = [base64.b64decode(x) for x in TESSERA_PATH]
    assert verify_inclusion(2, 5, leaf_hash(b"three"), path, checkpoint.root_hash) is None
    for wrong in (b"two", b"three "):
        with pytest.raises(VerificationError):
            verify_inclusion(2, 5, leaf_hash(wrong), path, checkpoint.root_hash)


@pytest.mark.parametrize(
    "text",
    [
        f"localhost/log/a\n5\n{ROOT}\nextension\n",
        f"localhost/log/a\n5\n{ROOT}\n\n",
        "localhost/log/a\n5\n",
        f"\n5\n{ROOT}\n",
        f"local host\n5\n{ROOT}\n",
        f"local+host\n5\n{ROOT}\n",
        f"{'a' * 256}\n5\n{ROOT}\n",
        f"localhost/log/a\n05\n{ROOT}\n",
        f"localhost/log/a\n+5\n{ROOT}\n",
        f"localhost/log/a\n-5\n{ROOT}\n",
        f"localhost/log/a\n5 \n{ROOT}\n",
        f"localhost/log/a\n٥\n{ROOT}\n",
        f"localhost/log/a\n5_0\n{ROOT}\n",
        f"localhost/log/a\n{2**63}\n{ROOT}\n",
        f"localhost/log/a\n{'9' * 5000}\n{ROOT}\n",
        f"localhost/log/a\n0\n{ROOT}\n",
        f"localhost/log/a\n5\n{ROOT[:-1]}\n",
        f"localhost/log/a\n5\n{b64(bytes(31))}\n",
        f"localhost/log/a\n5\n{b64(bytes(33))}\n",
        f"localhost/log/a\n5\n{ROOT[:-2]}B=\n" if ROOT[-2] != "B" else f"localhost/log/a\n5\n{ROOT[:-2]}C=\n",
    ],
)
def test_malformed_checkpoint_is_refused_although_signed(text: str) -> None:
    with pytest.raises(VerificationError):
        parse_checkpoint(SIGNER.sign(text))


def test_sizes_up_to_the_bound_parse() -> None:
    for size in (1, 10, 2**63 - 1):
        assert parse_checkpoint(SIGNER.sign(f"localhost/log/a\n{size}\n{ROOT}\n")).tree_size == size
    assert parse_checkpoint(SIGNER.sign(f"localhost/log/a\n0\n{b64(sha256(b''))}\n")).tree_size == 0


def test_length_is_bounded() -> None:
    with pytest.raises(VerificationError, match="too long"):
        parse_checkpoint(SIGNER.sign(f"{'a' * MAX_NOTE_BYTES}\n5\n{ROOT}\n"))


def test_a_key_of_another_name_does_not_speak_for_the_origin() -> None:
    text = f"localhost/log/a\n5\n{ROOT}\n"
    other = Signer("localhost/log/b", b"b")
    checkpoint = parse_checkpoint(text + "\n" + other.line(text))
    with pytest.raises(VerificationError, match="was given for the log"):
        signed_by(checkpoint, [parse_vkey(other.vkey)], "--key")
    with pytest.raises(VerificationError, match="not under its origin"):
        signed_by(checkpoint, [parse_vkey(other.vkey), parse_vkey(SIGNER.vkey)], "--key")


def test_two_roots_for_one_size_are_refused() -> None:
    one = parse_checkpoint(SIGNER.sign(f"localhost/log/a\n5\n{ROOT}\n"))
    two = parse_checkpoint(SIGNER.sign(f"localhost/log/a\n5\n{b64(bytes(32))}\n"))
    same_tree(one, one)
    with pytest.raises(VerificationError, match="two root hashes"):
        same_tree(one, two)


def test_head_line_hash_is_that_of_the_page(world: World) -> None:
    checkpoint = parse_checkpoint(world.log.checkpoint(world.log_size))
    assert head_line_hash(checkpoint) == leaf(head_line(world.log, world.log_size).encode())


@given(st.text(max_size=100))
@settings(deadline=None)
def test_any_text_is_refused_with_our_error(text: str) -> None:
    with pytest.raises(VerificationError):
        parse_checkpoint(text)
