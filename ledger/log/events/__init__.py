# SPDX-License-Identifier: Apache-2.0
"""The closed catalogue of event types (spec/events.md): one file per layer, one frozen Struct per type and version.

A field of type `Commitment` (or `SealedMembers`) is sealed; every other field is open, and its type says so: strings,
integers, booleans, and lists or structs of them. There is no way to put a float or a free mapping into a leaf.
"""

from enum import StrEnum
from typing import ClassVar, Literal, TypeVar

import msgspec

from ledger.log.entry import Envelope
from ledger.log.errors import ConfigurationError


class EventClass(StrEnum):
    """What becomes of an event: *governing* ones are folded into state and read by decisions, the others are not."""

    GOVERNING = "governing"
    RECORD = "record"
    CALL = "call"


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all types. Each sets `type` and `event_class`; an absent field is UNSET, never null."""

    type: ClassVar[str]
    event_class: ClassVar[EventClass]
    v: Literal[1] = 1


class Governing(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A governing event says after which other one it was decided; the sequencer fills `as_of` under the lock."""

    event_class: ClassVar[EventClass] = EventClass.GOVERNING
    as_of: int | msgspec.UnsetType = msgspec.UNSET


class UnknownEventError(ConfigurationError):
    """A type or version outside the catalogue: a fold stops here rather than guess."""


_Struct = TypeVar("_Struct", bound=type[Event])
_decoders: dict[str, msgspec.json.Decoder[Event]] = {}


def register(struct: _Struct) -> _Struct:
    """Class decorator: put a type into the catalogue."""
    assert struct.type not in _decoders, f"{struct.type} is in the catalogue twice"
    _decoders[struct.type] = msgspec.json.Decoder(struct)
    return struct


def catalogue() -> dict[str, type[Event]]:
    """All types by name."""
    return {name: decoder.type for name, decoder in sorted(_decoders.items())}


class _Version(msgspec.Struct):
    v: int


def read_event(envelope: Envelope) -> Event:
    """The event in an envelope.

    Raises UnknownEventError for a type or version that is not in the catalogue, and msgspec.ValidationError for one
    that is but does not have its shape.
    """
    decoder = _decoders.get(envelope.type)
    if decoder is None:
        raise UnknownEventError(f"event type {envelope.type!r} is unknown")
    try:
        return decoder.decode(envelope.data)
    except msgspec.ValidationError:
        version = msgspec.json.decode(envelope.data, type=_Version).v
        if version != 1:
            raise UnknownEventError(f"version {version} of event type {envelope.type!r} is unknown") from None
        raise


# The catalogue is whole for whoever asks for any of it: a type that is not loaded would be one that nobody knows.
from ledger.log.events import calls, credentials, logs, members, tenants  # noqa: E402, F401
