# SPDX-License-Identifier: Apache-2.0
"""Reading a leaf strictly (spec/entry.md): an envelope with an event of the catalogue, and the one spelling of both."""

from contextlib import suppress

import msgspec

from ledger.log import canonical
from ledger.log.entry import Envelope, compose, parse_time, parse_uuid, read_envelope
from ledger.log.events import Event, UnknownEventError, calls, logs, read_event, tenants

# Reading needs the whole catalogue, and a file of events is in it once it is imported.
CATALOGUE = (calls, logs, tenants)


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
