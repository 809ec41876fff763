# SPDX-License-Identifier: Apache-2.0
"""What routes that change something have in common: bodies read strictly, texts sealed before the lock, the actor asked
again under it, and answers that say where the entry is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from litestar import Request
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from ledger.log import canonical
from ledger.log.errors import ConflictError
from ledger.log.events import Event
from ledger.log.ledger import Ledger
from ledger.log.receipts import disclosures_of
from ledger.log.report import decode
from ledger.log.sealed import Commitment, read_disclosure, seal
from ledger.log.store import SideRow
from ledger.log.submission import Appended
from ledger.log.working_copy import Draft, Item, Log, Moment
from ledger.web.access import Principal
from ledger.web.service import Service

_Wanted = TypeVar("_Wanted", bound=msgspec.Struct)


async def read_json(request: Request[Any, Any, Any], decoder: "msgspec.json.Decoder[_Wanted]") -> _Wanted:
    """The body of a request. Raises MalformedRequestError, or InvalidRequestError with the place that is wrong."""
    body = await request.body()
    canonical.refuse_duplicates(body)
    return decode(decoder, body)


class SealedTexts(msgspec.Struct, frozen=True):
    """Texts that were sealed before the lock, as an event and its draft need them."""

    commitments: Mapping[str, Commitment]
    blob: bytes | None
    data_key: bytes | None
    seen: int

    def of(self, name: str) -> Commitment | UnsetType:
        """What stands in the field `name` of the event."""
        return self.commitments.get(f"/data/{name}", UNSET)

    def draft(self, event: Event, subject: str | None = None, side: Sequence[SideRow] = ()) -> Draft:
        return Draft(event, subject=subject, sealed=self.blob, data_key=self.data_key, side=tuple(side))


async def seal_texts(
    ledger: Ledger, log: Log, texts: Mapping[str, str | None], subject: str | None = None
) -> SealedTexts:
    """Seal texts by the names of their fields, those that are None left out, under the keys of a data subject."""
    # Before the data key is looked up.
    seen = log.committed.state.governing
    fields = [(f"/data/{name}", canonical.encode(text)) for name, text in sorted(texts.items()) if text is not None]
    if not fields:
        return SealedTexts({}, None, None, seen)
    key = await ledger.sealing(lambda: ledger.data_key(log, subject, ledger.clock()))
    sealed = seal(fields)
    return SealedTexts(sealed.commitments, sealed.encrypt(key, log.origin.encode()), key.key_id, seen)


def sealed_texts_of(ledger: Ledger, log: Log, index: int) -> dict[str, Any]:
    """The sealed values of an entry that can still be opened, by the names of their fields. Asks the store."""
    found = map(read_disclosure, disclosures_of(ledger, log, index)) if index >= 0 else ()
    return {each.pointer.removeprefix("/data/"): msgspec.json.decode(each.value) for each in found}


async def write(
    service: Service,
    principal: Principal,
    permission: str,
    decide: Callable[[Moment], Sequence[Draft]],
    *,
    texts: SealedTexts | None = None,
    repeatable: tuple[bytes, bytes] | None = None,
) -> Appended:
    """Append what `decide` gives, if the principal may; what it raises refuses.

    `repeatable` (see `idempotency`) is for one draft: asked again, that gives the entry which is there already. Raises
    ConflictError when it stands for another request.
    """
    ledger = service.ledger

    def decided(moment: Moment) -> Sequence[Draft]:
        drafts = decide(moment)
        if texts is not None:
            ledger.require_keys(moment, texts.seen, drafts)
        if repeatable is not None:
            [draft] = drafts
            drafts = [replace(draft, dedup=repeatable[0], request=repeatable[1])]
        return drafts

    keys = [] if repeatable is None else [repeatable[0]]
    checked = principal.deciding(permission, decided)
    try:
        return await ledger.sequencer.submit(principal.log, checked, dedup_keys=keys)
    except ConflictError as error:
        if repeatable is None or "leaf_index" not in error.details:
            raise
        raise ConflictError("this Idempotency-Key stands for another request already") from None


def idempotency(
    request: Request[Any, Any, Any], principal: Principal, event: type[Event], wanted: msgspec.Struct
) -> tuple[bytes, bytes] | None:
    """What tells a request that is sent again, where it has an Idempotency-Key. The log itself remembers it, so a
    repetition is caught even by another process.
    """
    named = request.headers.get("idempotency-key")
    if named is None:
        return None
    log, identity = principal.log, f"{event.type}\x00{principal.actor}\x00{named}".encode()
    return log.digest(identity), log.digest(canonical.encode(wanted))


def where(item: Item) -> dict[str, str]:
    """The headers that say which entry an answer to a write speaks of."""
    return {"ledger-event-id": item.event_id, "ledger-leaf-index": str(item.leaf_index)}
