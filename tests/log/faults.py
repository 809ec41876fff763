# SPDX-License-Identifier: Apache-2.0
"""What a ledger asks of its store, its keystore and its guard, counted, so that any one call can be made to fail: at
once, or after it took effect.

    faults = Faults()
    with open_world(wrap=faults.around_store) as world:
        faults.around_rest(world)
        faults.fail(3, AFTER)       the fourth call from here on
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ledger.log.errors import OutcomeUnknownError, UnavailableError
from ledger.log.store import Batch, Build, Head, Known, Store
from tests.log.world import World

BEFORE, AFTER = "before it took effect", "after it took effect"

COMMIT = "store.append: commit"

_OF_KEYS = ("of_bucket", "of_id", "insert", "in_bucket", "before_day", "is_usable", "retire", "retired", "destroy")
_OF_GUARD = ("read", "advance", "require_holder")


class _RollBackError(Exception):
    pass


class Faults:
    """`calls` names all calls since the last `fail` or `mend`, in order; `failed` the one that was made to fail."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failed: str | None = None
        self._at: int | None = None
        self._way = BEFORE

    def fail(self, at: int, way: str) -> None:
        """Of the calls from now on let number `at` fail."""
        self.mend()
        self._at, self._way = at, way

    def mend(self) -> None:
        self.calls, self.failed, self._at = [], None, None

    def happened(self, name: str) -> bool:
        """Whether a call of this name took effect."""
        return (name in self.calls and name != self.failed) or (name == self.failed and self._way == AFTER)

    def call(self, name: str, do: Callable[[], Any]) -> Any:
        if self._is_due(name, BEFORE):
            raise UnavailableError(f"{name} failed")
        result = do()
        if self._failing:
            raise UnavailableError(f"{name} failed, and took effect")
        return result

    def _is_due(self, name: str, *ways: str) -> bool:
        """Note a call; whether it fails, in one of these ways."""
        self.calls.append(name)
        self._failing = len(self.calls) - 1 == self._at
        if self._failing:
            self.failed = name
        return self._failing and self._way in ways

    def around_store(self, store: Store) -> Store:
        return _FaultyStore(store, self)  # type: ignore[return-value]

    def around_rest(self, world: World) -> None:
        """Put the same around keystore and guard of an open ledger."""
        keystore, sequencer = world.ledger.keystore, world.ledger.sequencer
        keystore._table = _Faulty(keystore._table, "keys", _OF_KEYS, self)
        sequencer._guard = _Faulty(sequencer._guard, "guard", _OF_GUARD, self)


class _Faulty:
    """Counts the calls of some methods; everything else is the real one's."""

    def __init__(self, real: Any, name: str, methods: Sequence[str], faults: Faults) -> None:
        self._real = real
        self._name = name
        self._methods = methods
        self._faults = faults

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._real, method)
        if method not in self._methods:
            return real
        name = f"{self._name}.{method}"
        return lambda *arguments: self._faults.call(name, lambda: real(*arguments))


class _FaultyStore:
    """Reads are counted one by one. An append is a call for each stage at which it can break."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self.faults = faults

    def __getattr__(self, method: str) -> Any:
        real = getattr(self.store, method)
        if method in ("shared", "close"):
            return real
        if method == "governing":
            # The real one asks in pieces while it is read.
            return lambda *arguments: self.faults.call("store.governing", lambda: iter(list(real(*arguments))))
        return lambda *arguments: self.faults.call(f"store.{method}", lambda: real(*arguments))

    def append(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> None:
        for _ in self.append_in_steps(log_numbers, dedup_keys, build):
            pass

    def append_in_steps(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> Iterator[None]:
        def staged(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> Sequence[Batch]:
            self.faults.call("store.append: locked", lambda: None)
            batches = build(heads, known)
            self.faults.call("store.append: built", lambda: None)
            # A store that pauses can lose its connection there.
            if self.store.shared and self.faults._is_due(COMMIT, BEFORE):
                raise _RollBackError
            return batches

        self.faults.call("store.append: begin", lambda: None)
        try:
            for _ in self.store.append_in_steps(log_numbers, dedup_keys, staged):
                if self.faults._is_due(COMMIT, BEFORE):
                    raise _RollBackError
                yield
        except _RollBackError:
            raise OutcomeUnknownError("the connection was lost") from None
        if self.faults.failed == COMMIT and self.faults._way == AFTER:
            raise OutcomeUnknownError("the connection was lost")
