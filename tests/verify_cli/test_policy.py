# SPDX-License-Identifier: Apache-2.0
"""Policies: what is written is what is demanded, and no witness counts whose cosignature does not hold."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError
from ledger_verify.cosignature import parse_cosigner, verified_cosignatures
from ledger_verify.note import parse_note
from ledger_verify.policy import parse_policy, verify_quorum

from .conftest import Run
from .log_places import SIGNER, any_entries, any_log, write_log
from .test_consistency import answer_bytes, note
from .test_proof import tlog_proof
from .textbook import Signer, Witness, b64, file_bytes, sha256
from .world import World

WITNESSES = [Witness(f"witness.example/{n}", b"witness %d" % n) for n in range(6)]
TEXT = f"{SIGNER.name}\n3\n{b64(bytes(32))}\n"
SIGNED = SIGNER.sign(TEXT)


def policy(*lines: str, log: str = SIGNER.vkey) -> bytes:
    """Lines after those that define a log and six witnesses, w0 to w5."""
    defined = [f"log {log}", *(f"witness w{n} {w.vkey}" for n, w in enumerate(WITNESSES))]
    return "\n".join([*defined, *lines, ""]).encode()


def cosigned(by: set[int], text: str = TEXT, signed: str = SIGNED) -> str:
    return signed + "".join(WITNESSES[n].cosign(text, 1_767_139_200 + n) for n in sorted(by))


def accepted(raw: bytes, by: set[int]) -> bool:
    try:
        found = verify_quorum(parse_policy(raw), parse_note(cosigned(by)))
    except VerificationError as error:
        assert "the quorum of witnesses" in str(error)
        return False
    assert {name: c.time for name, c in found.witnesses.items()} == {f"w{n}": 1_767_139_200 + n for n in by}
    return True


@given(st.sets(st.integers(0, 5)), st.data())
@settings(max_examples=60, deadline=None)
def test_quorum_is_what_the_groups_say(by: set[int], data: st.DataObject) -> None:
    """Random groups of groups, judged by the sentence of the page: at least k of the members have witnessed."""
    free, lines, truth = [f"w{n}" for n in range(6)], [], {f"w{n}": n in by for n in range(6)}
    for number in range(data.draw(st.integers(1, 4))):
        members = data.draw(st.lists(st.sampled_from(free), unique=True, min_size=1))
        k = data.draw(st.integers(1, len(members)))
        word = data.draw(st.sampled_from([str(k), *["any"] * (k == 1), *["all"] * (k == len(members))]))
        lines.append(f"group g{number} {word} {' '.join(members)}")
        truth[f"g{number}"] = sum(truth[member] for member in members) >= k
        free = [name for name in free if name not in members] + [f"g{number}"]
    quorum = data.draw(st.sampled_from(sorted(truth)))
    assert accepted(policy(*lines, f"quorum {quorum}"), by) == truth[quorum]


def test_quorum_none_demands_nobody() -> None:
    assert accepted(policy("quorum none"), set()) and accepted(policy("quorum none"), {1, 3})


def test_cosignature_that_does_not_hold_spoils_the_note() -> None:
    """A known line must verify, even where the quorum is reached without it."""
    good = cosigned({0})
    for line in (
        WITNESSES[1].cosign(TEXT + "x\n", 5),
        WITNESSES[1].line(TEXT),  # its key, but no time
        WITNESSES[1].cosign(TEXT, 5).replace(WITNESSES[1].name, WITNESSES[2].name),
        WITNESSES[1].cosign(TEXT, 2**63),
    ):
        found = parse_note(good + line)
        if WITNESSES[2].name in line:  # an unknown name and ID together: somebody else's line
            assert set(verify_quorum(parse_policy(policy("quorum w0")), found).witnesses) == {"w0"}
            continue
        with pytest.raises(VerificationError, match="cosignature by"):
            verify_quorum(parse_policy(policy("quorum w0")), found)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_bit_of_a_cosignature_can_be_changed(data: st.DataObject) -> None:
    raw = bytearray(cosigned({0}).encode())
    start = len(SIGNED.encode())
    raw[data.draw(st.integers(start, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(VerificationError):
        verify_quorum(parse_policy(policy("quorum w0")), parse_note(bytes(raw).decode("utf-8", "replace")))


def test_log_s_own_signature_is_no_cosignature() -> None:
    """Nor is a cosignature the log's: types are part of the key ID."""
    both = Witness(SIGNER.name, SIGNER.seed)
    key = parse_cosigner(both.vkey)
    assert key is not None and key.public_key == SIGNER.public
    assert verified_cosignatures(parse_note(SIGNED), [key]) == {}


def test_published_witness_key() -> None:
    key = parse_cosigner("witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN")
    assert key is not None and key.name == "witness.example.org"


def test_witness_with_a_key_that_cannot_be_checked_never_counts() -> None:
    name, key = "pq.example", bytes([6]) + bytes(1312)
    key_id = sha256(name.encode() + b"\n" + key)[:4]
    raw = policy(f"witness pq {name}+{key_id.hex()}+{b64(key)}", "group g any pq w0", "quorum g")
    assert accepted(raw, {0})
    with pytest.raises(VerificationError, match="The keys of pq are of a type"):
        verify_quorum(parse_policy(raw), parse_note(SIGNED))


# ---------------------------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["quorum"],
        ["quorum w9"],
        ["quorum none none"],
        ["quorum none", "quorum none"],
        ["quorum none # comment"],
        ["quorum g", "group g any w0"],
        ["group g any w0", "group h any w0", "quorum g"],
        ["group g any w0 w0", "quorum g"],
        ["group g any g", "quorum g"],
        ["group g any none", "quorum g"],
        ["group none any w0", "quorum none"],
        ["group w0 any w1", "quorum none"],
        ["group g any", "quorum none"],
        ["group g 0 w0", "quorum g"],
        ["group g 2 w0", "quorum g"],
        ["group g 01 w0", "quorum g"],
        ["group g -1 w0", "quorum g"],
        ["group g two w0 w1", "quorum g"],
        ["group g ALL w0 w1", "quorum g"],
        ["witness w0 " + Witness("x", b"x").vkey, "quorum none"],
        ["witness w7 " + WITNESSES[0].vkey, "quorum none"],
        ["witness w7 " + Witness("y", WITNESSES[0].seed).vkey, "quorum none"],
        ["log " + SIGNER.vkey, "quorum none"],
        ["log " + Signer("other", SIGNER.seed).vkey, "quorum none"],
        ["log nonsense", "quorum none"],
        ["log " + Witness("z", b"z").vkey, "quorum none"],
        ["unknown x", "quorum none"],
        ["quorum none\r"],
        ["quorum none\x00"],
        ["quorum none\x7f"],
        ["quorum\u00a0none"],
    ],
)
def test_wrong_policy_is_refused(lines: list[str]) -> None:
    with pytest.raises(VerificationError):
        parse_policy(policy(*lines))


def test_what_the_format_allows() -> None:
    raw = policy("  ", "\t# comment", "#", "\tgroup  g\tany w0  w1 ", "quorum g") + b"# \xff\xfe\n"
    assert accepted(raw, {1}) and not accepted(raw, {2})
    named = policy(f"witness \u212a\xff {Witness('k', b'k').vkey} https://example.com/x", "quorum none")
    assert parse_policy(named).witnesses[-1].name == "\u212a\xff"
    opaque = policy("group @ any w0", "quorum @").replace(b"@", b"\xff\xfe")
    assert accepted(opaque, {0})
    many = b"".join(
        f"log {Signer(f'l{n}', b'%d' % n).vkey}\nwitness n{n} {Witness(f'n{n}', b'w%d' % n).vkey}\n".encode()
        for n in range(40)
    )
    assert len(parse_policy(many + b"quorum n7").logs) == 40  # the last newline may be missing


@given(st.binary(max_size=200) | st.text("log witness group quorum none all 12\n\t#", max_size=200).map(str.encode))
@settings(max_examples=200)
def test_junk_is_refused_or_read_and_never_an_accident(raw: bytes) -> None:
    with contextlib.suppress(VerificationError):
        assert parse_policy(raw).quorum == "none"


# --------------------------------------------------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    folder = tmp_path_factory.mktemp("policies")
    for name, raw in {
        "two": policy("group g 2 w0 w1 w2", "quorum g"),
        "none": policy("quorum none"),
        "root": policy("quorum w0", log=world.root.signer.vkey),
        "no log": policy("quorum w0").split(b"\n", 1)[1],
        "wrong": policy(),
    }.items():
        (folder / name).write_bytes(raw)
    return folder


def cosign_log(files: dict[str, bytes], by: set[int]) -> dict[str, bytes]:
    signed = files["checkpoint"].decode()
    text = signed[: signed.rindex("\n\n") + 1]
    return {**files, "checkpoint": cosigned(by, text, signed).encode()}


def test_policy_is_trust_for_every_command_that_takes_it(
    run: Run, policies: Path, tmp_path: Path, world: World
) -> None:
    for name, by in (("both", {0, 2}), ("one", {0}), ("nobody", set[int]())):
        write_log(tmp_path / name, cosign_log(any_log(70), by))
        proof = tlog_proof(SIGNER, any_entries(70), 2).decode()
        head, body = proof.split("\n\n", 1)
        text = body[: body.rindex("\n\n") + 1]
        (tmp_path / f"{name}.proof").write_text(f"{head}\n\n{cosigned(by, text, body)}")
    (tmp_path / "leaf").write_bytes(any_entries(70)[2])
    (tmp_path / "old").write_bytes(note(5))
    (tmp_path / "answer").write_bytes(answer_bytes(5, 70))
    book = ["--pin", tmp_path / "book"]
    assert run("pin", "add", tmp_path / "old", *book, "--key", SIGNER.vkey).returncode == 0

    commands: list[tuple[Any, ...]] = [
        ("log", tmp_path / "{}"),
        ("proof", tmp_path / "{}.proof", "--entry", tmp_path / "leaf"),
        ("consistency", tmp_path / "answer", "--old", tmp_path / "old", "--new", tmp_path / "{}" / "checkpoint"),
        ("pin", "check", tmp_path / "{}", *book),
        ("pin", "add", tmp_path / "{}", "--pin", tmp_path / "new"),
    ]
    for command in commands:
        for name, wanted, code in (("both", "two", 0), ("one", "two", 1), ("nobody", "two", 1), ("nobody", "none", 0)):
            arguments = [str(part).format(name) for part in command]
            done = run(*arguments, "--policy", policies / wanted, "--json")
            assert done.returncode == code, (arguments, wanted, done)
            answer = json.loads(done.stdout)
            if code == 1:
                assert "quorum" in answer["results"][0]["reason"]
            elif command[:2] != ("pin", "add"):
                assert (answer["tier"] == "equivocation-evident") == (wanted == "two")
                names = [c["witness"] for c in answer["results"][0]["cosigned_by"]]
                assert names == (["w0", "w2"] if name == "both" else [])


def test_daily_root_under_a_policy(run: Run, policies: Path, tmp_path: Path, world: World) -> None:
    day = world.day()
    (tmp_path / "plain").write_bytes(file_bytes(day))
    signed = str(day["checkpoint"])
    day["checkpoint"] = cosigned({0}, signed[: signed.rindex("\n\n") + 1], signed)
    (tmp_path / "cosigned").write_bytes(file_bytes(day))
    for code, name, wanted in ((0, "cosigned", "root"), (1, "plain", "root"), (1, "cosigned", "two")):
        done = run("root", tmp_path / name, "--policy", policies / wanted)
        assert done.returncode == code, (name, wanted, done)
        assert ("equivocation-evident" in done.stdout) == (code == 0)


def test_policy_that_cannot_be_used_is_wrong_usage(run: Run, policies: Path, tmp_path: Path) -> None:
    place = write_log(tmp_path / "log", cosign_log(any_log(5), {0}))
    for name in ("wrong", "missing", "no log"):
        done = run("log", place, "--policy", policies / name)
        assert done.returncode == 2 and "usage: " in done.stderr, (name, done)
    assert run("log", place, "--policy", policies / "no log", "--key", SIGNER.vkey).returncode == 0
    assert "unrecognized arguments" in run("pin", "list", "--pin", "x", "--policy", policies / "two").stderr
