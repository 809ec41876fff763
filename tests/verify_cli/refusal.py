# SPDX-License-Identifier: Apache-2.0
"""The law of damaged evidence: the command answers 1 or 2, and what it says is no accident of its own.

The command runs in this process, so that tens of thousands of changes can be judged in seconds. What it would do alike
for each of them is done once: reading its options, and reading such parts of the evidence as a change left alone. The
parts are remembered by their bytes and only if they were good, so a changed part is always read.
"""

from __future__ import annotations

import contextlib
import io
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest
from ledger_verify import cli, disclosure, export, export_archive, proven_entry, sequence
from ledger_verify.export_files import DigestedFile
from ledger_verify.manifest import Manifest
from ledger_verify.note import Note
from ledger_verify.trust import TrustedKeys

from .world import World

READERS = (
    (export, "read_manifest"),
    (proven_entry, "parse_entry"),
    (sequence, "parse_entry"),
    (disclosure, "parse_disclosure"),
    (export_archive, "header"),
)
STREAM_READERS = ("read_chain", "read_key_history")
HEAD_READERS = ("verify_root", "verify_daily_root")


class Command:
    """One call of the command, repeated for whatever stands in its file now."""

    def __init__(self, name: str, path: Path, world: World) -> None:
        keys = ["--key", world.log.signer.vkey, "--root-key", world.root.signer.vkey]
        self.arguments = [name, str(path), *keys]

    def answer(self) -> tuple[int, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main(self.arguments)
        return code, out.getvalue() + err.getvalue()

    def must_refuse(self, change: str) -> int:
        code, said = self.answer()
        assert code in (1, 2), (change, code, said)
        assert "Traceback" not in said and "please report this" not in said, (change, said)
        return code

    def must_refuse_all(self, changes: Iterator[str]) -> int:
        """How many there were. In the end the file is as it was, and verifies."""
        count = 0
        for change in changes:
            self.must_refuse(change)
            count += 1
        code, said = self.answer()
        assert code == 0 and "OK " in said
        return count


@contextlib.contextmanager
def reading_once() -> Iterator[None]:
    """Remember options and good parts while it lasts."""
    whole = cli._parser()

    @cache
    def options(arguments: tuple[str, ...]) -> Namespace:
        return whole.parse_args(arguments)

    class Remembering:
        @staticmethod
        def parse_args(arguments: list[str]) -> Namespace:
            return options(tuple(arguments))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "_parser", Remembering)
        for module, name in READERS:
            patch.setattr(module, name, lru_cache(maxsize=64)(getattr(module, name)))
        for name in STREAM_READERS:
            patch.setattr(export, name, _stream_once(getattr(export, name)))
        for name in HEAD_READERS:
            patch.setattr(export, name, _head_once(getattr(export, name)))
        yield


def _stream_once(reader: Callable[..., Any]) -> Callable[..., Any]:
    """What was read of a whole file under a manifest, as long as both have the bytes that they had, signatures too."""
    known: dict[tuple[Note, bytes], Any] = {}

    def read(file: DigestedFile, manifest: Manifest, *rest: object, **more: object) -> Any:
        with file._open(file._name) as stream:
            key = manifest.note, stream.read()
        if key not in known:
            known[key] = reader(file, manifest, *rest, **more)
        return known[key]

    return read


def _head_once(check: Callable[..., Any]) -> Callable[..., Any]:
    """What was found of a member of one and the same manifest, which is kept so that no other can take its place."""
    known: dict[tuple[int, int, TrustedKeys], tuple[object, object, Any]] = {}

    def read(value: object, below: object, keys: TrustedKeys) -> Any:
        place = id(value), id(below), keys
        if place not in known:
            known[place] = value, below, check(value, below, keys)
        return known[place][-1]

    return read
