# SPDX-License-Identifier: Apache-2.0
"""Which member somebody is whom a provider vouches for.

That is settled by the e-mail address. Whoever was invited joins by coming, and so does who has an address of one of the
provider's domains; nobody else does. Who was removed is a stranger afterwards: to keep somebody out who still has an
account at the provider, suspend him.
"""

from collections.abc import Callable, Sequence

from ledger.log.entry import new_id
from ledger.log.events.members import MemberJoined, MemberRole
from ledger.log.store import SideRow
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.id_tokens import Identity, SsoRefusedError
from ledger.tenant.people import People, remove_member
from ledger.tenant.state import Member, Provider, TenantState
from ledger.web.service import Service
from ledger.web.writes import SealedTexts, seal_texts


async def member_of(service: Service, people: People, log: Log, provider: Provider, identity: Identity) -> Member:
    """The active member that somebody is, after he has joined if he may. Raises SsoRefusedError."""
    email = identity.email
    if email is None:
        raise SsoRefusedError("email", "the provider vouches for no e-mail address")
    found = await service.reading(lambda: people.find(log, email))
    if found is None:
        if email.rpartition("@")[2].lower() not in provider.domains:
            raise SsoRefusedError("no_member", "nobody with this e-mail address was invited")
        return await _join_stranger(service, people, log, provider, email, identity.name)
    member = log.committed.state[TenantState].members.get(found)
    if member is None:
        # Its box is in the store, so it is in the log: another process made it a moment ago.
        await service.ledger.refresh(log)
        member = log.committed.state[TenantState].members.get(found)
    if member is not None and member.status == "invited":
        return await _join_invited(service, people, log, member, provider, identity.name)
    if member is None or member.status != "active":
        raise SsoRefusedError("not_active", "the member is not active")
    return member


async def _join_invited(
    service: Service, people: People, log: Log, invited: Member, provider: Provider, name: str | None
) -> Member:
    kept = await service.reading(lambda: people.kept_with_password(invited.member_id, None))
    texts = await seal_texts(service.ledger, log, {"name": name if invited.name_at < 0 else None}, invited.member_id)

    def role(moment: Moment) -> MemberRole:
        member = moment.state[TenantState].members.get(invited.member_id)
        if member is None or member.status != "invited" or moment.now >= (member.expires_at or 0):
            raise SsoRefusedError("invitation", "the invitation was taken up already, or has expired")
        return member.role

    return await _append(service, log, provider, invited.member_id, texts, kept, role)


async def _join_stranger(
    service: Service, people: People, log: Log, provider: Provider, email: str, name: str | None
) -> Member:
    member_id = new_id(service.ledger.clock())
    texts = await seal_texts(service.ledger, log, {"email": email, "name": name}, member_id)
    kept = people.kept_of(log, member_id, email)
    taken = SsoRefusedError("again", "somebody joined with this e-mail address just now: begin again")
    async with people.joining:
        if await service.reading(lambda: people.find(log, email)) is not None:
            raise taken
        member = await _append(service, log, provider, member_id, texts, kept, lambda moment: provider.role)
    if await service.reading(lambda: people.find(log, email)) != member_id:
        # Another process gave the address away at the same moment. Nobody can come in as this one: he goes again.
        forgotten = await service.reading(lambda: people.forgotten(member_id))
        await service.ledger.sequencer.submit(
            log, lambda moment: remove_member(moment, member_id, f"member:{member_id}", "owner", forgotten)
        )
        raise taken
    return member


async def _append(
    service: Service,
    log: Log,
    provider: Provider,
    member_id: str,
    texts: SealedTexts,
    kept: Sequence[SideRow],
    role_of: Callable[[Moment], MemberRole],
) -> Member:
    """Append that somebody joined, if the provider is still what he was asked by."""

    def decide(moment: Moment) -> list[Draft]:
        if moment.state[TenantState].providers.get(provider.provider) != provider:
            raise SsoRefusedError("again", "the provider was configured anew: begin again")
        event = MemberJoined(
            member_id=member_id,
            role=role_of(moment),
            how="sso",
            actor=f"member:{member_id}",
            email=texts.of("email"),
            name=texts.of("name"),
        )
        draft = texts.draft(event, member_id, kept)
        service.ledger.require_keys(moment, texts.seen, [draft])
        return [draft]

    appended = await service.ledger.sequencer.submit(log, decide)
    return appended.committed.state[TenantState].members[member_id]
