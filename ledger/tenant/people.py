# SPDX-License-Identifier: Apache-2.0
"""Members: decisions about them, and what the vault keeps of them.

In the log a member is a random id with a role; name and address are sealed there, under keys of his own that an erasure
destroys. The vault has what is needed to let him in: under a keyed digest of tenant and address a box that leads to the
id, and under the id one with the hash of his password. Both go when he is removed.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET

from ledger.log.errors import ConflictError, ForbiddenError, NotFoundError
from ledger.log.events.members import MemberChanged, MemberRemoved, MemberRole
from ledger.log.fold import State
from ledger.log.store import SecretChange, SideRow, Store
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.secrets import Owner, Secrets
from ledger.tenant.state import Member, TenantState
from ledger.web.permissions import may_give

BY_EMAIL, BY_MEMBER = "email/", "member/"
"""What the names begin with under which the vault leads to a member, and has what he logs in with."""

_Kept = TypeVar("_Kept", bound=msgspec.Struct)

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f-\x9f]{1,64}@[^@\s\x00-\x1f\x7f-\x9f]{1,190}\Z")


class Belongings(msgspec.Struct, frozen=True):
    """What the vault keeps of a member: the names of the boxes that lead to him, and the hash of his password."""

    email_box: str
    password: str | None = None
    invitation_box: str | None = None


class People:
    """Finds members, and names and seals what the vault has of them. Reads ask the store."""

    def __init__(self, store: Store, secrets: Secrets) -> None:
        self._store = store
        self._secrets = secrets
        self._nobody = [self._with("", Belongings(secrets.digest(""), "")).box for _ in range(2)]
        # One at a time makes sure that an address is not given to two members by this process.
        self.joining = asyncio.Lock()

    def find(self, log: Log, email: str) -> str | None:
        """The id of the member with this address."""
        box = self._store.secret(self._email_box(log, email))
        return None if box is None else self._open(self._email_box(log, email), box, Owner).id

    def belongings(self, member_id: str) -> Belongings | None:
        box = self._store.secret(BY_MEMBER + member_id)
        return None if box is None else self._open(BY_MEMBER + member_id, box, Belongings)

    def pretend(self, member_id: str) -> None:
        """Do what it takes to find a member and his belongings, of who is none."""
        self._store.secret(BY_MEMBER + member_id)
        for box in self._nobody:
            self._open(BY_MEMBER, box or b"", Belongings)

    def _open(self, name: str, box: bytes, kind: type[_Kept]) -> _Kept:
        return msgspec.json.decode(self._secrets.vault.open(name, box), type=kind)

    def kept_of(
        self, log: Log, member_id: str, email: str, *, password: str | None = None, invitation: str | None = None
    ) -> list[SideRow]:
        """What the vault gets for a new member, with the hash of his password or the secret that invites him. Of two
        who are made at once with one address, the first has it.
        """
        invited = (
            None if invitation is None else self._secrets.box("invitation", invitation, Owner(log.number, member_id))
        )
        name = self._email_box(log, email)
        leads = self._secrets.vault.seal(name, msgspec.json.encode(Owner(log.number, member_id)))
        kept = Belongings(name, password, None if invited is None else invited.name)
        rows: list[SideRow] = [SecretChange(name, leads, keep=True), self._with(member_id, kept)]
        return rows if invited is None else [*rows, invited]

    def kept_with_password(self, member_id: str, password: str | None) -> list[SideRow]:
        """What changes in the vault with a password, whose hash this is, or None for who logs in elsewhere. Whoever was
        invited is no longer.
        """
        kept = self.belongings(member_id)
        if kept is None:
            raise NotFoundError("there is no such member")
        invited = kept.invitation_box
        row = self._with(member_id, Belongings(kept.email_box, password))
        return [row] if invited is None else [row, SecretChange(invited, None)]

    def forgotten(self, member_id: str) -> list[SideRow]:
        """What goes from the vault with a member. His address stays where it leads to another one."""
        kept = self.belongings(member_id)
        if kept is None:
            return []
        names = [BY_MEMBER + member_id]
        box = self._store.secret(kept.email_box)
        if box is not None and self._open(kept.email_box, box, Owner).id == member_id:
            names.append(kept.email_box)
        if kept.invitation_box is not None:
            names.append(kept.invitation_box)
        return [SecretChange(name, None) for name in names]

    def _with(self, member_id: str, kept: Belongings) -> SecretChange:
        name = BY_MEMBER + member_id
        return SecretChange(name, self._secrets.vault.seal(name, msgspec.json.encode(kept)))

    def _email_box(self, log: Log, email: str) -> str:
        return BY_EMAIL + self._secrets.digest(f"{log.number}\x00{plain_email(email)}")


def plain_email(email: str) -> str:
    """An address as it is compared: nobody remembers whether a capital was in it."""
    return email.strip().casefold()


def is_email(text: str) -> bool:
    """Whether it has the form of an address; whether it works only a letter could tell."""
    return _EMAIL.match(text.strip()) is not None


def require_member(moment: Moment, member_id: str) -> Member:
    """Raises NotFoundError for who never was one, or is none any more."""
    member = moment.state[TenantState].members.get(member_id)
    if member is None or member.status == "removed":
        raise NotFoundError(f"there is no member {member_id[:64]}")
    return member


def require_gone(state: State, data_subject: str) -> None:
    """Raises ConflictError for somebody who is still a member: what lets him in is found by his address."""
    member = state[TenantState].members.get(data_subject)
    if member is not None and member.status != "removed":
        raise ConflictError("the data subject is a member: remove him first, then erase what he was called by")


def change_member(
    moment: Moment, member_id: str, role: MemberRole | None, suspend: bool | None, actor: str, giver: str
) -> list[Draft]:
    """Decide another role or status. `giver` is the role of who asks. Raises NotFoundError, ForbiddenError where the
    one role or the other is not his to give, and ConflictError when nobody would be left to own the tenant.
    """
    member = require_member(moment, member_id)
    require_givable(giver, member.role, *([] if role is None else [role]))
    if suspend is not None and member.status == "invited":
        raise ConflictError("the member has not joined yet: remove the invitation instead")
    status = None if suspend is None else "suspended" if suspend else "active"
    new_role = None if role == member.role else role
    new_status = None if status == member.status else status
    if new_role is None and new_status is None:
        return []
    if member.role == "owner" and ((new_role or "owner") != "owner" or new_status == "suspended"):
        _require_other_owner(moment.state[TenantState], member_id)
    event = MemberChanged(
        member_id=member_id,
        actor=actor,
        role=UNSET if new_role is None else new_role,
        status=UNSET if new_status is None else new_status,  # type: ignore[arg-type]
    )
    return [Draft(event, subject=member_id)]


def remove_member(moment: Moment, member_id: str, actor: str, giver: str, forgotten: Sequence[SideRow]) -> list[Draft]:
    """Decide that a member goes. Raises as `change_member` does."""
    member = require_member(moment, member_id)
    require_givable(giver, member.role)
    if member.role == "owner":
        _require_other_owner(moment.state[TenantState], member_id)
    return [Draft(MemberRemoved(member_id=member_id, actor=actor), subject=member_id, side=tuple(forgotten))]


def require_givable(giver: str, *roles: str) -> None:
    """Raises ForbiddenError for a role that may do more than the role of who gives it, or takes it away."""
    for role in roles:
        if not may_give(giver, role):
            raise ForbiddenError(f"the role {role} may do more than the role {giver}: it is not yours to give or take")


def _require_other_owner(state: TenantState, member_id: str) -> None:
    others = (member for member in state.members.values() if member.member_id != member_id)
    if not any(member.role == "owner" and member.status == "active" for member in others):
        raise ConflictError("the last owner stays: make somebody else an owner first")
