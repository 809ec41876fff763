# SPDX-License-Identifier: Apache-2.0
"""Single sign-on of a tenant: how its providers are configured, and what a login carries to the provider and back.

Of a login nothing is kept here. What is known of it goes with the browser in a cookie, sealed, for ten minutes.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections import OrderedDict
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, UnsetType
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from ledger.log.errors import InvalidRequestError
from ledger.log.events.members import SsoConfigured
from ledger.log.store import SecretChange
from ledger.log.vault import Vault
from ledger.log.working_copy import Draft, Log
from ledger.tenant.id_tokens import SsoRefusedError
from ledger.tenant.oidc import Attempt, Client
from ledger.tenant.secrets import SecretStore
from ledger.tenant.state import Provider, TenantState

BY_PROVIDER = "sso/"
"""What the names begin with under which the vault has client secrets: the log's number and the provider follow."""

FLOW_COOKIE = "ledger_sso"
FLOW_SECONDS = 600
USED = 20_000

# Only what a path on this very host is: a browser takes `//host` and `/\host` for addresses of another one.
_LOCAL_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@%?-][A-Za-z0-9._~!$&'()*+,;=:@%?/-]{0,998})?")


class ClientSecret(msgspec.Struct, frozen=True):
    """A client secret, and who it is for: it is sent to nobody else."""

    issuer: str
    client_id: str
    secret: str


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A login that has begun, by `provider` of log `log_number` as leaf `configured_at` has it. `expires_at` is in
    milliseconds; `return_to` a path on this host, None where the caller takes JSON.
    """

    attempt: Attempt
    provider: str
    log_number: int
    configured_at: int
    redirect_uri: str
    return_to: str | None
    expires_at: int


def auth_provider(log: Log) -> str:
    """How people of a tenant log in: `oidc` where one of its providers is enabled, else `local`."""
    providers = log.committed.state[TenantState].providers
    return "oidc" if any(provider.enabled for provider in providers.values()) else "local"


def is_local_path(path: str) -> bool:
    return _LOCAL_PATH.fullmatch(path) is not None


def with_error(path: str, reason: str) -> str:
    """A local path that tells its page why nobody is logged in."""
    return f"{path}{'&' if '?' in path else '?'}{urlencode({'sso_error': reason})}"


class Flows:
    """Seals logins that begin, and opens each once when it comes back.

    Which ones came back is remembered by each process for itself; that a code is used once is for the provider to see.
    """

    def __init__(self, vault: Vault) -> None:
        self._box = SecretBox(vault.derive("sso state"))
        self._used: OrderedDict[bytes, None] = OrderedDict()

    def seal(self, flow: Flow) -> str:
        return base64.urlsafe_b64encode(bytes(self._box.encrypt(msgspec.json.encode(flow)))).decode()

    def open(self, sealed: str | None, state: str, provider: str, now: int) -> Flow:
        """The login of this browser that came back with `state`. Raises SsoRefusedError."""
        try:
            box = base64.b64decode((sealed or "").encode(), altchars=b"-_", validate=True)
            flow = msgspec.json.decode(self._box.decrypt(box), type=Flow)
        except (binascii.Error, CryptoError, ValueError, msgspec.MsgspecError):
            raise _lost("this browser began no login, or cookies are off") from None
        if not hmac.compare_digest(flow.attempt.state.encode(), state.encode("utf-8", "surrogatepass")):
            raise _lost("this is not the login that this browser began")
        if flow.provider != provider or now >= flow.expires_at:
            raise _lost("the login took too long")
        digest = hashlib.sha256(flow.attempt.state.encode()).digest()
        if digest in self._used:
            raise _lost("this login came back before")
        self._used[digest] = None
        if len(self._used) > USED:
            self._used.popitem(last=False)
        return flow


def _lost(why: str) -> SsoRefusedError:
    return SsoRefusedError("state", f"{why}: begin again")


def configure(
    vault: Vault, log_number: int, before: Provider | None, event: SsoConfigured, secret: str | UnsetType | None
) -> Draft:
    """Decide what a provider is from now on, with its client secret: None for a public client, UNSET for the one that
    is there. Raises InvalidRequestError where that was for another client, or for another provider of this name.
    """
    name = secret_name(log_number, event.provider)
    side: tuple[SecretChange, ...] = ()
    if secret is UNSET:
        if before is not None and (before.issuer, before.client_id) != (event.issuer, event.client_id):
            raise InvalidRequestError.at(
                ["body", "client_secret"], "is missing: another issuer or client has its own, or null for none"
            )
    elif secret is None:
        side = (SecretChange(name, None),)
    else:
        content = msgspec.json.encode(ClientSecret(event.issuer, event.client_id, secret))
        side = (SecretChange(name, vault.seal(name, content)),)
    return Draft(event, subject=event.provider, side=side)


def client_of(store: SecretStore, vault: Vault, log_number: int, provider: Provider) -> Client:
    """What the service is to a provider. Asks the store."""
    name = secret_name(log_number, provider.provider)
    box = store.secret(name)
    kept = None if box is None else msgspec.json.decode(vault.open(name, box), type=ClientSecret)
    if kept is None or (kept.issuer, kept.client_id) != (provider.issuer, provider.client_id):
        return Client(provider.issuer, provider.client_id, None)
    return Client(provider.issuer, provider.client_id, kept.secret)


def secret_name(log_number: int, provider: str) -> str:
    return f"{BY_PROVIDER}{log_number}/{provider}"
