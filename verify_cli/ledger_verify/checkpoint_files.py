# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in files as they come: a signed note, or any JSON answer of the service that holds some.

Heads, receipts, day documents, manifests and the list of daily roots all have their checkpoints in members of two names.
What else such a file says is not looked at: a checkpoint is believed for its signature, wherever it was found.
"""

from __future__ import annotations

from ledger_verify.canonical import decode_utf8, parse_json
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint
from ledger_verify.encodings import encode_base64
from ledger_verify.errors import MalformedError, VerificationError

_MEMBERS = ("checkpoint", "previous_checkpoint")


def checkpoints_in(raw: bytes, what: str) -> list[Checkpoint]:
    """The checkpoints of a file, at least one, each tree once."""
    if not raw.lstrip().startswith((b"{", b"[")):
        return [parse_checkpoint(decode_utf8(raw, what), extensions=True)]
    found: dict[tuple[str, int, bytes], Checkpoint] = {}
    queue = [parse_json(raw, what)]
    while queue:
        value = queue.pop()
        if isinstance(value, dict):
            for name in _MEMBERS:
                if isinstance(value.get(name), str):
                    checkpoint = parse_checkpoint(value[name], extensions=True)
                    found[checkpoint.origin, checkpoint.tree_size, checkpoint.root_hash] = checkpoint
            queue += value.values()
        elif isinstance(value, list):
            queue += value
    if not found:
        raise MalformedError(f"{what} holds no checkpoint", hint="Give a signed note, or a JSON answer of the service")
    return list(found.values())


def checkpoint_of(raw: bytes, what: str, origin: str, size: int, root_hash: bytes) -> Checkpoint:
    """The checkpoint of a given log and size in a file; of two such, the one with the root hash."""
    found = checkpoints_in(raw, what)
    fitting = [c for c in found if c.origin == origin and c.tree_size == size]
    if not fitting:
        raise VerificationError(
            f"{what} has no checkpoint of that log and size",
            got="; ".join(f"{c.origin} {c.tree_size}" for c in found[:5]),
            want=f"{origin} {size}",
            hint="Ask for the proof between the sizes of the checkpoints that you have: ?from=SIZE&to=SIZE",
        )
    for checkpoint in fitting:
        if checkpoint.root_hash == root_hash:
            return checkpoint
    raise VerificationError(
        f"{what} has another root hash for size {size} than the proof",
        got=encode_base64(fitting[0].root_hash),
        want=root_hash,
        hint="If both are signed the log has forked: `ledger-verify pin add` the older checkpoint, then `pin check` the "
        "newer one with --proof and --proof-out",
    )
