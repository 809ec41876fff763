# SPDX-License-Identifier: Apache-2.0
"""What the headers of a request say, read once: who claims to ask, under which ids, and for what kind of answer."""

import os
import random
import re
from collections.abc import Iterable, Mapping

import msgspec

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,100}\Z")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\Z")

# Names of requests need to differ, not to be secret.
_names = random.Random(os.urandom(32))


class Asked(msgspec.Struct):
    """`claims` is whether the request shows any credential at all; `secret` the one to look up, and `session` that of
    a cookie. A `safe` request changes nothing (RFC 9110 §9.2.1); `own_page` is whether it has X-Requested-With. `local`
    is the operator's socket, which only his own account can open.
    """

    request_id: str
    trace_id: str
    local: bool
    claims: bool = False
    secret: str | None = None
    session: str | None = None
    tenant: str | None = None
    agent: str | None = None
    safe: bool = True
    own_page: bool = False
    accept: str = "*/*"
    origin: bytes | None = None
    content_length: int | None = None


SESSION_COOKIE = "ledger_session"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class AskedReader:
    """`key_headers` are the names that may carry a credential besides Authorization, `agent_headers` those that name
    the agent for whom somebody acts, `tenant_headers` those that name the tenant.
    """

    def __init__(
        self,
        key_headers: Iterable[str],
        agent_headers: Iterable[str] = ("X-Agent-Id",),
        tenant_headers: Iterable[str] = ("X-Tenant-Id",),
    ) -> None:
        self._kinds: Mapping[bytes, str] = {
            **{name.lower().encode(): "key" for name in key_headers},
            **{name.lower().encode(): "agent" for name in agent_headers},
            **{name.lower().encode(): "tenant" for name in tenant_headers},
            b"cookie": "cookie",
            b"x-requested-with": "own page",
            b"authorization": "authorization",
            b"accept": "accept",
            b"origin": "origin",
            b"content-length": "length",
            b"x-request-id": "request",
            b"traceparent": "trace",
        }

    def read(self, method: str, headers: Iterable[tuple[bytes, bytes]], server: tuple[str, int | None] | None) -> Asked:
        """What the headers of a request to `server` say, their names in lower case.

        Never raises: what is not well formed counts as not there. Ids are the caller's, else new ones.
        """
        name = f"{_names.getrandbits(128):032x}"
        # A connection on the Unix socket has no port.
        asked = Asked(name, name, server is not None and server[1] is None, safe=method in _SAFE)
        kinds = self._kinds
        for header, value in headers:
            kind = kinds.get(header)
            if kind is None:
                continue
            if kind == "authorization":
                asked.claims = True
                scheme, _, credential = value.decode("latin-1").partition(" ")
                if scheme.lower() == "bearer":
                    asked.secret = credential.strip()
            elif kind == "length":
                asked.content_length = int(value) if len(value) < 20 and value.isdigit() else None
            elif kind == "accept":
                asked.accept = value.decode("latin-1")
            elif kind == "key":
                asked.claims = True
                asked.secret = asked.secret or value.decode("latin-1")
            elif kind == "tenant":
                asked.tenant = value.decode("latin-1")
            elif kind == "agent":
                asked.agent = value.decode("latin-1")
            elif kind == "cookie":
                asked.session = asked.session or _session_of(value.decode("latin-1"))
                asked.claims = asked.claims or asked.session is not None
            elif kind == "own page":
                asked.own_page = bool(value.strip())
            elif kind == "origin":
                asked.origin = value
            elif kind == "request" and _REQUEST_ID.match(value):
                asked.request_id = value.decode()
            elif kind == "trace" and (match := _TRACEPARENT.match(value)):
                asked.trace_id = match[1].decode()
        return asked


def _session_of(cookies: str) -> str | None:
    """The session in a Cookie header (RFC 6265 §4.2.1)."""
    for cookie in cookies.split(";"):
        name, _, value = cookie.strip().partition("=")
        if name == SESSION_COOKIE and value:
            return value
    return None
