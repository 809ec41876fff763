# SPDX-License-Identifier: Apache-2.0
"""The two ways to [s]B + [k]Q lead to one point, whatever scalars and points; and when the fast one is taken."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_verify import ed25519
from ledger_verify.ed25519_tables import SCALAR_BITS, Table, build_table, sum_by_tables
from ledger_verify.edwards25519 import Point, affine, odd_multiples, sum_of_multiples

from .conftest import REPOSITORY
from .ed25519_agreement import BREAKS, disagreements
from .textbook import file_bytes
from .textbook_curve import Affine, B, L, P, add, times, torsion
from .world import World

SCALARS = [0, 1, 2, 7, 8, 255, 256, 2**126, 2**252 - 1, 2**252, 2**252 + 1, L - 8, L - 2, L - 1]


def same(one: Point, other: Point) -> bool:
    """One point, and T as it must be: a wrong T shows only in the addition after."""
    assert all((p[0] * p[1] - p[2] * p[3]) % P == 0 for p in (one, other))
    return affine(one) == affine(other)


def points() -> list[Affine]:
    """Of order L, of mixed order and of small order: the formula has no exceptions, so the tables need none."""
    some = times(0xC0FFEE, B)
    return [B, some, (P - B[0], B[1]), add(some, torsion()[1]), add(some, torsion()[4]), *torsion()]


@pytest.mark.parametrize("width", [2, 3, 4, 7, 9])
def test_both_ways_lead_to_one_point(width: int) -> None:
    rng = random.Random(width)
    base = build_table(B, width)
    for point in points():
        table = build_table(point, width)
        chosen = [(s, k) for s in SCALARS for k in rng.sample(SCALARS, 3)]
        chosen += [(rng.randrange(L), rng.randrange(L)) for _ in range(20)]
        for s, k in chosen:
            slow = sum_of_multiples(s, odd_multiples(B), k, odd_multiples(point))
            assert same(slow, sum_by_tables(s, base, k, table)), (point, s, k)


def test_both_ways_lead_where_the_textbook_does() -> None:
    rng = random.Random(5)
    for point in points():
        s, k = rng.randrange(L), rng.randrange(L)
        want = add(times(s, B), times(k, point))
        assert affine(sum_of_multiples(s, odd_multiples(B), k, odd_multiples(point))) == want
        assert affine(sum_by_tables(s, build_table(B, 4), k, build_table(point, 4))) == want


def test_one_point_in_both_tables_cancels_and_doubles() -> None:
    table = build_table(B, 7)
    for scalar in SCALARS:
        assert affine(sum_by_tables(scalar, table, (L - scalar) % L, table)) == (0, 1)
        assert affine(sum_by_tables(scalar, table, scalar, table)) == times(2 * scalar, B)


@pytest.fixture(scope="module")
def widest() -> Table:
    return build_table(B, max(ed25519._STEPS.values()))


def test_the_widest_table_holds_what_it_says(widest: Table) -> None:
    rng = random.Random(14)
    places = SCALAR_BITS // widest.width
    assert len(widest.rows) == places
    assert {len(row) for row in widest.rows[:-1]} == {2 ** (widest.width - 1) + 1}
    assert len(widest.rows[-1]) == 2**widest.width + 1
    for place, row in enumerate(widest.rows):
        for position in {0, 1, 2, len(row) // 2, len(row) - 1, *rng.sample(range(len(row)), 3)}:
            x, y = times(position << widest.width * place, B)
            half = (P + 1) // 2
            d_x_y = -121665 * pow(121666, -1, P) * x * y % P
            assert row[position] == (y - x) * half % P | ((y + x) * half % P) << 255 | d_x_y << 510


def test_the_widest_table_leads_to_the_same_points(widest: Table) -> None:
    rng = random.Random(15)
    multiples = odd_multiples(B)
    for s, k in [(s, k) for s in SCALARS for k in SCALARS[-4:]] + [
        (rng.randrange(L), rng.randrange(L)) for _ in range(100)
    ]:
        assert same(sum_of_multiples(s, multiples, k, multiples), sum_by_tables(s, widest, k, widest))


def test_agrees_with_cryptography_on_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ed25519, "_STEPS", {4: 6, 100: 9})
    monkeypatch.setattr(ed25519, "_tables", {})
    ed25519._key.cache_clear()
    counts: Counter[str] = Counter()
    assert list(disagreements(2000, 8032, counts)) == []
    assert counts.total() == 2000 and set(counts) == {"nothing", *BREAKS}
    assert sorted(table.width for table in ed25519._tables.values()) == [9] * ed25519._MAX_TABLES


def test_a_table_is_made_after_so_many_signatures_and_for_a_few_keys_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ed25519, "_STEPS", {3: 2, 5: 4})
    monkeypatch.setattr(ed25519, "_MAX_TABLES", 2)
    monkeypatch.setattr(ed25519, "_tables", {})
    ed25519._key.cache_clear()
    widths = []
    for seed in range(3):
        private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        public = private.public_key().public_bytes_raw()
        for number in range(6):
            message = bytes([number])
            assert ed25519.verify(public, message, private.sign(message))
            assert not ed25519.verify(public, message + b"x", private.sign(message)[:63])
            table = ed25519._tables.get(public)
            widths.append(table.width if table else 0)
    assert widths == [0, 0, 2, 2, 4, 4] * 2 + [0] * 6
    ed25519._key.cache_clear()


def test_steps_are_taken_late_and_fit_the_scalar() -> None:
    assert min(ed25519._STEPS) >= 64 and all(SCALAR_BITS % width == 0 for width in ed25519._STEPS.values())


def test_a_single_receipt_makes_no_table(world: World, tmp_path: Path) -> None:
    """Not even the module for it is compiled, and none of what exports need."""
    file = tmp_path / "receipt.json"
    file.write_bytes(file_bytes(world.receipt(7)))
    script = (
        "import sys; from ledger_verify.cli import main; assert main(sys.argv[1:]) == 0; "
        "print(sorted({'ledger_verify.' + x for x in ('ed25519', 'ed25519_tables', 'export')} & set(sys.modules)))"
    )
    arguments = ["receipt", "--key", *world.keys["log"], "--root-key", *world.keys["root"], str(file)]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("\n['ledger_verify.ed25519']\n"), done.stdout + done.stderr


def test_the_command_for_many_rounds() -> None:
    command = [sys.executable, "-m", "tests.verify_cli.ed25519_agreement", "--rounds", "60", "--seed", "1"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("seed 1: 60 signatures, 0 disagreements\n")
