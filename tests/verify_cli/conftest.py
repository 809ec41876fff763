# SPDX-License-Identifier: Apache-2.0
"""Good evidence to break, and the command as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger_verify import TrustedKeys, trusted_keys

from .refusal import reading_once
from .small_export import build_small_world
from .world import World, build_world

REPOSITORY = Path(__file__).parents[2]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def world() -> World:
    return build_world()


@pytest.fixture(scope="session")
def keys(world: World) -> TrustedKeys:
    return trusted_keys(**world.keys)


@pytest.fixture(scope="session")
def run() -> Run:
    """`ledger-verify ARGUMENTS`, with captured output and a timeout."""

    def call(*arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ledger_verify", *map(str, arguments)]
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            command, **{"capture_output": True, "text": True, "timeout": 60, **settings}
        )

    return call


@pytest.fixture(scope="session")
def catalogue_vector() -> dict[str, dict[str, object]]:
    """spec/vectors/catalogue.json, which the service is tested against too."""
    value: dict[str, dict[str, object]] = json.loads((REPOSITORY / "spec/vectors/catalogue.json").read_text())
    return value


@pytest.fixture(scope="module")
def small() -> World:
    """What small pieces of evidence are about, to be damaged in every way."""
    return build_small_world()


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """The command reads what a change leaves alone only once."""
    with reading_once():
        yield
