# SPDX-License-Identifier: Apache-2.0
"""The tenant's kill switch. While it is engaged nothing is allowed to agents; what they did may still be reported,
since evidence must not stop.
"""

from ledger.log.errors import ConflictError, ForbiddenError
from ledger.log.events.tenants import KillSwitchEngaged, KillSwitchReleased
from ledger.log.fold import State
from ledger.log.working_copy import Draft, Moment
from ledger.tenant.state import TenantState
from ledger.web.writes import SealedTexts


class HaltedError(ForbiddenError):
    code = "HALTED"


def require_running(state: State) -> None:
    """Raises HaltedError while the kill switch is engaged."""
    if state[TenantState].kill_switch is not None:
        raise HaltedError("the tenant's kill switch is engaged")


def engage(moment: Moment, actor: str, texts: SealedTexts) -> list[Draft]:
    """Decide to engage the switch; nothing to add where it is. Raises ConflictError rather than lose a reason."""
    engaged = moment.state[TenantState].kill_switch
    if engaged is not None and texts.commitments:
        raise ConflictError(f"the switch is engaged since entry {engaged.index}, with the reason that was given then")
    if engaged is not None:
        return []
    return [texts.draft(KillSwitchEngaged(actor=actor, reason=texts.of("reason")))]


def release(moment: Moment, actor: str) -> list[Draft]:
    """Decide to release the switch; nothing to add where it is not engaged."""
    if moment.state[TenantState].kill_switch is None:
        return []
    return [Draft(KillSwitchReleased(actor=actor))]
