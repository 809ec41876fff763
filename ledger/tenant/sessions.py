# SPDX-License-Identifier: Apache-2.0
"""Sessions: what begins when somebody logs in, and the tokens and the cookie that stand for it.

A session begins with a leaf, `login.succeeded`, and its tokens name that leaf. It lasts until its tokens are too old to
be renewed, until somebody ends it, or until a later leaf ends all of the member's.
"""

from typing import Literal

import msgspec

from ledger.log.entry import format_time, new_id
from ledger.log.errors import UnauthorizedError
from ledger.log.events.credentials import TokenIssued
from ledger.log.events.members import LoginSucceeded
from ledger.log.submission import Appended
from ledger.log.working_copy import Draft, Item, Log, Moment
from ledger.tenant.state import Credential, Member, TenantState
from ledger.tenant.switch import require_running
from ledger.tenant.tokens import (
    ACCESS_SECONDS,
    AGENT_SECONDS,
    REFRESH_SECONDS,
    SESSION_SECONDS,
    Claims,
    Tokens,
    live_credential,
    live_member,
)
from ledger.web.asked import SESSION_COOKIE
from ledger.web.service import Service

Method = Literal["password", "oidc"]


class Session(msgspec.Struct, frozen=True):
    """A session that began, with its entry and its tokens: that of a cookie, or those of a script."""

    member: Member
    item: Item
    session_id: str
    expires_at: int
    cookie: str = ""
    access: str = ""
    refresh: str = ""


async def begin_session(
    service: Service, tokens: Tokens, log: Log, seen: Member, method: Method, *, script: bool = False
) -> Session:
    """Log a member in who has shown that he is `seen`. Raises UnauthorizedError when that is no longer so under the
    lock: he is not active, or has another password since.
    """
    now = service.ledger.clock()
    session_id = new_id(now)
    until = now + (REFRESH_SECONDS if script else SESSION_SECONDS) * 1000
    issued = TokenIssued(session_id=session_id, expires_at=format_time(until), member_id=seen.member_id)

    def decide(moment: Moment) -> list[Draft]:
        member = moment.state[TenantState].members.get(seen.member_id)
        if member is None or member.status != "active" or member.sessions_from != seen.sessions_from:
            raise UnauthorizedError("the member is not active, or has another password now")
        login = LoginSucceeded(
            member_id=seen.member_id,
            session_id=session_id,
            method=method,
            expires_at=format_time(until),
        )
        drafts = [Draft(login, subject=seen.member_id)]
        return [*drafts, Draft(issued, subject=session_id)] if script else drafts

    appended = await service.ledger.sequencer.submit(log, decide)
    claims = Claims(
        iss=log.origin,
        sub=seen.member_id,
        use="session",
        sid=session_id,
        at=appended.items[0].leaf_index,
        iat=now // 1000,
        exp=until // 1000,
        until=until // 1000,
        tenant_id=log.record.tenant_id or "",
    )
    if not script:
        return Session(seen, appended.items[0], session_id, until, cookie=tokens.sign(claims))
    refresh = tokens.sign(msgspec.structs.replace(claims, use="refresh"))
    return Session(
        seen, appended.items[0], session_id, until, access=access_token(tokens, claims, now), refresh=refresh
    )


def access_token(tokens: Tokens, claims: Claims, now: int) -> str:
    """A short-lived token of the session that `claims` are of."""
    seconds = now // 1000
    short = msgspec.structs.replace(claims, use="access", iat=seconds, exp=min(seconds + ACCESS_SECONDS, claims.until))
    return tokens.sign(short)


async def record_refresh(service: Service, log: Log, claims: Claims, now: int) -> Appended:
    """Put into the log that a session got another token, if it still may. Raises UnauthorizedError."""
    expires_at = format_time(min(now + ACCESS_SECONDS * 1000, claims.until * 1000))
    event = TokenIssued(session_id=claims.sid, expires_at=expires_at, member_id=claims.sub)

    def decide(moment: Moment) -> list[Draft]:
        live_claims(moment, claims)
        return [Draft(event, subject=claims.sid)]

    return await service.ledger.sequencer.submit(log, decide)


def live_claims(moment: Moment, claims: Claims) -> Member:
    """The member of a session that is live under the lock. Raises UnauthorizedError."""
    return live_member(moment.state, claims, moment.now)


async def begin_agent_session(
    service: Service, tokens: Tokens, log: Log, credential: Credential
) -> tuple[str, int, Item]:
    """A token for an agent that has shown its secret, when it expires, and its entry. Raises UnauthorizedError when the
    credential is no longer live under the lock, HaltedError while the tenant's kill switch is engaged.
    """
    now = service.ledger.clock()
    session_id = new_id(now)
    until = min(now + AGENT_SECONDS * 1000, credential.expires_at or now + AGENT_SECONDS * 1000)
    claims = Claims(
        iss=log.origin,
        sub=credential.agent_id,
        use="agent",
        sid=session_id,
        at=0,
        iat=now // 1000,
        exp=until // 1000,
        until=until // 1000,
        tenant_id=log.record.tenant_id or "",
        credential_id=credential.credential_id,
    )
    event = TokenIssued(
        session_id=session_id,
        expires_at=format_time(until),
        credential_id=credential.credential_id,
    )

    def decide(moment: Moment) -> list[Draft]:
        require_running(moment.state)
        # Whatever ended the agent's tokens before ends none that begins now.
        live_credential(moment.state, msgspec.structs.replace(claims, at=moment.next_index), moment.now)
        return [Draft(event, subject=session_id)]

    [item] = (await service.ledger.sequencer.submit(log, decide)).items
    return tokens.sign(msgspec.structs.replace(claims, at=item.leaf_index)), until, item


def cookie_header(session: Session, now: int) -> str:
    """The Set-Cookie header of a session: not for scripts of the page, not over plain HTTP, not from other sites."""
    seconds = max(0, (session.expires_at - now) // 1000)
    return f"{SESSION_COOKIE}={session.cookie}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax"


NO_COOKIE = f"{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
"""The Set-Cookie header that ends a session in the browser."""
