# SPDX-License-Identifier: Apache-2.0
"""Changing a signing key: announced in the root log, endorsed by the old key, in force from the same transaction on.

For a tenant's log both logs move in one transaction: the root log takes the announcement, and the tenant's head is
signed by the new key. So a head that the old key signed was committed to the root log before the announcement, or never
will be.
"""

from msgspec.structs import replace

from ledger.log.errors import ConflictError
from ledger.log.events.logs import SigningKeyRotated
from ledger.log.fold import LogsState
from ledger.log.keys import create_signing_key
from ledger.log.ledger import Ledger
from ledger.log.store import ROOT_LOG
from ledger.log.submission import Appended, Part
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tlog.errors import MalformedError
from ledger.tlog.note import parse_vkey
from ledger.tlog.text import format_base64, parse_base64


def endorsement_text(previous_vkey: str, vkey: str) -> str:
    """What the previous key signs (spec/events.md)."""
    return f"decision-ledger key rotation v1\n{previous_vkey}\n{vkey}\n"


def is_endorsed(event: SigningKeyRotated) -> bool:
    """Whether the previous key signed for the new one."""
    try:
        previous, signature = parse_vkey(event.previous_vkey), parse_base64(event.endorsement)
    except MalformedError:
        return False
    return previous.verify(endorsement_text(event.previous_vkey, event.vkey).encode(), signature)


async def rotate_key(
    ledger: Ledger, log: Log, guard: Part, actor: str = "operator"
) -> tuple[SigningKeyRotated, Appended]:
    """Replace a log's signing key. `guard` is the part of the caller, who must still be allowed under the lock.

    Returns the event and where it went in that log. Raises ConflictError when another rotation came first.
    """
    previous = log.signer
    key, secret = create_signing_key(log.origin, ledger.vault)
    vkey, previous_vkey = key.vkey.format(), previous.vkey.format()
    endorsement = previous.private_key.sign(endorsement_text(previous_vkey, vkey).encode())
    event = SigningKeyRotated(
        origin=log.origin, vkey=vkey, previous_vkey=previous_vkey, endorsement=format_base64(endorsement)
    )

    def announce(moment: Moment) -> list[Draft]:
        if moment.state[LogsState].current_vkey(log.origin) != previous_vkey:
            raise ConflictError("another key took over meanwhile; look at GET /api/v1/transparency/keys")
        return [Draft(event, subject=log.origin, side=(secret,))]

    def adopt(moment: Moment) -> list[Draft]:
        guard.decide(moment)
        return [Draft(replace(event, actor=actor), subject=log.origin)]

    if log.number == ROOT_LOG:
        appended, _ = await ledger.sequencer.submit_together([Part(ledger.root, announce, key), guard])
    else:
        assert guard.log is log
        _, appended = await ledger.sequencer.submit_together([Part(ledger.root, announce), Part(log, adopt, key)])
    return event, appended
