# SPDX-License-Identifier: Apache-2.0
"""What a check wants of the boxes in which the vault keeps API keys: each key of a log has one that leads to it and one
with the start of its secret, and there are no others.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import msgspec

from ledger.log.fold import State
from ledger.tenant.keys import BY_KEY, BY_SECRET, SHOWN_CHARACTERS
from ledger.tenant.secrets import Owner
from ledger.tenant.state import Key, TenantState

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
