# SPDX-License-Identifier: Apache-2.0
"""`ledger-verify explain`: the verdict of the fitting command, and sentences that say neither more nor less."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .claim_log import claims_log, write_claims
from .claim_log import export as export_of
from .conftest import Run
from .exports import archive
from .log_places import SIGNER, any_log, write_log
from .test_consistency import answer_bytes, note
from .test_equivocation import fork_at, proof
from .test_hostile_files import _damage
from .test_hostile_files import run as run_here
from .test_mistaken import answer as service_answer
from .test_policy import cosign_log, policy
from .test_proof import our_proof
from .textbook import Signer, file_bytes, jcs
from .world import Log, World, genesis

KEY = ["--key", SIGNER.vkey]
FITTING = {
    "receipt": "receipt",
    "day": "root",
    "proof": "proof",
    "fork": "equivocation",
    "export": "export",
    "log": "log",
}


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain")
    for name, content in {
        "receipt": file_bytes(world.receipt(9)),
        "withheld": file_bytes(world.receipt(9, disclose=False, root=False, day=False)),
        "day": file_bytes(world.day()),
        "proof": our_proof(world, 9),
        "fork": file_bytes(proof(5, 70, fork_at(2))),
        "note": note(70),
        "answer": answer_bytes(5, 70),
        "mistaken": jcs(service_answer(world)).encode(),
    }.items():
        (folder / name).write_bytes(content)
    world.export(folder / "export", 4, 20)
    write_log(folder / "log", any_log(70))
    write_claims(folder / "claims", {"never": {}})
    return folder


def told(arguments: list[str]) -> tuple[int, dict[str, Any]]:
    code, said = run_here([*arguments, "--json"])
    [result] = json.loads(said[: said.rindex("\n}") + 2])["results"]
    return code, result


def words(result: dict[str, Any], part: str) -> str:
    return " ".join(result["explanation"][part])


@pytest.fixture(scope="module")
def key_sets(world: World) -> list[list[str]]:
    log, root = ["--key", world.log.signer.vkey], ["--root-key", world.root.signer.vkey]
    return [[], log, root, log + root, KEY, ["--key", Signer("localhost/x", b"x").vkey]]


def test_verdict_is_that_of_the_fitting_command(folder: Path, key_sets: list[list[str]]) -> None:
    for file, command in FITTING.items():
        for keys in key_sets:
            code, found = told([command, str(folder / file), *keys])
            explained, result = told(["explain", str(folder / file), *keys])
            assert explained == code, (file, keys)
            extra = {name: result.pop(name) for name in ("recognised", "explanation")}
            assert result == found
            assert all(extra["explanation"].values())
            tier = found["tier"] or ("self-consistent" if code == 3 else None)
            if tier and file != "fork":
                assert extra["explanation"]["meaning"][0].lower().startswith(tier), (file, keys)


def test_sentences_of_a_receipt(folder: Path, key_sets: list[list[str]]) -> None:
    nothing, log, _, both, *_ = key_sets
    _, result = told(["explain", str(folder / "receipt"), *both])
    steps = re.findall(r"\((steps? [^)]*)\)", words(result, "checked"))
    assert steps == ["step 1", "step 2", "step 3", "step 4", "step 5", "step 6", "steps 7 and 8"]
    assert "index 9 of them" in words(result, "checked") and "closed 2026-11-22" in words(result, "checked")
    for open_question in ("what was reported is true", "the service's clock", "erased after", "root log was forked"):
        assert open_question in words(result, "not_checked")
    _, result = told(["explain", str(folder / "withheld"), *log])
    assert "3 fields that are not disclosed" in words(result, "not_checked")
    assert "/data/reason, /data/tool_args/amount, /data/tool_args/note" in words(result, "not_checked")
    assert "no way up to a root log" in words(result, "not_checked") and "Fetch it again later" in words(result, "next")
    _, result = told(["explain", str(folder / "receipt"), *nothing])
    assert "localhost/root" not in json.dumps(result["explanation"]), "nobody vouches for the way up"
    assert "signed" not in words(result, "checked")
    assert f"ledger-verify receipt --key VKEY --root-key VKEY {folder}/receipt" in words(result, "next")


def test_sentences_of_an_export(folder: Path, key_sets: list[list[str]], tmp_path: Path) -> None:
    _, result = told(["explain", str(folder / "export"), *key_sets[3]])
    assert "entries 4 to 19 of localhost/log/5f0c, within 24" in words(result, "checked")
    assert "48 disclosed values" in words(result, "checked") and "3 governing entries" in words(result, "checked")
    assert "before entry 4 and from 20 on" in words(result, "not_checked")
    log = claims_log()
    log.append("call.\u202edecided", {"x": 1})
    place = export_of(log, tmp_path / "export", withhold=(3, 11))
    code, result = told(["explain", place, "--key", log.signer.vkey])
    assert code == 0 and "1 entries whose type or version" in words(result, "not_checked")
    # Beside an amount, the labels of two keys are not disclosed.
    assert "The values of 3 withheld fields" in words(result, "not_checked")
    assert "The values of 1 erased fields" in words(result, "not_checked")
    assert f"ledger-verify claim --key VKEY CLAIMS {place}" in words(result, "next")


def test_export_in_one_file_is_recognised(folder: Path, key_sets: list[list[str]], tmp_path: Path) -> None:
    place = str(archive(folder / "export", tmp_path / "export.tar"))
    code, result = told(["explain", place, *key_sets[3]])
    assert (code, result["recognised"]) == (0, "export")
    _, of_folder = told(["explain", str(folder / "export"), *key_sets[3]])
    assert words(result, "checked") == words(of_folder, "checked")
    (tmp_path / "cut.tar").write_bytes((tmp_path / "export.tar").read_bytes()[:9000])
    code, result = told(["explain", str(tmp_path / "cut.tar"), *key_sets[3]])
    assert code == 1 and result["recognised"] == "export" and result["reason"].startswith("step 1: ")


def test_unknown_event_of_a_receipt_is_said(tmp_path: Path) -> None:
    log = Log(Signer("localhost/log/one", b"one"))
    genesis(log, "tenant")
    log.append("call.\u202edecided", {})
    (tmp_path / "x").write_bytes(file_bytes(log.receipt(1)))
    code, said = run_here(["explain", str(tmp_path / "x"), "--key", log.signer.vkey])
    assert code == 0 and "this verifier does not know" in said and "\u202e" not in said


def test_quorum_is_said(tmp_path: Path) -> None:
    write_log(tmp_path / "log", cosign_log(any_log(300), {0, 1}))
    (tmp_path / "policy").write_bytes(policy("group g 2 w0 w1 w2", "quorum g"))
    code, result = told(["explain", str(tmp_path / "log"), "--policy", str(tmp_path / "policy")])
    assert code == 0 and "quorum is reached. Witnesses that cosigned: w0, w1" in words(result, "checked")
    assert result["explanation"]["meaning"][0].startswith("Equivocation-evident")
    (tmp_path / "note").write_bytes((tmp_path / "log" / "checkpoint").read_bytes())
    code, result = told(["explain", str(tmp_path / "note"), "--policy", str(tmp_path / "policy")])
    assert (code, result["recognised"], result["tier"]) == (0, "checkpoint", "equivocation-evident")


def test_what_is_no_evidence_is_known_and_sent_to_its_command(folder: Path) -> None:
    for name, code, what in [
        ("answer", 2, "ledger-verify consistency --key VKEY --old FILE --new FILE"),
        ("claims", 2, "ledger-verify claim --key VKEY"),
        ("export/manifest.note", 2, "ledger-verify explain FOLDER"),
        ("export/README.txt", 2, "not recognised"),
        ("mistaken", 2, "jq -c '.receipts[0]'"),
        ("missing", 2, "cannot read the file"),
    ]:
        found, said = run_here(["explain", str(folder / name)])
        assert found == code and what in said, (name, said)
    code, said = run_here(["explain", "https://ledger.example.com/root/"])
    assert code == 2 and "ledger-verify log" in said


def test_checkpoint_in_a_file_does_not_vouch_for_the_rest(
    folder: Path, tmp_path: Path, key_sets: list[list[str]]
) -> None:
    """A receipt or a day of a version to come, or any answer with more in it than a head: nobody looked at that."""
    receipt, day = (json.loads((folder / name).read_bytes()) for name in ("receipt", "day"))
    inclusion = {name: receipt[name] for name in ("checkpoint", "inclusion_path", "leaf_index")}
    for value in (
        receipt | {"format": "ledger-receipt/v2"},
        {name: member for name, member in receipt.items() if name != "format"},
        day | {"format": "ledger-day/v2"},
        inclusion,
        {"checkpoint": receipt["checkpoint"], "note": "x"},
    ):
        (tmp_path / "unknown").write_bytes(file_bytes(value))
        code, said = run_here(["explain", str(tmp_path / "unknown"), *key_sets[3]])
        assert code == 2 and "no kind or version that is known here" in said, said


def test_failure_says_what_failed_and_what_to_do(folder: Path, tmp_path: Path, key_sets: list[list[str]]) -> None:
    raw = (folder / "receipt").read_bytes()
    for change, step in [(raw.replace(b"agent-7", b"agent-8"), "step 4"), (raw[:-1], "step 1"), (raw[:2000], "step 1")]:
        (tmp_path / "bad").write_bytes(change)
        code, result = told(["explain", str(tmp_path / "bad"), *key_sets[1]])
        assert code == 1 and result["recognised"] == "receipt" and result["reason"].startswith(f"{step}: ")
        assert words(result, "checked") == f"It was read as: receipt. This did not hold: {step}."
        assert "do not rely on anything" in words(result, "meaning")
        assert "agent-" not in json.dumps(result["explanation"]), "nothing of what does not hold is repeated"
        assert f"ledger-verify receipt --key VKEY --root-key VKEY {tmp_path}/bad" in words(result, "next")


def test_people_get_numbered_sentences(run: Run, folder: Path, world: World) -> None:
    done = run("explain", folder / "day", "--root-key", world.root.signer.vkey)
    assert done.returncode == 0 and done.stderr == ""
    first, *rest = done.stdout.splitlines()
    assert first.startswith(f"OK  {folder}/day  tamper-evident  day 2026-11-22")
    headings = [line for line in rest if line and not line.startswith("  ")]
    assert [heading.split()[0:2] for heading in headings] == [
        ["What", "was"],
        ["What", "that"],
        ["What", "was"],
        ["What", "to"],
    ]
    assert all(re.match(r"  \d+\. [A-Z]", line) for line in rest if line.startswith("  "))


def test_file_names_are_quoted_for_the_shell(folder: Path, tmp_path: Path) -> None:
    bad = tmp_path / "a b; rm -rf\n\u202e"
    bad.write_bytes((folder / "day").read_bytes())
    code, said = run_here(["explain", str(bad)])
    assert code == 3 and "'" in said and "\u202e" not in said and "rf\\x0a" in said


@pytest.mark.parametrize("kind", ["receipt", "day", "proof", "fork", "note"])
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_damaged_file_is_answered(folder: Path, kind: str, data: st.DataObject) -> None:
    bad = folder / "bad"
    bad.write_bytes(_damage(data, (folder / kind).read_bytes()))
    code, said = run_here(["explain", str(bad), *KEY])
    assert code in (0, 1, 2, 3) and "please report this" not in said
    assert all(line.isprintable() for line in said.split("\n")), said


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"{}", b"[]", b"null", b"\0" * 99, b"[" * 99_999, b"9" * 9999, b'{"format":1}']
)
def test_junk_is_answered(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "junk").write_bytes(raw)
    code, said = run_here(["explain", str(tmp_path / "junk")])
    assert code in (1, 2) and "please report this" not in said
