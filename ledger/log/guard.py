# SPDX-License-Identifier: Apache-2.0
"""The rollback guard: the newest root-log checkpoint that was ever released, kept outside the database.

A database that was restored from an old copy looks whole. Signing on from there would give a second head for a size
that has one already, which is proof against us for whoever keeps the first. So the newest released checkpoint lies in
a small file of its own, in another place than the data and their backups, and a ledger whose database is behind that
file, or has another history, does not sign.

Order, and what a crash in between means:

1. The store commits. A crash before that has changed nothing.
2. The guard takes the checkpoint. A crash before that leaves a database ahead of the guard; what it has was shown to
   nobody, and the next start releases it.
3. The checkpoint leaves the process. A crash before that leaves a guard that has what nobody saw: harmless, since the
   database has it too.

So at any time the guard is not ahead of a sound database, and whoever reads the guard *before* the head of the root log
may compare the two exactly. Several processes may share the file; under its lock it only goes forward.

One file per root log, `<first 16 hex digits of sha256(first vkey)>.checkpoint`, a signed note as published. Whoever can
write it can take this protection away, and nothing else.

A whole copy of a database passes that comparison, and so does the standby of a server that failed over. Of several
copies only one may sign, so a second file beside the first, `….database`, names the one that does
(`Store.identity`) and those that did before; another one waits for an operator's word (`ledger guard confirm`).

Between two commitments to the root log the guard does not see what the other logs acknowledge. A copy that lacks only
such entries passes, which is why the word is an operator's, and why a service commits once more when it stops.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import NamedTuple

from ledger.log.durable import replace_file
from ledger.log.errors import ConfigurationError, ConflictError, RollbackError, UnavailableError
from ledger.log.fold import LogsState
from ledger.log.tree import Tree
from ledger.log.working_copy import Committed, Log
from ledger.tlog.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from ledger.tlog.errors import MalformedError, TlogError
from ledger.tlog.note import MAX_NOTE_BYTES, parse_vkey

WAYS_ON = (
    "Nothing is signed, since that would fork the log. Put the newest copy in its place (a later backup, or the "
    "standby that has it) and start again. If there is none: this ledger stays readable (`ledger check`, "
    "`ledger copy`), and a new one is begun with `ledger init`. `ledger guard show` compares the two"
)


class Released(NamedTuple):
    """What the guard holds: the signed note, and the checkpoint it says it is. Not verified before `compare`."""

    note: str
    checkpoint: Checkpoint


class Guard:
    """The guard file of one root log. Any thread may use it."""

    def __init__(self, directory: Path, first_vkey: str) -> None:
        name = sha256(first_vkey.encode()).hexdigest()[:16]
        self.path = directory / f"{name}.checkpoint"
        self._holder_path = directory / f"{name}.database"
        self._lock_path = directory / f"{name}.lock"

    @classmethod
    def of(cls, root: Log, directory: Path) -> "Guard":
        """The guard of an opened root log."""
        return cls(directory, root.committed.state[LogsState].vkeys[root.origin][0][1])

    def initialise(self, note: str) -> None:
        """Begin to guard a new ledger. Raises ConflictError when it is guarded already, UnavailableError."""
        with self._locked():
            if self.path.exists():
                raise ConflictError(f"{self.path} exists already")
            replace_file(self.path, note.encode())

    def read(self) -> Released | None:
        """What was released last, None when there is no file. Raises UnavailableError, and ConfigurationError for a
        file that holds no checkpoint.
        """
        try:
            with self.path.open("rb") as file:
                text = file.read(MAX_NOTE_BYTES + 1).decode()
            return Released(text, read_checkpoint(text))
        except FileNotFoundError:
            return None
        except (MalformedError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"the rollback guard {self.path} holds no checkpoint: {error}. Restore the file, or see what this "
                "database would resume from with `ledger guard show`, then run `ledger guard confirm`"
            ) from error
        except OSError as error:
            raise self._unreadable(error) from error

    def require(self) -> Released:
        """The same at start, where a missing file is a refusal: it may be that this is not the newest database."""
        released = self.read()
        if released is None:
            raise ConfigurationError(
                f"there is no rollback guard {self.path} for this ledger, so nobody can tell whether its database is "
                "the newest. Name the directory that has it (--guard), or restore the file. After a move to this "
                "machine: see `ledger guard show`, then `ledger guard confirm`"
            )
        return released

    def compare(self, released: Released, origin: str, tree: Tree, committed: Committed) -> None:
        """Whether the root log as committed, read after `released`, is what was released and perhaps more.

        O(log n). Raises RollbackError.
        """
        note, checkpoint = released
        edge = committed.edge
        if checkpoint.origin != origin:
            raise RollbackError(
                f"the rollback guard {self.path} is of another ledger: {checkpoint.origin!r}, not {origin!r}. "
                f"Name the right directory with --guard. {WAYS_ON}"
            )
        if checkpoint.size > edge.size:
            raise RollbackError(
                f"the database is behind what was published: its root log has {edge.size} entries, and a checkpoint of "
                f"{checkpoint.size} was released (rollback guard {self.path}). {WAYS_ON}"
            )
        try:
            open_checkpoint(note, [parse_vkey(vkey) for _, vkey in committed.state[LogsState].vkeys[origin]])
        except TlogError as error:
            raise RollbackError(
                f"the database has another history than what was published: the checkpoint in the rollback guard "
                f"{self.path} does not open with its keys ({error}). {WAYS_ON}"
            ) from error
        if tree.root(edge, checkpoint.size) != checkpoint.root:
            raise RollbackError(
                f"the database has another history than what was published: its root log of {checkpoint.size} entries "
                f"does not have the root that was released (rollback guard {self.path}). {WAYS_ON}"
            )

    def check_holder(self, identity: str) -> bool:
        """Whether this database is named as the one that signs; False when none is.

        Raises RollbackError when another one is, and UnavailableError.
        """
        holders = self._holders()
        if not holders or holders[0] == identity:
            return bool(holders)
        raise RollbackError(
            f"another copy of this ledger signed last, or its database server was failed over (rollback guard "
            f"{self._holder_path}). Of several copies only one may sign. Make sure that no other is served any more, "
            "and that this one is the newest; then: ledger guard confirm"
        )

    def require_holder(self, identity: str) -> None:
        """The same before signing: where no database is named yet, this one is from now on."""
        if not self.check_holder(identity):
            with self._locked():
                # Asked again under the lock: another copy may have been faster.
                if not self.check_holder(identity):
                    self._write_holders([identity])

    def was_replaced(self, identity: str) -> bool:
        """Whether this database signed once, and another one was named since: it lacks what that one took."""
        return identity in self._holders()[1:]

    def name_holder(self, identity: str) -> None:
        """Let this database sign from now on, and no other, by an operator's explicit word."""
        with self._locked():
            self._write_holders([identity, *(holder for holder in self._holders() if holder != identity)])

    def _holders(self) -> list[str]:
        """The databases that signed, the last one first."""
        try:
            return self._holder_path.read_text(errors="replace").removesuffix("\n").split("\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unreadable(error) from error

    def _write_holders(self, holders: list[str]) -> None:
        replace_file(self._holder_path, "".join(f"{holder}\n" for holder in holders).encode())

    def _unreadable(self, error: OSError) -> UnavailableError:
        return UnavailableError(f"the rollback guard {self.path} cannot be read: {error.strerror}", retry_after=5)

    def advance(self, note: str) -> None:
        """Take a checkpoint that the store has committed; afterwards it may be released.

        An older one than the guard's changes nothing: another process was quicker. Raises UnavailableError when it
        cannot be written, and RollbackError when the guard has another root of that size.
        """
        new = read_checkpoint(note)
        with self._locked():
            current = self.read()
            if current is not None and current.checkpoint.size >= new.size:
                if current.checkpoint.size == new.size and current.checkpoint.root != new.root:
                    raise RollbackError(
                        f"somebody else released another root log of {new.size} entries (rollback guard {self.path}): "
                        f"two copies of this ledger are being served. {WAYS_ON}"
                    )
                return
            replace_file(self.path, note.encode())

    def replace(self, note: str) -> Path | None:
        """Take a checkpoint whatever is there, by an operator's explicit word.

        A file that was there is kept beside it and its path given: it is evidence of what was published.
        """
        with self._locked():
            kept = None
            if self.path.exists():
                names = (self.path.with_suffix(f".disowned-{number}") for number in count(1))
                kept = next(name for name in names if not name.exists())
                replace_file(kept, self.path.read_bytes())
            replace_file(self.path, note.encode())
            return kept

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all processes. Problems with the file system become UnavailableError."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            raise UnavailableError(
                f"the rollback guard {self.path} cannot be written: {error.strerror or error}", retry_after=5
            ) from error
