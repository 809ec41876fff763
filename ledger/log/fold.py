# SPDX-License-Identifier: Apache-2.0
"""State is a fold: `state = apply(state, event)` over the governing events of a log, and nothing else.

Each layer keeps its part of the state in a frozen class of its own; `State` holds one value of each. A part reads open
fields only, so that an erasure never changes it and an outsider with the leaves alone can fold it too. Values are never
changed, only replaced: a batch is decided against its own copy, and dropping the copy undoes the batch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self, TypeVar

import msgspec
from rpds import HashTrieMap

from ledger.log.entry import read_envelope
from ledger.log.errors import DamagedError
from ledger.log.events import Event, Governing, UnknownEventError, read_event
from ledger.log.events.logs import DayClosed, LogCreated, LogGenesis, SigningKeyRotated

BEFORE_GENESIS = -1


class Part(Protocol):
    """One layer's share of the state. The class without arguments is the state of an empty log."""

    def apply(self, index: int, event: Event) -> Self:
        """The state after a governing event at leaf `index`; self where the event is another layer's."""
        ...


_Part = TypeVar("_Part", bound=Part)


@dataclass(frozen=True, slots=True)
class State:
    """What is true after governing entry `governing` (-1: nothing is)."""

    governing: int
    parts: Mapping[type[Part], Part]

    def __getitem__(self, part: type[_Part]) -> _Part:
        value = self.parts[part]
        assert isinstance(value, part)
        return value

    def apply(self, index: int, event: Event) -> "State":
        if not isinstance(event, Governing):
            return self
        return State(index, {kind: part.apply(index, event) for kind, part in self.parts.items()})


def empty_state(parts: Iterable[type[Part]]) -> State:
    return State(BEFORE_GENESIS, {part: part() for part in parts})


def fold(state: State, governing: Iterable[tuple[int, bytes]]) -> State:
    """The state after more governing entries (index, leaf). Raises UnknownEventError rather than guess, and
    DamagedError for one that is no event or does not follow from those before it.
    """
    for index, leaf in governing:
        try:
            state = state.apply(index, read_event(read_envelope(leaf)))
        except UnknownEventError as error:
            raise UnknownEventError(f"entry {index}: {error.message}") from error
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            raise DamagedError(f"governing entry {index} is damaged: {error}") from error
    return state


@dataclass(frozen=True, slots=True)
class LogsState:
    """The root log's own part: which logs there are, under which keys, and which days are closed.

    `vkeys` has every key a log ever had, oldest first, with the root-log index at which it took over.
    """

    vkeys: "HashTrieMap[str, tuple[tuple[int, str], ...]]" = field(default_factory=HashTrieMap)
    last_day: str | None = None
    genesis: LogGenesis | None = None

    def apply(self, index: int, event: Event) -> "LogsState":
        match event:
            case LogGenesis():
                return LogsState(self._with_key(index, event.origin, event.vkey), None, event)
            case LogCreated() | SigningKeyRotated():
                return LogsState(self._with_key(index, event.origin, event.vkey), self.last_day, self.genesis)
            case DayClosed():
                return LogsState(self.vkeys, event.date, self.genesis)
        return self

    def _with_key(self, index: int, origin: str, vkey: str) -> "HashTrieMap[str, tuple[tuple[int, str], ...]]":
        return self.vkeys.insert(origin, (*self.vkeys.get(origin, ()), (index, vkey)))

    def current_vkey(self, origin: str) -> str:
        return self.vkeys[origin][-1][1]
