# SPDX-License-Identifier: Apache-2.0
"""What is checked: all that a deployment keeps, opened but not loaded, so that no damage bars the way to the rest."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.log.errors import ConfigurationError
from ledger.log.fold import LogsState, Part, State
from ledger.log.keystore import Keystore
from ledger.log.ledger import PEPPER_BYTES, pepper_name
from ledger.log.store import ROOT_LOG, Store
from ledger.log.vault import Vault


class BoxRule(Protocol):
    """What a layer knows of the secrets it keeps in the vault."""

    @property
    def prefixes(self) -> Collection[str]:
        """What the names of its secrets begin with."""
        ...

    def problems(
        self, secrets: Mapping[str, bytes], old: Collection[str], states: Mapping[int, State]
    ) -> Iterator[str]:
        """What is wrong with these secrets, by name, as the states of the logs, by number, want them.

        None may be missing. That a state does not speak of one is a fault where its name is in `old`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Holdings:
    """`parts` are the layers that fold tenants' logs, `rules` those that keep secrets. `reopen` opens the same once
    more in another process, reading only; without it there is no work for other processes.
    """

    store: Store
    keystore: Keystore
    vault: Vault
    parts: Sequence[type[Part]]
    rules: Sequence[BoxRule] = ()
    reopen: "Callable[[], Holdings] | None" = None

    def parts_of(self, log_number: int) -> Sequence[type[Part]]:
        return [LogsState] if log_number == ROOT_LOG else self.parts

    def pepper(self, log_number: int) -> bytes | None:
        """What the keyed digests of a log are keyed with, None when that does not open: the vault's check says so."""
        name = pepper_name(log_number)
        box = self.store.secret(name)
        try:
            pepper = b"" if box is None else self.vault.open(name, box)
        except ConfigurationError:
            return None
        return pepper if len(pepper) == PEPPER_BYTES else None

    def retired(self) -> frozenset[bytes]:
        """The data keys under which something is being erased."""
        return frozenset(key.key_id for key in self.keystore.retired())

    def close(self) -> None:
        self.keystore.close()
        self.store.close()
