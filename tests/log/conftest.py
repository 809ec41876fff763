# SPDX-License-Identifier: Apache-2.0
"""Ledgers to test with: made once, copied for each test."""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

from tests.log.world import World, make_ledger

# An example may write to disk, and the machine may be busy.
settings.register_profile("disk", deadline=None)
settings.load_profile("disk")


@pytest.fixture(scope="session")
def made_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with its first entries only; to be copied, never opened."""
    folder = tmp_path_factory.mktemp("ledger")
    make_ledger(folder)
    return folder


@pytest.fixture(scope="session")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Copies a ledger, also many times in one test."""
    parent, number = tmp_path_factory.mktemp("copies"), count()
    return lambda source: Path(shutil.copytree(source, parent / str(next(number))))


@pytest.fixture(scope="session")
def open_world(made_ledger: Path, copied: Callable[[Path], Path]) -> Callable[..., World]:
    """Opens a fresh ledger: `with open_world() as world`."""
    return lambda **options: World(copied(made_ledger), **options)


@pytest.fixture
def world(open_world: Callable[..., World]) -> Iterator[World]:
    with open_world() as opened:
        yield opened
