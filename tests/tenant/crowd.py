# SPDX-License-Identifier: Apache-2.0
"""A tenant with thousands of members, keys and agents, made by the same drafts as over HTTP, many at once."""

from collections.abc import Iterator
from typing import NamedTuple

from ledger.log.entry import IdSource, format_time, format_uuid
from ledger.log.events.credentials import AgentCredentialIssued
from ledger.log.events.members import LoginSucceeded, MemberJoined
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.keys import draft_key
from ledger.tenant.people import People
from ledger.tenant.secrets import Owner, Secrets, new_random
from ledger.tenant.tokens import Claims, Tokens
from ledger.web.writes import seal_texts

AT_ONCE = 1000


class Crowd(NamedTuple):
    """What each of them presents: secrets of keys, cookies of members, tokens of agents."""

    keys: list[str]
    cookies: list[str]
    tokens: list[str]


async def make_crowd(ledger: Ledger, log: Log, count: int) -> Crowd:
    """`count` members, each with a session, as many keys, and as many agents, each with a credential and a token."""
    secrets, tokens = Secrets(ledger.store, ledger.vault), Tokens(ledger.vault)
    people, ids = People(ledger.store, secrets), IdSource(0)
    now = ledger.clock()
    crowd = Crowd([], [], [])
    expires = now + 3_600_000

    def claims(use: str, who: str, session: str, **more: str) -> Claims:
        seconds = now // 1000
        return Claims(
            iss=log.origin, sub=who, use=use, sid=session, at=1 << 30, iat=seconds, exp=seconds + 3600,  # type: ignore[arg-type]
            until=seconds + 3600, tenant_id=log.record.tenant_id or "", **more,
        )  # fmt: skip

    for _ in _pieces(count):
        drafts: list[Draft] = []
        key = ledger.data_key(log, None, now)
        for _ in range(min(AT_ONCE, count - len(crowd.keys))):
            new = draft_key(secrets, log, key, now, role="agent", env="production", label="one", actor="operator")
            drafts.append(new.draft)
            crowd.keys.append(new.secret)
            member, session = format_uuid(ids.next(now)), format_uuid(ids.next(now))
            email = f"{member}@example.com"
            texts = await seal_texts(ledger, log, {"email": email}, subject=None)
            joined = MemberJoined(
                member_id=member, role="auditor", how="created", actor="operator", email=texts.of("email")
            )
            drafts.append(texts.draft(joined, member, people.kept_of(log, member, email, password="none")))
            login = LoginSucceeded(
                member_id=member, session_id=session, method="password", expires_at=format_time(expires)
            )
            drafts.append(Draft(login, subject=member))
            crowd.cookies.append(tokens.sign(claims("session", member, session)))
            credential, secret = format_uuid(ids.next(now)), f"la_production_{new_random()}"
            issued = AgentCredentialIssued(
                credential_id=credential, agent_id=f"agent-{credential}", env="production", actor="operator"
            )
            box = secrets.box("agent", secret, Owner(log.number, credential))
            drafts.append(Draft(issued, subject=credential, side=(box,)))
            issued_token = claims("agent", f"agent-{credential}", session, credential_id=credential)
            crowd.tokens.append(tokens.sign(issued_token))

        def decide(moment: Moment, drafts: list[Draft] = drafts) -> list[Draft]:
            return drafts

        await ledger.sequencer.submit(log, decide, weight=len(drafts))
    return crowd


def _pieces(count: int) -> Iterator[int]:
    yield from range(0, count, AT_ONCE)
