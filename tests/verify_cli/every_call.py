# SPDX-License-Identifier: Apache-2.0
"""Evidence of every kind, and how the command is called for it."""

from __future__ import annotations

from pathlib import Path

from .claim_log import write_claims
from .log_places import SIGNER, any_log, write_log
from .test_consistency import answer_bytes, note
from .test_equivocation import fork_at, proof
from .test_pins import forked_log
from .test_proof import our_proof
from .textbook import file_bytes
from .world import World


def every_call(world: World, folder: Path) -> dict[str, list[str]]:
    """A call of each command that succeeds, in the order of spec/verdicts.md, then one that finds a fork. What they are
    about is put into the folder; they leave a pin book there, so they have to be made in their order.
    """
    log, root = ["--key", world.log.signer.vkey], ["--root-key", world.root.signer.vkey]
    key, pin = ["--key", SIGNER.vkey], ["--pin", str(folder / "pins")]
    for name, content in {
        "receipt": file_bytes(world.receipt(9)),
        "day": file_bytes(world.day()),
        "proof": our_proof(world, 9),
        "answer": answer_bytes(5, 70),
        "old": note(5),
        "new": note(70),
        "fork": file_bytes(proof(5, 70, fork_at(2))),
    }.items():
        (folder / name).write_bytes(content)
    world.export(folder / "export", 4, 20)
    write_claims(folder / "claims", {"never": {"verdict": "deny"}})
    write_log(folder / "log", any_log(70))
    write_log(folder / "forked", forked_log(70, 2))
    calls = {
        "receipt": ["receipt", "receipt", *log],
        "export": ["export", "export", *log],
        "claim": ["claim", "claims", "export", *log],
        "state": ["state", "export", "--at", "2", *log],
        "root": ["root", "day", *root],
        "proof": ["proof", "proof", *log],
        "consistency": ["consistency", "answer", "--old", str(folder / "old"), "--new", str(folder / "new"), *key],
        "log": ["log", "log", *key],
        "pin add": ["pin", "add", "old", *pin, *key],
        "pin check": ["pin", "check", "log", *pin],
        "pin list": ["pin", "list", *pin],
        "equivocation": ["equivocation", "fork", *key],
        "fork": ["pin", "check", "forked", *pin],
    }
    names = {item.name for item in folder.iterdir()} - {"pins"}
    return {
        command: [str(folder / part) if at and part in names and part not in command.split()[1:] else part
                  for at, part in enumerate(call)]
        for command, call in calls.items()
    }  # fmt: skip
