# SPDX-License-Identifier: Apache-2.0
"""Reading a leaf strictly (spec/entry.md): an envelope with an event of the catalogue, and the one spelling of both.

`read_leaf` reads one leaf and says what is wrong with it. `LeafReader` reads many leaves of one type together, several
times as fast, and never says what is wrong: it gives their values, which are those that `read_leaf` gives, or nothing.
It takes the same step, decode and encode again, with one Struct for envelope and event, and looks at ids, times and
digests a column at a time. So whoever reads a whole log asks it first, and asks `read_leaf` where it does not answer.
"""

from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from ledger.log import canonical
from ledger.log.entry import MAX_ENTRY_BYTES, Envelope, compose, parse_time, parse_uuid, read_envelope
from ledger.log.events import Event, UnknownEventError, calls, credentials, logs, members, read_event, tenants
from ledger.log.lines import HASHES, IDS, TIMES, all_match
from ledger.log.sealed import Commitment, SealedMembers, member_pointers

# Reading needs the whole catalogue, and a file of events is in it once it is imported.
CATALOGUE = (calls, credentials, logs, members, tenants)


class InvalidEntryError(Exception):
    """The bytes are not an entry."""


def read_leaf(leaf: bytes) -> tuple[Envelope, Event]:
    """Envelope and event of leaf bytes that, put together again, give the same bytes.

    Raises InvalidEntryError, also for a type or version that is not in the catalogue.
    """
    try:
        envelope = read_envelope(leaf)
        event = read_event(envelope)
        again = compose(
            data=canonical.encode(event),
            id=envelope.id,
            recordedat=envelope.recordedat,
            source=envelope.source,
            subject=None if envelope.subject is msgspec.UNSET else envelope.subject,
            time=None if envelope.time is msgspec.UNSET else envelope.time,
            type=envelope.type,
        )
    except UnknownEventError as error:
        raise InvalidEntryError(str(error)) from None
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidEntryError(f"not an entry: {error}") from None
    if again != leaf:
        raise InvalidEntryError("not strict JCS")
    if len(leaf) > MAX_ENTRY_BYTES:
        raise InvalidEntryError(f"has {len(leaf)} bytes, an entry at most {MAX_ENTRY_BYTES}")
    if parse_uuid(envelope.id) is None:
        raise InvalidEntryError(f"id {envelope.id!r} is no UUIDv7")
    for name, text in (("recordedat", envelope.recordedat), ("time", envelope.time)):
        if text is not msgspec.UNSET and not _is_time(text):
            raise InvalidEntryError(f"{name} {text!r} is not a time with milliseconds and Z")
    return envelope, event


def _is_time(text: str) -> bool:
    with suppress(ValueError, OverflowError):
        parse_time(text)
        return True
    return False


# Many leaves at once

_OF_ONE_VALUE = (str, int, bool)


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A commitment whose digest nobody has looked at."""

    digest: str = msgspec.field(name="$sealed")


class Leaves(NamedTuple):
    """Leaves that have been read, in order.

    An entry has the members of the envelope, with `data` the event's fields. `pointers` has for each entry where its
    commitments are, and `digests` those of all of them one after the other, both in the order of the pointers.
    """

    entries: Sequence[Any]
    pointers: Sequence[tuple[str, ...]]
    digests: Sequence[str]


class LeafReader:
    """Reads leaves of one type of event. See the module's text; `of` makes one where the type allows it."""

    def __init__(self, data: type[msgspec.Struct], event_type: str, sealed: Sequence[str]) -> None:
        members: list[tuple[str, Any] | tuple[str, Any, Any]] = [
            ("data", data),
            ("id", str),
            ("recordedat", str),
            ("source", str),
            ("specversion", Literal["1.0"]),
            ("subject", str | msgspec.UnsetType, msgspec.UNSET),
            ("time", str | msgspec.UnsetType, msgspec.UNSET),
            ("type", Literal[event_type]),
        ]
        entry = msgspec.defstruct(
            "Entry", members, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
        )
        self._decoder = msgspec.json.Decoder(entry)
        # The members of both Structs stand in canonical order; only names of sealed members are left to sort.
        self._encoder = msgspec.json.Encoder(order="deterministic")
        self._pointers = [f"/data/{name}" for name in sealed]
        # One name more, since `attrgetter` of a single one gives no tuple.
        self._sealed = attrgetter(*sealed, "v") if sealed else None

    @classmethod
    def of(cls, event: type[Event]) -> "LeafReader | None":
        """A reader for a type of which each field is a single value or sealed."""
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        sealed = []
        for field in sorted(msgspec.structs.fields(event), key=lambda field: field.encode_name):
            kinds = [kind for kind in get_args(field.type) if kind is not msgspec.UnsetType]
            optional = len(kinds) < len(get_args(field.type))
            kind = field.type if not optional else kinds[0]
            if field.encode_name != field.name or (optional and len(kinds) > 1):
                return None
            if kind in (Commitment, SealedMembers):
                kind = _Sealed if kind is Commitment else dict[str, _Sealed | str]
                sealed.append(field.name)
            elif kind not in _OF_ONE_VALUE and get_origin(kind) is not Literal:
                return None
            default = [] if field.required else [field.default]
            fields.append((field.name, kind | msgspec.UnsetType if optional else kind, *default))
        if hasattr(event, "__post_init__") and not sealed:
            # A rule of its own, which is not the one about sealed members.
            return None
        data = msgspec.defstruct("Data", fields, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False)
        return cls(data, event.type, sealed)

    def read(self, leaves: Sequence[bytes]) -> Leaves | None:
        """The values of all leaves, or None when `read_leaf` has to look at each. Never raises."""
        lines = b"\n".join(leaves) + b"\n"
        try:
            entries: list[Any] = self._decoder.decode_lines(lines)
            if self._encoder.encode_lines(entries) != lines or len(entries) != len(leaves):
                return None
            pointers, digests = self._commitments(entries)
            times = [time for entry in entries if (time := entry.time) is not msgspec.UNSET]
            times += {entry.recordedat for entry in entries}
            for date in {time[:10] for time in times}:
                parse_time(f"{date}T00:00:00.000Z")
            sources = {entry.source for entry in entries}
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        right = (
            max(map(len, leaves), default=0) <= MAX_ENTRY_BYTES
            # `compose` writes the source as it is, so none may have a character that JSON escapes.
            and all(canonical.encode(source) == f'"{source}"'.encode() for source in sources)
            and all_match(IDS, 36, [entry.id for entry in entries])
            and all_match(TIMES, 24, times)
            and all_match(HASHES, 43, digests)
        )
        return Leaves(entries, pointers, digests) if right else None

    def _commitments(self, entries: Sequence[Any]) -> tuple[list[tuple[str, ...]], list[str]]:
        """Raises ValueError when something that must be sealed is not."""
        if self._sealed is None:
            return [()] * len(entries), []
        pointers: list[tuple[str, ...]] = []
        digests: list[str] = []
        unset = msgspec.UNSET
        for entry in entries:
            found: tuple[str, ...] = ()
            for pointer, value in zip(self._pointers, self._sealed(entry.data), strict=False):
                if value is unset:
                    continue
                if value.__class__ is _Sealed:
                    found += (pointer,)
                    digests.append(value.digest)
                elif len(value) == 1 and isinstance(digest := value.get("$sealed"), str):
                    found += (pointer,)
                    digests.append(digest)
                else:
                    members = member_pointers(pointer, tuple(value))
                    if members is None:
                        raise ValueError("an object with such members is not sealed by member")
                    found += members
                    try:
                        digests += [member.digest for member in value.values()]
                    except AttributeError:
                        raise ValueError("a member is not sealed") from None
            pointers.append(found)
        return pointers, digests
