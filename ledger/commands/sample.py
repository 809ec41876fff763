# SPDX-License-Identifier: Apache-2.0
"""Decisions of three invented agents, the same every time: what `ledger demo` reports when it is given no file."""

import random
from typing import Any, NamedTuple

LIMIT = 4000


class _Call(NamedTuple):
    agent: str
    tool: str
    side_effect: str
    arguments: dict[str, Any]


def sample_events(count: int) -> list[dict[str, Any]]:
    """`count` event bodies for `POST /events`."""
    chance = random.Random(20260301)
    return [_event(number, chance) for number in range(count)]


def _event(number: int, chance: random.Random) -> dict[str, Any]:
    call = _call(chance)
    denied = call.arguments.get("path") == ".env" or call.arguments.get("amount", 0) > LIMIT
    return {
        "call_id": f"demo-{number:04d}",
        "agent_id": call.agent,
        "tool_name": call.tool,
        "verdict": "deny" if denied else "allow",
        "mode": "enforce",
        "timestamp": f"2026-03-01T{12 + number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "payload": {
            "tool_args": call.arguments,
            "side_effect": call.side_effect,
            "principal": {"user_id": chance.choice(["ada", "grace", "edsger", "barbara", "donald"])},
            "decision_source": "precondition",
            "decision_name": "limits" if denied else "default",
            "policy_version": "demo-1",
            "reason": "over the limit, or a secret file" if denied else None,
        },
    }


def _call(chance: random.Random) -> _Call:
    recipient, ticket = f"GB{chance.randrange(10**8):08d}", chance.randrange(10**5)
    amount = round(chance.uniform(1, 5000), 2)
    return chance.choice(
        [
            _Call(
                "payments-agent", "send_money", "write", {"recipient": recipient, "amount": amount, "currency": "GBP"}
            ),
            _Call("support-agent", "read_ticket", "read", {"ticket": ticket}),
            _Call("support-agent", "send_reply", "write", {"ticket": ticket, "text": "We are looking into it."}),
            _Call(
                "deploy-agent", "restart_service", "write", {"service": chance.choice(["api", "web"]), "force": False}
            ),
            _Call("deploy-agent", "read_file", "read", {"path": chance.choice(["/etc/hosts", ".env", "README.md"])}),
        ]
    )
