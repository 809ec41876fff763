# SPDX-License-Identifier: Apache-2.0
"""A whole log, derived again from its entries (spec/log.md; C2SP tlog-tiles).

Every hash is computed from the bundles of entries, and every tile that the checkpoint implies is compared with what was
computed: nothing that the log serves is used to check anything else that it serves, but for the checkpoint that it signed.
The bundles are read one by one from left to right, and of the tree only the right edge is kept, so the memory needed does
not depend on the log. The steps below are those of the page.
"""

from __future__ import annotations

from typing import Callable, NamedTuple

from ledger_verify.canonical import decode_utf8
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint
from ledger_verify.errors import CannotTellError, VerificationError, step
from ledger_verify.log_files import LogFiles, Source
from ledger_verify.log_state import LogState
from ledger_verify.merkle import leaf_hash, perfect_root
from ledger_verify.sequence import ANY, DETECT, LEDGER, EntrySequence, claims_to_be_ours
from ledger_verify.tiles import WIDTH, RightEdge, Tile, tile_of
from ledger_verify.trust import Signed, TrustedKeys, verify_signatures

_ALTERED = "was changed on its way or after it was hashed. Fetch it again from the log's own server, and run this again"
_FORKED = (
    "If both are signed the log has forked: run `ledger-verify pin add` on the state file, then `pin check` on this log"
)


class Log(NamedTuple):
    """A log whose steps all hold; `signed` says under which trusted keys."""

    checkpoint: Checkpoint
    signed: Signed
    start: int  # entries before this one were verified by an earlier run
    unknown_types: int
    tiles_read: int
    bundles_read: int
    state: LogState

    @property
    def entries(self) -> str:
        """Whether entries were checked as ours, or are any bytes."""
        return self.state.entries


def verify_log(
    source: Source,
    keys: TrustedKeys,
    entries: str = DETECT,
    state: LogState | None = None,
    progress: Callable[[int, int], None] = lambda done, size: None,
) -> Log:
    """Derive a log again. With the state of an earlier run, only what came after it is read.

    1. The checkpoint is well formed.
    2. Trusted keys signed it, and a policy's quorum cosigned it.
    3. It does not contradict the state: same origin, not smaller, at the same size the same root hash.
    4. Each bundle has the entries that its name implies, and entries of ours obey their rules.
    5. Each tile of hashes is what follows from the entries.
    6. So is the root hash, from the state's right edge on.

    Writing the new state (7) is the caller's, after this has returned.
    """
    files = LogFiles(source)
    with step("step 1"):
        checkpoint = parse_checkpoint(files.checkpoint(), extensions=True)
    with step("step 2"):
        signed = verify_signatures(checkpoint, keys)
    with step("step 3"):
        if state is not None:
            _check_goes_on(state.checkpoint, checkpoint)
    derivation = _Derivation(files, checkpoint, entries, state)
    start = derivation.edge.size
    size = checkpoint.tree_size
    for number in range(start // WIDTH, -(-size // WIDTH)) if start < size else ():
        derivation.read_bundle(number)
        progress(derivation.edge.size, size)
    derivation.conclude()
    sequence, edge = derivation.sequence, derivation.edge
    return Log(
        checkpoint=checkpoint,
        signed=signed,
        start=start,
        unknown_types=sequence.unknown_types,
        tiles_read=files.tiles_read,
        bundles_read=files.bundles_read,
        state=LogState(checkpoint, edge, derivation.kind, sequence.last_id, sequence.governing),
    )


def _check_goes_on(old: Checkpoint, new: Checkpoint) -> None:
    """Step 3: a log never shrinks and never changes what it has shown. Whether it extends that is what step 6 says."""
    if old.origin != new.origin:
        raise VerificationError(
            "the state is of another log", got=new.origin, want=old.origin, hint="Use one state file a log"
        )
    if new.tree_size < old.tree_size:
        raise VerificationError(
            "the log is smaller than when it was last verified",
            got=new.tree_size,
            want=f"at least {old.tree_size}",
            hint="A stale copy, or a log that was rolled back. Ask its own server, and again later",
        )
    if new.tree_size == old.tree_size and new.root_hash != old.root_hash:
        raise VerificationError(
            f"another root hash for size {old.tree_size} than when it was last verified",
            got=new.root_hash,
            want=old.root_hash,
            hint=_FORKED,
        )


class _Derivation:
    """Steps 4 to 6: entries, tiles and root."""

    def __init__(self, files: LogFiles, checkpoint: Checkpoint, wanted: str, state: LogState | None) -> None:
        self._files = files
        self._checkpoint = checkpoint
        self._start = 0 if state is None else state.checkpoint.tree_size
        self.edge = RightEdge() if state is None else RightEdge(state.edge.rows)
        self.kind = wanted
        origin = checkpoint.origin
        self.sequence = EntrySequence(origin)
        if state is not None and self._start:
            if wanted == LEDGER and state.entries != LEDGER:
                raise CannotTellError(
                    "the earlier run did not check the entries as those of Decision Ledger. Use another state file"
                )
            self.kind = state.entries if wanted == DETECT else wanted
            if self.kind == LEDGER:
                self.sequence = EntrySequence(origin, 0, state.last_id, state.governing)
        elif wanted == DETECT and checkpoint.tree_size == 0:
            self.kind = ANY

    def read_bundle(self, number: int) -> None:
        """Steps 4 and 5 for a bundle: its entries, and the tiles that become full by them."""
        size = self._checkpoint.tree_size
        with step("step 4"):
            bundle = tile_of(None, number, size)
            entries = self._files.entries(bundle)
            first = number * WIDTH
            for index, known in enumerate(self.edge.rows[0] if self.edge.rows else (), first):
                if leaf_hash(entries[index - first]) != known:
                    raise VerificationError(
                        f"entry {index} of {bundle.path} is another one than when it was last verified",
                        got=leaf_hash(entries[index - first]),
                        want=known,
                        hint=f"The entry {_ALTERED}. {_FORKED}",
                    )
        for index in range(self.edge.size, first + len(entries)):
            raw = entries[index - first]
            with step("step 4"):
                self._check_entry(raw, index, bundle)
            for tile, hashes in self.edge.append(leaf_hash(raw)):
                with step("step 5"):
                    self._compare(tile, hashes)

    def _check_entry(self, raw: bytes, index: int, bundle: Tile) -> None:
        if self.kind == DETECT:
            self.kind = LEDGER if claims_to_be_ours(raw, self._checkpoint.origin) else ANY
        if self.kind == LEDGER:
            with step(f"entry {index} of {bundle.path}"):
                self.sequence.check(decode_utf8(raw, "the entry"), index)

    def conclude(self) -> None:
        """Step 6, then step 5 for the partial tiles: that the root holds says that the entries are right, not the tiles."""
        root = self.edge.root()
        partial = [(tile, hashes, self._files.hashes(tile)) for tile, hashes in self.edge.partial_tiles()]
        if root != self._checkpoint.root_hash:
            with step("step 6"):
                self._blame(partial, root)
        for tile, hashes, served in partial:
            with step("step 5"):
                for position, (got, want) in enumerate(zip(served, hashes)):
                    if got != want:
                        raise VerificationError(
                            f"hash {position} of {tile.path} is not that of the entries",
                            got=got,
                            want=want,
                            hint=f"The entries lead to the signed root, so the tile {_ALTERED}",
                        )

    def _blame(self, partial: list[tuple[Tile, list[bytes], list[bytes]]], root: bytes) -> None:
        """The entries lead to another root. If the last tile of leaf hashes knows better, name the entry."""
        for tile, hashes, served in partial:
            for position, (want, got) in enumerate(zip(served, hashes)):
                if tile.level == 0 and got != want:
                    raise VerificationError(
                        f"entry {tile.number * WIDTH + position} in {tile._replace(level=None).path} and hash {position} "
                        f"of {tile.path} differ, and the entries lead to another root hash than the signed one",
                        got=got,
                        want=want,
                        hint=f"The entry {_ALTERED}",
                    )
        raise VerificationError(
            f"the {self.edge.size} entries lead to another root hash",
            got=root,
            want=self._checkpoint.root_hash,
            hint=_FORKED
            if self._start
            else "The entries are another log's, or were exchanged together with their tiles. "
            "Fetch the log again from its own server",
        )

    def _compare(self, tile: Tile, hashes: list[bytes]) -> None:
        """Step 5 for a full tile. Where the two differ, the tile above tells which one it was made from."""
        served = self._files.hashes(tile)
        if served == hashes:
            return
        assert tile.level is not None
        position = next(i for i in range(WIDTH) if served[i] != hashes[i])
        above = tile_of(tile.level + 1, tile.number // WIDTH, self._checkpoint.tree_size)
        parent = self._files.hashes(above)[tile.number % WIDTH]
        if tile.level == 0:
            below = f"entry {tile.number * WIDTH + position} in {tile._replace(level=None).path}"
        else:
            below = tile_of(tile.level - 1, tile.number * WIDTH + position, self._checkpoint.tree_size).path
        if parent == perfect_root(hashes):
            hint = f"{above.path} agrees with the entries, so {tile.path} {_ALTERED}"
        elif parent == perfect_root(served):
            hint = f"{above.path} agrees with {tile.path}, so {below} {_ALTERED}"
        else:
            hint = f"{above.path} agrees with neither: more than one of them {_ALTERED}"
        raise VerificationError(
            f"hash {position} of {tile.path} is not that of {below}",
            got=served[position],
            want=hashes[position],
            hint=hint,
        )
