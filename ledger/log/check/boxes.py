# SPDX-License-Identifier: Apache-2.0
"""What is sealed beside the logs: the vault and the data keys. Everything opens, and is of the kind its name says.

A secret that does not open is found here and not in the night in which it is needed. What has no place in the logs has
none here either: a signing key that nobody announced, or a data key of a log that does not exist.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ledger.log.check.holdings import BoxRule
from ledger.log.errors import ConfigurationError, DamagedError
from ledger.log.fold import State
from ledger.log.keys import PREFIX as SIGNING
from ledger.log.keys import read_signing_key
from ledger.log.keystore import Keystore
from ledger.log.ledger import PEPPER_BYTES, pepper_name
from ledger.log.store import Secret
from ledger.log.vault import Vault
from ledger.tlog.errors import MalformedError
from ledger.tlog.note import parse_vkey


@dataclass(frozen=True, slots=True)
class VaultCheck:
    """`rules` are those of the layers; without any, secrets that are not the log's own only have to open. `numbers` are
    those of all logs. `announced` are the vkeys that the root log names, None where that cannot be known, and `current`
    those that sign now.

    The secrets are read after the logs, so nothing that a log speaks of may be missing among them. Of those that are in
    `old`, which were there before the logs were read, a log must speak; of a newer one it may not do so yet.
    """

    vault: Vault
    rules: Sequence[BoxRule]
    secrets: Sequence[Secret]
    old: Collection[str]
    numbers: Collection[int]
    states: Mapping[int, State]
    announced: Collection[str] | None
    current: Collection[str]

    def problems(self) -> Iterator[str]:
        opened: dict[str, bytes] = {}
        for secret in self.secrets:
            try:
                opened[secret.name] = self.vault.open(secret.name, secret.box)
            except ConfigurationError as error:
                yield error.message
        yield from self._peppers(opened)
        yield from self._signing_keys(opened)
        known = {pepper_name(number) for number in self.numbers}
        known.update(name for name in opened if name.startswith(SIGNING))
        for rule in self.rules:
            own = {name: secret for name, secret in opened.items() if name.startswith(tuple(rule.prefixes))}
            yield from rule.problems(own, self.old, self.states)
            known.update(own)
        for name in opened:
            if self.rules and name not in known and name in self.old:
                yield f"nobody keeps a secret under the name {name!r}"

    def _peppers(self, opened: Mapping[str, bytes]) -> Iterator[str]:
        for name in map(pepper_name, self.numbers):
            if name not in opened:
                yield f"secret {name!r} is missing: calls could be taken twice, and data subjects not be found again"
            elif len(opened[name]) != PEPPER_BYTES:
                yield f"secret {name!r} has {len(opened[name])} bytes, want {PEPPER_BYTES}"

    def _signing_keys(self, opened: Mapping[str, bytes]) -> Iterator[str]:
        for vkey in self.current:
            if SIGNING + vkey not in opened:
                yield f"the private key of {vkey} is missing: nothing can be added to its log"
        for name, secret in opened.items():
            if not name.startswith(SIGNING):
                continue
            vkey = name.removeprefix(SIGNING)
            try:
                read_signing_key(parse_vkey(vkey).name, vkey, secret)
            except (ConfigurationError, MalformedError) as error:
                yield str(error)
            if self.announced is not None and vkey not in self.announced and name in self.old:
                yield f"no log announced the signing key {vkey}"


def data_key_problems(keystore: Keystore, exists: Callable[[int], bool], erasures: Mapping[int, int]) -> Iterator[str]:
    """What is wrong with the data keys. `exists` knows whether there is a log with a number, `erasures` the index of
    each log's newest record of an erasure.
    """
    for stored in keystore.all():
        key_id, number = stored.row.key_id.hex(), stored.row.log_number
        if not exists(number):
            yield f"data key {key_id} is said to be of log {number}, which does not exist"
        try:
            stored.open()
        except DamagedError as damage:
            yield f"data key {key_id} of log {number}: {damage.message}"
    for key in keystore.retired():
        if key.size <= erasures.get(key.log_number, -1):
            yield (
                f"what entry {erasures[key.log_number]} of log {key.log_number} says was erased is not destroyed yet: "
                "unless a service is about it, start one, which finishes it"
            )
