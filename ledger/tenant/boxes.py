# SPDX-License-Identifier: Apache-2.0
"""What a check wants of the boxes in which the vault keeps what people and programs act with: each key, credential,
link and member of a log has those that lead to it, and there are no others.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

import msgspec

from ledger.log.fold import State
from ledger.tenant.keys import BY_KEY, BY_SECRET, SHOWN_CHARACTERS
from ledger.tenant.people import BY_EMAIL, BY_MEMBER, Belongings
from ledger.tenant.secrets import KEPT, Owner
from ledger.tenant.sso import BY_PROVIDER, ClientSecret, secret_name
from ledger.tenant.state import Key, Member, TenantState

BY_CREDENTIAL, BY_INVITATION, BY_SHARE = "agent/", "invitation/", "share/"

_SHOWN = re.compile(rf"lk_([a-z]+)_[A-Za-z0-9_-]{{{SHOWN_CHARACTERS}}}")


class KeyBoxes:
    """See `ledger.log.check.holdings.BoxRule`."""

    prefixes = (BY_SECRET, BY_KEY)

    def problems(
        self, secrets: Mapping[str, bytes], old: Collection[str], states: Mapping[int, State]
    ) -> Iterator[str]:
        keys = {
            (number, key.key_id): key
            for number, state in states.items()
            if TenantState in state.parts
            for key in state[TenantState].keys.values()
        }
        led_to = Counter[tuple[int, str]]()
        for name, secret in secrets.items():
            if name.startswith(BY_SECRET):
                try:
                    owner = msgspec.json.decode(secret, type=Owner)
                except msgspec.MsgspecError as error:
                    yield f"secret {name!r} does not lead to a key: {error}"
                    continue
                led_to[owner.log_number, owner.id] += 1
                if (owner.log_number, owner.id) not in keys and name in old:
                    yield f"secret {name!r} leads to key {owner.id!r}, which log {owner.log_number} does not know"
        for (number, key_id), key in keys.items():
            if led_to[number, key_id] != 1:
                yield f"{led_to[number, key_id]} secrets lead to key {key_id} of log {number}, want 1"
            if not _is_start(secrets.get(BY_KEY + key_id), key):
                yield f"secret {BY_KEY + key_id!r} is missing, or is not the start of that key's secret"
        known = {key_id for _, key_id in keys}
        for name in secrets:
            if name.startswith(BY_KEY) and name in old and name.removeprefix(BY_KEY) not in known:
                yield f"there is no key for the secret {name!r}"


def _is_start(secret: bytes | None, key: Key) -> bool:
    match = None if secret is None else _SHOWN.fullmatch(secret.decode("latin-1"))
    return match is not None and match[1] == key.env


class CredentialBoxes:
    """See `ledger.log.check.holdings.BoxRule`: of agents' credentials."""

    prefixes = (BY_CREDENTIAL, KEPT)

    def problems(
        self, secrets: Mapping[str, bytes], old: Collection[str], states: Mapping[int, State]
    ) -> Iterator[str]:
        known = {(number, name) for number, tenant in _tenants(states) for name in tenant.credentials}
        leading = {name: secret for name, secret in secrets.items() if name != KEPT}
        yield from _not_one_way(leading, old, "credential", known)


class ShareBoxes:
    """The same of links for auditors."""

    prefixes = (BY_SHARE,)

    def problems(
        self, secrets: Mapping[str, bytes], old: Collection[str], states: Mapping[int, State]
    ) -> Iterator[str]:
        known = {(number, name) for number, tenant in _tenants(states) for name in tenant.shares}
        yield from _not_one_way(secrets, old, "share", known)


def _tenants(states: Mapping[int, State]) -> Iterator[tuple[int, TenantState]]:
    return ((number, state[TenantState]) for number, state in states.items() if TenantState in state.parts)


def _not_one_way(
    secrets: Mapping[str, bytes], old: Collection[str], kind: str, known: Collection[tuple[int, str]]
) -> Iterator[str]:
    """Which secrets lead to nothing of a kind that is `known`, by log and id, and to which of that not one leads."""
    led_to = Counter[tuple[int, str]]()
    for name, secret in secrets.items():
        owner = _read(secret, Owner)
        if owner is None:
            yield f"secret {name!r} does not lead to a {kind}"
            continue
        led_to[owner.log_number, owner.id] += 1
        if (owner.log_number, owner.id) not in known and name in old:
            yield f"secret {name!r} leads to {kind} {owner.id!r}, which log {owner.log_number} does not know"
    for number, id in known:
        if (ways := led_to[number, id]) != 1:
            yield f"{ways} secrets lead to {kind} {id} of log {number}, want 1"


class MemberBoxes:
    """The same of members: who was not removed has belongings, and the boxes that these name lead to him."""

    prefixes = (BY_EMAIL, BY_MEMBER, BY_INVITATION)

    def problems(
        self, secrets: Mapping[str, bytes], old: Collection[str], states: Mapping[int, State]
    ) -> Iterator[str]:
        members = {
            member.member_id: (number, member)
            for number, state in states.items()
            if TenantState in state.parts
            for member in state[TenantState].members.values()
            if member.status != "removed"
        }
        named: set[str] = set()
        for member_id, (number, member) in members.items():
            kept = _read(secrets.get(BY_MEMBER + member_id, b""), Belongings)
            if kept is None:
                yield f"what member {member_id} of log {number} logs in with is missing, or is something else"
                continue
            named.update(_boxes_of(kept))
            yield from _not_leading(secrets, number, member, kept)
        for name in secrets:
            stray = name not in named if not name.startswith(BY_MEMBER) else name.removeprefix(BY_MEMBER) not in members
            if stray and name in old:
                yield f"there is no member for the secret {name!r}"


class SsoBoxes:
    """The same of the client secrets of OpenID providers. A public client has none."""

    prefixes = (BY_PROVIDER,)

    def problems(
        self, secrets: Mapping[str, bytes], old: Collection[str], states: Mapping[int, State]
    ) -> Iterator[str]:
        known = {
            secret_name(number, provider)
            for number, state in states.items()
            if TenantState in state.parts
            for provider in state[TenantState].providers
        }
        for name, secret in secrets.items():
            if _read(secret, ClientSecret) is None:
                yield f"secret {name!r} is not what a provider knows a client by"
            if name not in known and name in old:
                yield f"there is no provider for the secret {name!r}"


def _boxes_of(kept: Belongings) -> list[str]:
    return [kept.email_box] if kept.invitation_box is None else [kept.email_box, kept.invitation_box]


def _not_leading(secrets: Mapping[str, bytes], number: int, member: Member, kept: Belongings) -> Iterator[str]:
    for name in _boxes_of(kept):
        if _read(secrets.get(name, b""), Owner) != Owner(number, member.member_id):
            yield f"secret {name!r} does not lead to member {member.member_id} of log {number}"
    if (kept.invitation_box is not None) != (member.status == "invited"):
        yield f"member {member.member_id} of log {number} is {member.status}, and his invitation says otherwise"


_Kind = TypeVar("_Kind", bound=msgspec.Struct)


def _read(secret: bytes, kind: type[_Kind]) -> _Kind | None:
    try:
        return msgspec.json.decode(secret, type=kind)
    except msgspec.MsgspecError:
        return None
