# SPDX-License-Identifier: Apache-2.0
"""Every parser, held to its law by a few inputs; `python -m tests.fuzz` does the same for as long as one likes."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import thread_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import enlarged, inputs
from tests.fuzz.target import SECONDS, Broken, Parser, Target
from tests.fuzz.targets import TARGETS

EXAMPLES = 100
LARGE = 1 << 16
PACKAGES = Path(__file__).parents[2] / "ledger", Path(__file__).parents[2] / "verify_cli" / "ledger_verify"


@pytest.fixture(params=TARGETS.values(), ids=TARGETS)
def target(request: pytest.FixtureRequest) -> Target:
    found: Target = request.param
    return found


def test_seeds_are_of_the_grammar(target: Target) -> None:
    """Without one that is accepted, all edits would be edits of noise; and each seed keeps the law."""
    assert any([target.judge(seed) for seed in target.seeds])


def test_law_holds_for_edited_seeds(target: Target) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        # Seeds are whole files.
        suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow, HealthCheck.large_base_example],
    )
    @given(inputs(target.seeds))
    def law(data: bytes) -> None:
        target.judge(data)

    law()


def test_large_inputs_are_settled_in_time(target: Target) -> None:
    assert len([target.judge(data) for data in enlarged(target.seeds, LARGE)]) > 30


# ------------------------------------------------------------------------------------------------ the harness can fail


def careless(data: bytes) -> int:
    if data == b"slow":
        end = thread_time() + SECONDS + 0.1
        while thread_time() < end:
            pass
    return int(data)


@pytest.mark.parametrize(
    ("data", "why"), [(b"x", "ValueError"), (b"+1", "writes it as"), (b"2", "refuses"), (b"slow", "processor time")]
)
def test_law_is_not_kept_by_a_careless_parser(data: bytes, why: str) -> None:
    def twin(given: bytes) -> None:
        if given == b"2":
            raise KeyError

    errors = (ValueError,) if data == b"slow" else ()
    target = Target("careless", Parser(careless, errors), (), lambda n: str(n).encode(), Parser(twin, (KeyError,)))
    with pytest.raises(Broken, match=why):
        target.judge(data)
    assert target.judge(b"1")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_inputs_are_of_many_kinds(data: st.DataObject) -> None:
    drawn = data.draw(inputs([b'{"a":[1,2],"b":"{\\"c\\":3}"}\n', b"eyJhIjoxfQ", b"plain"]))
    assert isinstance(drawn, bytes)


# ------------------------------------------------------------------------------------------------------------- coverage


def parsers() -> Iterator[tuple[str, str]]:
    """Functions whose name says that they read what comes from elsewhere."""
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef) and node.name.startswith(("parse_", "read_", "decode_")):
                    yield f"{package.name}/{path.relative_to(package)}", node.name


ELSEWHERE = {
    "read_body": "from the network, bounded in tests/web/test_limits.py",
    "read_file": "whatever the bytes are",
    "read_state": "of files, in tests/verify_cli/test_hostile_files.py",
    "read_pins": "of files, in tests/verify_cli/test_hostile_files.py",
    "parse_anew": "what parse_entry does, in tests/verify_cli/test_entry_shapes.py",
    "read_chain": "of files, in tests/verify_cli/test_export.py",
    "read_key_history": "of files, in tests/verify_cli/test_key_history.py",
    "read_manifest": "parse_manifest with the step's name",
    "read_proven_entry": "a line of files, in tests/verify_cli/test_export.py",
    "read_contents": "of a whole store, in tests/log/test_copying.py",
    "read_envelope": "within read_foreign_leaf",
    "read_event": "within read_foreign_leaf",
    "read_leaf": "within read_foreign_leaf",
    "read_disclosure": "within read_foreign_disclosure",
    "parse_root_member": "within verify_receipt",
    "parse_pattern": "within parse_claims",
    "parse_place": "within parse_claims",
    "parse_shared_entry": "within verify_receipt",
    "parse_jcs_file": "within verify_receipt",
    "parse_jcs_carefully": "held against parse_jcs in tests/verify_cli/test_receipt_heads.py",
    "decode_utf8": "within each of the verifier's",
    "decode_point": "of curve points, in tests/verify_cli/test_ed25519.py",
}


def test_every_parser_has_a_target() -> None:
    """A new one is named here or in a file of targets."""
    folder = Path(__file__).parent
    named = "".join((folder / f"{side}_targets.py").read_text() for side in ("service", "verifier"))
    missing = {(path, name) for path, name in parsers() if name not in named and name not in ELSEWHERE}
    assert not missing


def test_command_fuzzes_one_target() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "decimal", "--seconds", "0.1", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("decimal: 500 inputs, ")
