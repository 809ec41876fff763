# SPDX-License-Identifier: Apache-2.0
"""The order in which all is looked at.

First every log is walked, then each is judged as a whole, the root log last: its promises are about the others. Then
comes what lies beside the logs. A fault ends what it concerns and nothing else.

A service may write meanwhile. The heads are read once, and the logs are checked up to them; what is read before the
heads is in the logs, and what is read after them may be newer, so it is held against the head as it is by then.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from ledger.log.check.boxes import VaultCheck, data_key_problems
from ledger.log.check.crew import Crew
from ledger.log.check.findings import Finding, MismatchError, Progress, Report
from ledger.log.check.holdings import Holdings
from ledger.log.check.notes import check_note, note_name, stray_note
from ledger.log.check.promises import END, check_promises
from ledger.log.check.strays import check_record, check_tiles_beyond, is_stray, stray_logs
from ledger.log.check.trail import Trail
from ledger.log.check.walk import Stretch
from ledger.log.erased import NOTHING_ERASED, Erased, recorded_erasures
from ledger.log.errors import DamagedError, LedgerError, UnavailableError
from ledger.log.fold import LogsState, State, empty_state, fold
from ledger.log.store import ROOT_LOG, Head, LogRecord, Store
from ledger.log.tree import TileCache, Tree
from ledger.log.working_copy import Committed
from ledger.tlog.edge import Edge
from ledger.tlog.merkle import EMPTY_ROOT

Step = Callable[[], None]
VKeys = Mapping[str, Sequence[tuple[int, str]]]


class Survey:
    """`live` are logs as a process has them, by number; where it is empty, the stored heads are taken at their word."""

    def __init__(
        self,
        holdings: Holdings,
        live: Mapping[int, Committed] | None = None,
        *,
        replay: bool = False,
        disclosures: bool = True,
        crew: Crew | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._holdings = holdings
        self._store = holdings.store
        self._live = live or {}
        self._replay = replay
        self._disclosures = disclosures
        self._crew = crew or Crew()
        self._progress = progress

    def run(self) -> list[Report]:
        # The database looks at its own file and indexes meanwhile: a long question, which needs none of Python's time.
        with ThreadPoolExecutor(1, "ledger-check-database") as beside:
            return self._run(beside.submit(self._store.damage))

    def _run(self, damage: Future[str | None]) -> list[Report]:
        store = self._store
        old, notes = {secret.name for secret in store.secrets()}, store.notes()
        heads = _heads(store) | {number: committed.head for number, committed in self._live.items()}
        trails = self.walk(store.logs(), heads)
        root = trails.get(ROOT_LOG)
        vkeys = None if root is None or root.problem is not None else root.state[LogsState].vkeys
        for trail in trails.values():
            self._judge(trail, root, vkeys, notes.get(note_name(trail.record.number)))
        if root is not None:
            self.attempt(root, lambda: check_promises(store, trails), lambda: _check_database(damage.result()))
        reports = [trail.report() for trail in trails.values()]
        if root is None:
            reports.append(Report("root log", 0, EMPTY_ROOT, "the table of logs has no root log", "logs"))
        return [*reports, *stray_logs(store, trails, heads), *self._beside(trails, vkeys, old, notes)]

    def walk(self, records: Sequence[LogRecord], heads: Mapping[int, Head]) -> dict[int, Trail]:
        """Walk all logs; gives their trails, the root log's last."""
        trails = {}
        for record in sorted(records, key=lambda record: (record.number == ROOT_LOG, record.number)):
            head = heads.get(record.number)
            if head is None and self._is_newer(record.number):
                continue
            size = _entries_there(self._store, record.number) if head is None else head.size
            state = empty_state(self._holdings.parts_of(record.number))
            trails[record.number] = Trail(record, head, size, state)
        entries = sum(trail.size for trail in trails.values())
        for stretch, walked in self._crew.walk(self._holdings, self._stretches(trails), entries):
            trail = trails[stretch.log_number]
            self.attempt(trail, lambda trail=trail, walked=walked: trail.take(self._store, walked))  # type: ignore[misc]
            if self._progress is not None:
                self._progress(stretch.stop - stretch.start)
        return trails

    def _stretches(self, trails: Mapping[int, Trail]) -> Iterator[Stretch]:
        """All stretches of all logs; of one that has a problem there come no more, whatever size its head claims."""
        step = self._crew.stretch
        for number, trail in trails.items():
            erased = self._erased(number)
            for start in range(0, trail.size, step):
                if trail.problem is not None:
                    break
                stop = min(start + step, trail.size)
                yield Stretch(number, trail.record.origin, start, stop, self._disclosures, erased.within(start, stop))

    def _erased(self, number: int) -> Erased:
        try:
            return Erased.by(event for _, event in recorded_erasures(self._store, number))
        except UnavailableError:
            # Whatever is wrong with governing entries is found where the log is judged.
            return NOTHING_ERASED

    def attempt(self, trail: Trail, *steps: Step) -> None:
        """Take steps that look at a log until one finds something. Raises UnavailableError when it is the store."""
        if trail.problem is not None:
            return
        try:
            for step in steps:
                step()
        except MismatchError as mismatch:
            trail.problem = mismatch.finding
        except DamagedError as damage:
            trail.problem = Finding("tiles", None, damage.message)
        except UnavailableError as error:
            self._store.logs()
            trail.problem = Finding("database", None, error.message)

    def _is_newer(self, number: int) -> bool:
        """Whether a log without a head at first has one by now."""
        with suppress(DamagedError, UnavailableError):
            self._store.head(number)
            return True
        return False

    def _judge(self, trail: Trail, root: Trail | None, vkeys: VKeys | None, note: str | None) -> None:
        """What is left of a log once it is walked. The root log comes last, when the others have been judged."""
        store = self._store
        self.attempt(trail, lambda: trail.check_head(store))
        if vkeys is not None and root is not None:
            named = vkeys.get(trail.record.origin, ())
            self.attempt(trail, lambda: trail.check_keys(named), lambda: check_record(trail, root.record.origin))
        self.attempt(trail, lambda: check_tiles_beyond(store, trail))
        if self._replay:
            self.attempt(trail, lambda: self._check_replay(trail))
        if note is not None:
            self.attempt(trail, lambda: check_note(store, trail, note))

    def _check_replay(self, trail: Trail) -> None:
        """What a service has loaded, or would load now, is what the leaves make."""
        number = trail.record.number
        live = self._live.get(number)
        try:
            state, edge = self._load(number, trail.size) if live is None else (live.state, live.edge)
        except LedgerError as error:
            raise MismatchError("replay", None, f"the log cannot be loaded: {error.message}") from None
        if state != trail.state:
            raise MismatchError("replay", trail.state.governing, "the live state is not the fold of the log")
        if edge.rows != trail.edge.rows:
            raise MismatchError("replay", trail.last, "the live edge of the tree is not that of the leaves")

    def _load(self, number: int, size: int) -> tuple[State, Edge]:
        """State and edge as a service finds them at its start. Raises LedgerError."""
        governing = ((index, leaf) for index, leaf in self._store.governing(number, 0) if index < size)
        state = fold(empty_state(self._holdings.parts_of(number)), governing)
        return state, Tree(self._store, number, TileCache()).load_edge(size)

    def _beside(
        self, trails: Mapping[int, Trail], vkeys: VKeys | None, old: Collection[str], notes: Mapping[str, str]
    ) -> Iterator[Report]:
        """What is kept beside the logs, where something is wrong with it."""
        sound = {number: trail for number, trail in trails.items() if trail.problem is None}
        own = [trail.vkeys for trail in sound.values()]
        vault = VaultCheck(
            self._holdings.vault,
            self._holdings.rules,
            self._store.secrets(),
            # Of a log that did not pass it is not known what it speaks of.
            old if len(sound) == len(trails) else (),
            trails.keys(),
            {number: trail.state for number, trail in sound.items()},
            None if vkeys is None else {vkey for keys in vkeys.values() for _, vkey in keys},
            [keys[-1][1] for keys in (own if vkeys is None else vkeys.values())],
        )
        yield from _first("vault", "secrets", vault.problems())

        def exists(number: int) -> bool:
            if not is_stray(self._store, number, trails):
                return True
            # A log that was not made after all leaves a key under which nothing lies, since keys come first; the next
            # log gets its number.
            following = self._store.next_entry(number, 0)
            unused = following is None or following[0] != number
            return unused and not is_stray(self._store, number - 1, trails)

        erasures = {number: trail.erasures[-1] for number, trail in sound.items() if trail.erasures}
        yield from _first("keystore", "data_keys", data_key_problems(self._holdings.keystore, exists, erasures))
        stray = stray_note(notes, trails)
        if stray is not None:
            yield Report("notes", 0, EMPTY_ROOT, f"the note {stray!r} is about no log", "notes")


def _check_database(damage: str | None) -> None:
    if damage is not None:
        raise MismatchError("database", None, damage)


def _first(origin: str, check: str, problems: Iterator[str]) -> Iterator[Report]:
    for problem in problems:
        yield Report(origin, 0, EMPTY_ROOT, problem, check)
        return


def _heads(store: Store) -> dict[int, Head]:
    """All heads of one moment; where one of them cannot be read, the others."""
    try:
        return store.heads()
    except UnavailableError:
        heads = {}
        for record in store.logs():
            with suppress(DamagedError, UnavailableError):
                heads[record.number] = store.head(record.number)
        return heads


def _entries_there(store: Store, log_number: int) -> int:
    """How many entries a log has that does not say so: one more than the last index. O(log n) questions."""

    def there(index: int) -> bool:
        entry = store.next_entry(log_number, index)
        return entry is not None and entry[0] == log_number

    low, high = 0, 1
    while high < END and there(high):
        high *= 2
    while low < high:
        middle = (low + high) // 2
        if there(middle):
            low = middle + 1
        else:
            high = middle
    return low
