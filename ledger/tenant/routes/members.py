# SPDX-License-Identifier: Apache-2.0
"""Members over HTTP (CAPABILITIES I09): list, invite or make, change role and status, remove."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from ledger.log.entry import format_time, new_id, read_envelope
from ledger.log.errors import ConflictError, InvalidRequestError
from ledger.log.events.members import MemberInvited, MemberJoined, MemberRemoved, MemberRole
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from ledger.tenant.people import (
    change_member,
    is_email,
    remove_member,
    require_givable,
    require_member,
)
from ledger.tenant.plans import require_room
from ledger.tenant.secrets import new_random
from ledger.tenant.state import Member, TenantState
from ledger.tenant.tenancy import Tenancy
from ledger.web.access import Principal
from ledger.web.service import Service
from ledger.web.writes import read_json, seal_texts, sealed_texts_of, where, write

INVITATION_MS = 7 * 86_400_000

# No control characters, and none that turn the direction of what follows.
Name = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+$")
]


class NewMemberRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody to be invited; with a password he is a member at once."""

    email: Annotated[str, Meta(min_length=3, max_length=254)]
    role: MemberRole = "readonly"
    name: Name | None = None
    password: Annotated[str, Meta(min_length=MIN_CHARACTERS, max_length=MAX_CHARACTERS)] | None = None


class MemberChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON merge patch (RFC 7396) of a member."""

    role: MemberRole | None = None
    status: Literal["active", "suspended"] | None = None


class MemberAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A member as lists show him; `email` and `name` are null where they were erased. `user_id` repeats `id`."""

    id: str
    user_id: str
    email: str | None
    name: str | None
    role: MemberRole
    status: str
    created_at: str
    invitation_expires_at: str | None


class NewMemberAnswer(MemberAnswer, frozen=True, kw_only=True):
    """A new member. `invitation` is the secret to join with, shown this once; null for who joined already."""

    invitation: str | None


class MemberList(msgspec.Struct, frozen=True):
    items: list[MemberAnswer]
    next_cursor: str | None = None


class Joining(Protocol):
    """What is known of who joins."""

    @property
    def email(self) -> str: ...

    @property
    def name(self) -> str | None: ...

    @property
    def password(self) -> str | None: ...


_new_member_decoder = msgspec.json.Decoder(NewMemberRequest)
_change_decoder = msgspec.json.Decoder(MemberChange)


@get("/members", summary="List members", tags=["members"])
async def list_members(service: NamedDependency[Service], principal: NamedDependency[Principal]) -> MemberList:
    """All but those who were removed, oldest first."""
    principal.require("members:read")
    ledger, log = service.ledger, principal.log
    members = [member for member in log.committed.state[TenantState].members.values() if member.status != "removed"]
    members.sort(key=lambda member: member.index)
    return MemberList(await service.reading(lambda: [member_answer(ledger, log, member) for member in members]))


@get(
    "/members/{member_id:str}",
    summary="Read a member",
    tags=["members"],
)
async def get_member(
    service: NamedDependency[Service], principal: NamedDependency[Principal], member_id: FromPath[str]
) -> MemberAnswer:
    principal.require("members:read")
    log = principal.log
    member = require_member(Moment(log.committed.state, service.ledger.clock(), 0), member_id)
    return await service.reading(lambda: member_answer(service.ledger, log, member))


@post(
    "/members",
    status_code=201,
    summary="Invite a member",
    tags=["members"],
)
async def create_member(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Response[NewMemberAnswer]:
    """The answer has the secret with which he joins; hand it over. With a password he is a member at once."""
    principal.require("members:write")
    wanted = await read_json(request, _new_member_decoder)
    require_email(wanted.email)
    require_givable(principal.role, wanted.role)
    if wanted.password is not None:
        return await join(service, principal, tenancy, wanted, role=wanted.role, how="created")
    return await _invite(service, principal, tenancy, wanted)


@patch(
    "/members/{member_id:str}",
    summary="Change a member's role or status",
    tags=["members"],
)
async def patch_member(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    member_id: FromPath[str],
) -> Response[MemberAnswer]:
    """Who is suspended has no session any more, and begins none. The last owner stays one."""
    principal.require("members:write")
    wanted = await read_json(request, _change_decoder)
    suspend = None if wanted.status is None else wanted.status == "suspended"

    def decide(moment: Moment) -> list[Draft]:
        giver = principal.recheck(moment)
        return change_member(moment, member_id, wanted.role, suspend, principal.actor, giver)

    appended = await write(service, principal, "members:write", decide)
    log, member = principal.log, appended.committed.state[TenantState].members[member_id]
    shown = await service.reading(lambda: member_answer(service.ledger, log, member))
    return Response(shown, headers=where(appended.items[0]) if appended.items else {})


@delete(
    "/members/{member_id:str}",
    status_code=204,
    summary="Remove a member",
    tags=["members"],
)
async def delete_member(
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
    member_id: FromPath[str],
) -> Response[None]:
    """At once and for good. What he is called stays sealed in the log until it is erased (`data_subject` is his id)."""
    principal.require("members:write")
    forgotten = await service.reading(lambda: tenancy.people.forgotten(member_id))

    def decide(moment: Moment) -> list[Draft]:
        return remove_member(moment, member_id, principal.actor, principal.recheck(moment), forgotten)

    [item] = (await write(service, principal, "members:write", decide)).items
    return Response(None, headers=where(item))


async def join(
    service: Service,
    principal: Principal,
    tenancy: Tenancy,
    wanted: Joining,
    *,
    role: MemberRole,
    how: Literal["setup", "created"],
    check: Callable[[Moment], None] = lambda moment: None,
) -> Response[NewMemberAnswer]:
    """Make a member who has a password. Raises ConflictError when the address is a member's, and what `check` raises
    under the lock.
    """
    member_id = new_id(service.ledger.clock())
    hashed = await tenancy.passwords.hash(wanted.password or "")
    texts = await seal_texts(
        service.ledger, principal.log, {"email": wanted.email.strip(), "name": wanted.name}, subject=member_id
    )
    event = MemberJoined(
        member_id=member_id,
        role=role,
        how=how,
        actor=principal.actor,
        email=texts.of("email"),
        name=texts.of("name"),
    )
    kept = tenancy.people.kept_of(principal.log, member_id, wanted.email, password=hashed)

    def decide(moment: Moment) -> list[Draft]:
        check(moment)
        require_givable(principal.recheck(moment), role)
        draft = texts.draft(event, member_id, kept)
        service.ledger.require_keys(moment, texts.seen, [draft])
        return [draft]

    return await _add(service, principal, tenancy, member_id, wanted.email, decide)


async def _invite(
    service: Service, principal: Principal, tenancy: Tenancy, wanted: NewMemberRequest
) -> Response[NewMemberAnswer]:
    ledger, log, now = service.ledger, principal.log, service.ledger.clock()
    member_id, secret = new_id(now), f"li_{new_random()}"
    texts = await seal_texts(ledger, log, {"email": wanted.email.strip(), "name": wanted.name}, subject=member_id)
    event = MemberInvited(
        member_id=member_id,
        role=wanted.role,
        actor=principal.actor,
        expires_at=format_time(now + INVITATION_MS),
        email=texts.commitments["/data/email"],
        name=texts.of("name"),
    )
    kept = tenancy.people.kept_of(log, member_id, wanted.email, invitation=secret)

    def decide(moment: Moment) -> list[Draft]:
        require_givable(principal.recheck(moment), wanted.role)
        draft = texts.draft(event, member_id, kept)
        ledger.require_keys(moment, texts.seen, [draft])
        return [draft]

    return await _add(service, principal, tenancy, member_id, wanted.email, decide, secret)


async def _add(
    service: Service,
    principal: Principal,
    tenancy: Tenancy,
    member_id: str,
    email: str,
    decide: Callable[[Moment], list[Draft]],
    secret: str | None = None,
) -> Response[NewMemberAnswer]:
    """Append a new member, unless somebody has his address."""
    ledger, log, people = service.ledger, principal.log, tenancy.people
    taken = ConflictError("a member has this e-mail address already")

    def within_plan(moment: Moment) -> list[Draft]:
        require_room(moment.state, "members")
        return decide(moment)

    async with people.joining:
        if await service.reading(lambda: people.find(log, email)) is not None:
            raise taken
        appended = await write(service, principal, "members:write", within_plan)
    if await service.reading(lambda: people.find(log, email)) != member_id:
        # Another process gave the address away at the same moment. Nobody can log in as this one: he goes again.
        forgotten = tuple(await service.reading(lambda: people.forgotten(member_id)))

        def undo(moment: Moment) -> list[Draft]:
            require_member(moment, member_id)
            # Even of an owner: the last one is whoever can log in.
            return [Draft(MemberRemoved(member_id=member_id, actor=principal.actor), subject=member_id, side=forgotten)]

        await ledger.sequencer.submit(log, undo)
        raise taken
    member = appended.committed.state[TenantState].members[member_id]
    shown = await service.reading(lambda: member_answer(ledger, log, member))
    answer = NewMemberAnswer(**msgspec.structs.asdict(shown), invitation=secret)
    return Response(answer, status_code=201, headers={**where(appended.items[0]), "cache-control": "no-store"})


def member_answer(ledger: Ledger, log: Log, member: Member) -> MemberAnswer:
    """Asks the store for what is sealed."""
    [leaf] = ledger.store.leaves(log.number, member.index, member.index + 1)
    texts = {at: sealed_texts_of(ledger, log, at) for at in {member.email_at, member.name_at}}
    return MemberAnswer(
        id=member.member_id,
        user_id=member.member_id,
        email=texts[member.email_at].get("email"),
        name=texts[member.name_at].get("name"),
        role=member.role,
        status=member.status,
        created_at=read_envelope(leaf).recordedat,
        invitation_expires_at=None if member.expires_at is None else format_time(member.expires_at),
    )


def require_email(email: str) -> None:
    """Raises InvalidRequestError for what has not the form of an address."""
    if not is_email(email):
        raise InvalidRequestError.at(["body", "email"], "is no e-mail address")
