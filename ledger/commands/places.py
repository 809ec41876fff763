# SPDX-License-Identifier: Apache-2.0
"""Where a ledger is copied to: a data directory, a PostgreSQL database, a file in a backup.

What is made appears under its name only when it is whole: a file is renamed then, a database loses its mark.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ledger.commands.terminal import progress, say
from ledger.deployment import open_store
from ledger.log.copying import Contents, copy_ledger
from ledger.log.durable import rename
from ledger.log.errors import ConfigurationError, ConflictError, LedgerError
from ledger.log.fold import LogsState, empty_state, fold
from ledger.log.guard import Guard
from ledger.log.lock import DirectoryLock
from ledger.log.startup import require_finished
from ledger.log.store import ROOT_LOG, Store
from ledger.log.store.sqlite import SqliteStore
from ledger.log.tree import TileCache, Tree
from ledger.log.working_copy import Committed
from ledger.settings import Settings

KEYS_ARE_NOT_IN_IT = (
    "Not in it: the data keys and the master key, since erasing means destroying a key. Back those up apart, and keep "
    "few of their backups: what was erased comes back with a keystore that still has its key."
)

_LEFT_UNFINISHED = (
    "The new database holds the beginning of the copy, and no ledger: drop it, make an empty one, and try again"
)


def settings_at(place: str, settings: Settings) -> Settings:
    """The settings with another data directory, or with the URL of another database."""
    if place.startswith(("postgresql://", "postgres://")):
        return replace(settings, database_url=place)
    if "://" in place:
        raise ConfigurationError("a place is a data directory, or a database postgresql://…")
    return replace(settings, data=Path(place), database_url=None)


def flag_of(settings: Settings) -> str:
    """How a command is told of this place; of a URL without what is secret in it."""
    return f"--data {settings.data}" + ("" if settings.database_url is None else " --database-url URL")


def fill(source: Store, settings: Settings, label: str, expected: Contents | None = None) -> Contents:
    """Copy a ledger to where `settings` say. Raises ConflictError when one is there, and what `copy_ledger` raises."""
    if settings.database_url is not None:
        return _fill_database(source, settings.database_url, label, expected)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with DirectoryLock(settings.data):
        if settings.database.exists():
            raise ConflictError(f"there is a ledger in {settings.data} already; nothing was changed")
        unfinished = settings.database.with_suffix(".new")
        _remove(unfinished)
        try:
            contents = write_file(source, unfinished, label, expected)
            rename(unfinished, settings.database)
        finally:
            _remove(unfinished)
    return contents


def write_file(source: Store, path: Path, label: str, expected: Contents | None = None) -> Contents:
    """Copy a ledger to a new SQLite file, left without a journal beside it."""
    target = SqliteStore.initialise(path)
    try:
        contents = _copy(source, target, lambda: SqliteStore(path, read_only=True), label, expected)
    except BaseException:
        target.close()
        raise
    target.seal()
    return contents


def _fill_database(source: Store, url: str, label: str, expected: Contents | None) -> Contents:
    from ledger.log.store.postgres import PostgresStore

    try:
        target = PostgresStore.initialise(url)
    except ConflictError:
        # Perhaps it is no ledger, but what is left of a try like this one.
        there = PostgresStore(url, read_only=True)
        try:
            require_finished(there)
        finally:
            there.close()
        raise
    try:
        return _copy(source, target, lambda: PostgresStore(url, read_only=True), label, expected)
    except LedgerError as error:
        raise LedgerError(f"{error.for_operator}. {_LEFT_UNFINISHED}") from error
    except BaseException:
        say(_LEFT_UNFINISHED)
        raise
    finally:
        target.close()


def _copy(source: Store, target: Store, again: Callable[[], Store], label: str, expected: Contents | None) -> Contents:
    # Each entry counts twice: written, and read again.
    total = 2 * sum(head.size for head in source.heads().values())
    with progress(label, total) as advance:
        return copy_ledger(source, target, again, advance, expected)


def _remove(unfinished: Path) -> None:
    """What is left of a file that was not finished, and of its journals."""
    for leftover in unfinished.parent.glob(f"{unfinished.name}*"):
        leftover.unlink()


def say_before_serving(settings: Settings) -> None:
    """What stands between a copy that was just made and signing on from it."""
    confirm = f"ledger guard confirm {flag_of(settings)}"
    if settings.guard is None:
        return
    store = open_store(settings, read_only=True)
    try:
        released = _is_newest(store, settings.guard)
    except LedgerError as error:
        say(f"This copy cannot be signed on. {error.message}.")
    else:
        if released:
            say("It has everything that the root log had committed to; of the seconds after that nobody here can tell.")
            say(f"Only one copy may sign: see that no other is served any more, then name this one: {confirm}")
        else:
            say(f"There is no rollback guard for it in {settings.guard}: if it is the newest, {confirm}")
    finally:
        store.close()


def _is_newest(store: Store, directory: Path) -> bool:
    """Whether a store has what was published; False when nobody here knows. Raises RollbackError."""
    [record] = [record for record in store.logs() if record.number == ROOT_LOG]
    head, tree = store.head(ROOT_LOG), Tree(store, ROOT_LOG, TileCache())
    state = fold(empty_state([LogsState]), store.governing(ROOT_LOG, 0))
    guard = Guard(directory, state[LogsState].vkeys[record.origin][0][1])
    released = guard.read()
    if released is not None:
        guard.compare(released, record.origin, tree, Committed(head, tree.load_edge(head.size), state))
    return released is not None
