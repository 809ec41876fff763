# SPDX-License-Identifier: Apache-2.0
"""Figures (j) to (o): the verifier. Receipts under one checkpoint, fresh signatures by one key, a cold start, exports.

Beside receipts runs what no verifier in Python can do without: the standard library parses the file and the entry, and
hashes what the proof hashes. Beside signatures runs `cryptography`, beside a cold start a Python that does nothing,
beside an export its proof alone: the digest of the file, the leaves and the tree over them.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from ledger_verify import ed25519, trusted_keys, verify_receipt
from ledger_verify.bundle import bundle

from ledger.deployment import FIRST_TENANT, open_ledger
from ledger.log.receipts import receipt
from tests.bench.building import fill
from tests.bench.exported import make_export
from tests.bench.figures import Figure, Outcome
from tests.bench.ledgers import BenchLedger, serve
from tests.bench.session import Options, Session
from tests.bench.signatures import Signatures
from tests.running import run_ledger

RECEIPTS = 2000
"""Files of a run of the command; those in memory are read again and again."""


def measure(options: Options) -> Outcome:
    with Session(options) as session:
        outcome = session.outcome
        ledger = session.new_ledger()
        folder = session.folder / "receipts"
        files = write_receipts(ledger, folder, options.say)
        keys = ["--key", ledger.keys["log_vkey"], "--root-key", ledger.keys["root_vkey"]]
        archive = session.folder / "ledger-verify.pyz"
        archive.write_bytes(bundle())
        signatures = Signatures(options.seconds)
        exported = session.folder / "export"
        export_keys = make_export(exported, options.entries)
        for turn in range(options.runs + 1):
            measured = Outcome() if turn == 0 else outcome  # the first round does not count
            for processes, name in ((1, "one"), (2, "two")):
                _read_in_memory(measured, f"receipts by {name}", processes, folder, ledger, options.seconds)
            _read_in_memory(measured, "parsing and hashing alone", 1, folder, ledger, options.seconds, "limit")
            for processes, name in ((1, "one"), (2, "two")):
                _commands(measured, f"command, {name}", processes, files, keys)
            signatures.measure(measured)
            for name, start in (
                ("python alone", ["-c", ""]),
                ("cold, package", ["-m", "ledger_verify", "receipt", *keys, str(files[0])]),
                ("cold, pyz", ["-I", "-S", str(archive), "receipt", *keys, str(files[0])]),
            ):
                measured.add(f"{name}/seconds", "s", _timed([[sys.executable, *start]]))
            for what in ("proof", "export"):
                _read_export(measured, what, exported, export_keys)
        outcome.figures.append(Figure("j", outcome.median("receipts by two/rate"), options.store))
        outcome.ratio("j-limit", "receipts by one/rate", "parsing and hashing alone/rate", options.store)
        outcome.ratio("k", "signatures, tables/rate", "signatures, cryptography/rate", options.store)
        outcome.figures.append(Figure("l", outcome.median("cold, pyz/seconds"), options.store))
        outcome.figures.append(Figure("m", outcome.median("proof/seconds"), options.store))
        outcome.figures.append(Figure("n", outcome.median("export/seconds"), options.store))
        outcome.figures.append(Figure("o", outcome.median("export/memory"), options.store))
        outcome.remarks.append(f"the export has {options.entries:,} entries of 500 bytes")
        outcome.remarks.append(
            f"tables are made after {', '.join(map(str, ed25519._STEPS))} signatures by one key and not before; "
            f"a receipt has {files[0].stat().st_size:,} bytes"
        )
        return outcome


def write_receipts(ledger: BenchLedger, folder: Path, say: Callable[[str], None]) -> list[Path]:
    """Full receipts of one log under one head that a closed day covers, each in its file."""
    fill(ledger.settings, RECEIPTS, say)
    with serve(ledger, "service"):
        closed = run_ledger("root", "close", **ledger.environment)
        if closed.returncode != 0:
            raise RuntimeError(closed.stderr)
    folder.mkdir()
    opened = open_ledger(ledger.settings)
    try:
        log = opened.log(FIRST_TENANT)
        files = []
        for row in opened.store.rows(FIRST_TENANT, 0, RECEIPTS):
            made = msgspec.json.encode(receipt(opened, log, row.leaf_index, row.leaf), order="sorted")
            files.append(folder / f"{row.leaf_index:06}.json")
            files[-1].write_bytes(made + b"\n")
    finally:
        opened.close()
    known = trusted_keys([ledger.keys["log_vkey"]], [ledger.keys["root_vkey"]])
    if any(verify_receipt(file.read_bytes(), known).day is None for file in (files[0], files[-1])):
        raise RuntimeError("a receipt has no daily root")
    return files


def _read_in_memory(
    outcome: Outcome, name: str, processes: int, folder: Path, ledger: BenchLedger, seconds: float, what: str = "verify"
) -> None:
    """Processes that hold all files in memory verify them again and again, from one moment on."""
    keys = ledger.keys["log_vkey"], ledger.keys["root_vkey"]
    command = [sys.executable, "-m", "tests.bench.verifying", what, str(folder), str(seconds), *keys]
    readers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(processes)]
    for reader in readers:
        assert reader.stdout is not None and reader.stdout.readline() == b"ready\n"
    for reader in readers:
        assert reader.stdin is not None
        reader.stdin.write(b"\n")
        reader.stdin.flush()
    told = [json.loads(reader.communicate()[0]) for reader in readers]
    outcome.add(f"{name}/rate", "receipts/s", sum(one["rate"] for one in told))
    outcome.add(f"{name}/cost", "us", sum(one["cost"] for one in told) / processes)
    outcome.add(f"{name}/memory", "MB", sum(one["memory"] for one in told))


def _read_export(outcome: Outcome, what: str, folder: Path, keys: tuple[str, str]) -> None:
    """A process that checks an export once: all of it, or its proof alone."""
    command = [sys.executable, "-m", "tests.bench.verifying", what, str(folder), "0", *keys]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    outcome.add(f"{what}/seconds", "s", told["seconds"])
    outcome.add(f"{what}/memory", "MB", told["memory"])


def _commands(outcome: Outcome, name: str, processes: int, files: Sequence[Path], keys: list[str]) -> None:
    """The command itself over files, its start and its lines included."""
    parts = [files[part::processes] for part in range(processes)]
    commands = [[sys.executable, "-m", "ledger_verify", "receipt", *keys, *map(str, part)] for part in parts]
    outcome.add(f"{name}/rate", "receipts/s", len(files) / _timed(commands))


def _timed(commands: list[list[str]]) -> float:
    """Seconds until all of the commands, begun together, have ended well."""
    started = time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    codes = [process.wait() for process in running]
    seconds = time.perf_counter() - started
    if any(codes):
        raise RuntimeError(f"a command ended with {codes}")
    return seconds
