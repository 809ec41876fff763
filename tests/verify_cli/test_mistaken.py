# SPDX-License-Identifier: Apache-2.0
"""Answers of the service that are taken for receipts: refused as ever, and whoever mistook them is told what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ledger_verify import TrustedKeys, VerificationError, verify_receipt

from .conftest import Run
from .textbook import jcs
from .world import World

Document = dict[str, object]


def answer(world: World, receipts: int | None = 2) -> Document:
    """What the service answers to a report; None asked for no receipts."""
    document: Document = {"accepted": 2, "duplicates": 0, "items": [], "checkpoint": world.log.checkpoint()}
    if receipts is not None:
        document["receipts"] = [world.receipt(index, root=False, day=False) for index in range(receipts)]
    return document


def refusal(raw: bytes, keys: TrustedKeys) -> str:
    with pytest.raises(VerificationError) as caught:
        verify_receipt(raw, keys)
    return str(caught.value)


@pytest.mark.parametrize("written", [jcs, lambda d: jcs(d) + "\n", json.dumps, lambda d: json.dumps(d, indent=2)])
def test_answer_with_receipts_is_recognised_however_it_is_written(written, world: World, keys: TrustedKeys) -> None:
    said = refusal(written(answer(world)).encode(), keys)
    assert said.startswith("step 1: this is the answer of a service to a report, and no receipt")
    assert "jq -c '.receipts[0]'" in said


def test_answer_without_receipts_says_where_they_are_to_be_had(world: World, keys: TrustedKeys) -> None:
    for count in (None, 0):
        said = refusal(jcs(answer(world, count)).encode(), keys)
        assert "answer of a service to a report" in said and "?receipts=full" in said and "jq" not in said


def test_refusal_of_the_service_is_recognised_and_not_repeated(keys: TrustedKeys) -> None:
    problem = {"status": 404, "title": "Not Found", "detail": "\x1b[2Jnothing", "request_id": "7", "code": "NOT_FOUND"}
    said = refusal(jcs(problem).encode(), keys)
    assert "this is a refusal of a service, and no receipt" in said and "nothing" not in said.partition("receipt")[2]


def test_what_is_taken_out_as_the_message_says_is_verified(world: World, keys: TrustedKeys) -> None:
    """What jq -c writes of an answer is the member as it was, and a newline."""
    whole = jcs(answer(world))
    begin = whole.index('"receipts":[') + len('"receipts":[')
    first, _ = json.JSONDecoder().raw_decode(whole[begin:])
    assert verify_receipt((jcs(first) + "\n").encode(), keys).leaf_index == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]\n",
        b"7",
        b'{"receipts":7}',
        b'{"receipts":[7}',
        b'{"items":[]}',
        b"\xff",
        b"[" * 200_000,
        b'"receipts"',
    ],
)
def test_everything_else_is_refused_for_what_it_is(raw: bytes, keys: TrustedKeys) -> None:
    assert "of a service" not in refusal(raw, keys)


def test_receipt_with_a_member_too_many_is_no_answer(world: World, keys: TrustedKeys) -> None:
    said = refusal((jcs(world.receipt(9) | {"receipts": []}) + "\n").encode(), keys)
    assert "unknown member" in said and "of a service" not in said


def test_exit_code_stays_that_of_a_failure(run: Run, tmp_path: Path, world: World) -> None:
    file = tmp_path / "answer.json"
    file.write_text(jcs(answer(world)))
    done = run("receipt", file, "--key", world.log.signer.vkey)
    assert done.returncode == 1 and done.stdout.startswith("FAIL ") and "jq -c" in done.stdout
