# SPDX-License-Identifier: Apache-2.0
"""The command line of the benchmarks; `python -m tests.bench ingest --help` names the flags."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench import batch, check, disk, ingest, memory, proof, restart, verify
from tests.bench.bodies import BATCH, EVENT_BYTES
from tests.bench.figures import Outcome, table
from tests.bench.load import LoadError
from tests.bench.machine import describe, load_average
from tests.bench.session import Options

BENCHMARKS: dict[str, tuple[Callable[[Options], Outcome], str]] = {
    "ingest": (ingest.measure, "single events with receipts: figures a, b, c"),
    "batch": (batch.measure, "batches of 100 events with receipts: figure d"),
    "proof": (proof.measure, "inclusion proofs in a large log: figure e"),
    "memory": (memory.measure, "what a service's memory grows by: figure f"),
    "restart": (restart.measure, "from the start to the first receipt: figure g"),
    "check": (check.measure, "the self-check of a large log: figure h"),
    "verify": (verify.measure, "the verifier: receipts, fresh signatures, a cold start: figures j, k, l"),
    "disk": (disk.measure, "bytes at rest and bytes written: figure i"),
}
WITHOUT_A_LEDGER = ("ingest", "batch")
"""What can also be measured over no disk."""


def run(name: str, options: Options) -> dict[str, Any]:
    """Run one benchmark; all that is known of it, as it goes into the JSON file."""
    begun, busy = time.time(), load_average()
    outcome = BENCHMARKS[name][0](options)
    told = {
        "benchmark": name,
        "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun)),
        "seconds": round(time.time() - begun, 1),
        "load_average_before": busy,
        "machine": describe(options.folder or Path(".")),
        "settings": _settings(options),
        **outcome.told(),
    }
    machine = told["machine"]
    options.say(
        f"{name} on {options.store}: {machine['cores']} cores, {machine['cpu']}, Python {machine['python']}, "
        f"Linux {machine['kernel']}, {machine['disk']}, load average before {busy}"
    )
    options.say(table(outcome))
    return told


def _settings(options: Options) -> dict[str, Any]:
    settings = {key: value for key, value in asdict(options).items() if key != "say"}
    return settings | {
        "folder": None if options.folder is None else options.folder.name,
        "event_bytes": EVENT_BYTES,
        "sealed_arguments": 4,
        "events_a_batch": BATCH,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.store == "null" and chosen.benchmark not in WITHOUT_A_LEDGER:
        parser.error(f"{chosen.benchmark} needs a ledger that is kept: --store sqlite or postgres")
    given = {key: value for key, value in vars(chosen).items() if key not in ("benchmark", "json")}
    if chosen.folder is not None:
        chosen.folder.mkdir(parents=True, exist_ok=True)
    try:
        told = run(chosen.benchmark, Options(**given))
    except LoadError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    usual = Options()
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    commands = parser.add_subparsers(dest="benchmark", required=True)
    for name, (_, text) in BENCHMARKS.items():
        command = commands.add_parser(
            name, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        add = command.add_argument
        add("--store", choices=("sqlite", "postgres", "null"), default=usual.store, help="what the ledger is kept on")
        add("--json", type=Path, metavar="FILE", help="also write everything there")
        add("--runs", type=int, default=usual.runs, help="measured runs, after one that does not count")
        add("--seconds", type=float, default=usual.seconds, help="length of a run")
        add("--warmup", type=float, default=usual.warmup, help="seconds of load before each run's clock starts")
        add("--connections", type=int, default=usual.connections, help="connections for single events and proofs")
        add("--batch-connections", type=int, default=usual.batch_connections, help="connections for batches")
        add("--entries", type=int, default=usual.entries, help="entries of the large log")
        add("--first-entries", type=int, default=usual.first_entries, help="entries after which memory is first read")
        add("--larger", type=int, default=usual.larger, help="entries of a log larger still, 0 for none")
        add("--rows", type=int, default=usual.rows, help="rows of a run of bulk load")
        add("--folder", type=Path, help="where databases lie; large logs are kept there and used again")
        add("--peer", metavar="URL", help="another server to put under the same load")
        add("--peer-path", default=usual.peer_path, metavar="PATH", help="where that one takes a POST")
    return parser


if __name__ == "__main__":
    sys.exit(main())
