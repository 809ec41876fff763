# SPDX-License-Identifier: Apache-2.0
"""A process that reads receipts into memory and, once told to begin, goes through them again and again for a while.

    python -m tests.bench.verifying verify|limit|proof|export FOLDER SECONDS LOG_VKEY ROOT_VKEY

`limit` does of each only what a program in Python cannot do without: parse the file, parse the entry, and hash what
lies on the way from the leaf to the root, all by the standard library. `export` and `proof` check a folder with an
export once: with all that is in it, or only that its entries are those of the signed tree.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ledger_verify import trusted_keys, verify_export, verify_receipt
from ledger_verify.entry import MAX_ENTRY_BYTES
from ledger_verify.export_files import ENTRIES, ExportFiles
from ledger_verify.manifest import read_manifest
from ledger_verify.merkle import CompactRange, leaf_hash

from tests.bench.processes import usage


def parse_and_hash(raw: bytes) -> None:
    receipt = json.loads(raw)
    entry = receipt["entry"]
    json.loads(entry)
    node = hashlib.sha256(b"\x00" + entry.encode()).digest()
    for _ in receipt["inclusion_path"]:
        node = hashlib.sha256(b"\x01" + node + node).digest()


def prove(folder: str) -> None:
    """Steps 1, 2 and 4 of an export: the leaves, their tree, and the digest of the file."""
    files = ExportFiles.of(folder)
    manifest = read_manifest(files.manifest())
    tree = CompactRange()
    for lines in files.digested(ENTRIES, manifest.files).batches(MAX_ENTRY_BYTES):
        tree.extend([leaf_hash(line) for line in lines])
    assert tree.root() == manifest.checkpoint.root_hash


def main(what: str, folder: str, seconds: str, log_vkey: str, root_vkey: str) -> None:
    if what in ("proof", "export"):
        keys = trusted_keys([log_vkey], [root_vkey])
        begun = time.perf_counter()
        assert prove(folder) is None if what == "proof" else verify_export(folder, keys).signed.by_root
        lasted = time.perf_counter() - begun
        print(json.dumps({"seconds": lasted, "memory": usage("self").peak / 1e6}))
        return
    files = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    verify = partial(verify_receipt, keys=trusted_keys([log_vkey], [root_vkey]))
    check: Callable[[bytes], object] = verify if what == "verify" else parse_and_hash
    # What comes once in a process and not with every receipt: the signatures of the head.
    check(files[0])
    print("ready", flush=True)
    sys.stdin.readline()
    done, begun, used = 0, time.perf_counter(), time.process_time()
    while (lasted := time.perf_counter() - begun) < float(seconds):
        for raw in files[done % len(files) :][:100]:
            check(raw)
            done += 1
    cost = (time.process_time() - used) / done * 1e6
    print(json.dumps({"rate": done / lasted, "cost": cost, "memory": usage("self").peak / 1e6}))


if __name__ == "__main__":
    main(*sys.argv[1:])
