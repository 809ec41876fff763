# SPDX-License-Identifier: Apache-2.0
"""Events about what agents ask and do."""

from typing import ClassVar, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ledger.log.events import Event, EventClass, register
from ledger.log.sealed import Commitment, SealedMembers, is_sealed

Verdict = Literal["allow", "deny", "would_deny", "pending", "warn", "redact"]
Mode = Literal["enforce", "observe"]
Env = Literal["production", "staging", "development"]


@register
class CallReported(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an agent says of itself; it does not say that the service allowed anything."""

    type: ClassVar[str] = "call.reported"
    event_class: ClassVar[EventClass] = EventClass.CALL
    call_id: str
    agent_id: str
    tool_name: str
    verdict: Verdict
    mode: Mode
    env: Env
    key_id: str
    side_effect: str | UnsetType = UNSET
    decision_source: str | UnsetType = UNSET
    decision_name: str | UnsetType = UNSET
    policy_version: str | UnsetType = UNSET
    bundle_name: str | UnsetType = UNSET
    tool_args: SealedMembers | UnsetType = UNSET
    principal: Commitment | UnsetType = UNSET
    reason: Commitment | UnsetType = UNSET
    result: Commitment | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.tool_args is not UNSET and not is_sealed(self.tool_args):
            raise ValueError("tool_args holds something that is not sealed")


class ManifestContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: str
    type: str
    tool: str
    mode: Mode


@register
class AgentManifestReported(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rules an agent says it runs under locally."""

    type: ClassVar[str] = "agent.manifest_reported"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    agent_id: str
    env: Env
    key_id: str
    policy_version: str
    contracts: list[ManifestContract]
