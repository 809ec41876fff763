# SPDX-License-Identifier: Apache-2.0
"""A provider that answers whatever a test wants, byte for byte, and ID tokens that are nearly right."""

import json
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey


class Said(NamedTuple):
    """An answer. A body of many parts is sent part by part, without its length being said before."""

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Hostile:
    """On a free port. `answers` has what is said to each path; `asked` what came: path, headers and body."""

    def __init__(self) -> None:
        outer = self
        self.answers: dict[str, Said] = {}
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append((self.path, headers, self.rfile.read(length)))
                said = outer.answers.get(self.path, Said(b"", 404))
                parts = [said.body] if isinstance(said.body, bytes) else said.body
                self.send_response(said.status)
                for name, value in said.headers:
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for part in parts:
                        self.wfile.write(part)
                except OSError:
                    self.close_connection = True

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def metadata(self, **changes: Any) -> dict[str, Any]:
        """Metadata that are right, but for the changes."""
        right = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "Ed25519", "HS256", "none"],
        }
        return right | changes

    def describe(self, **changes: Any) -> None:
        self.answers["/.well-known/openid-configuration"] = Said(json.dumps(self.metadata(**changes)).encode())

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    def __enter__(self) -> "Hostile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


KEYS: dict[str, Key] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}
KEYS |= {"PS256": KEYS["RS256"], "EdDSA": KEYS["Ed25519"]}


def public(*keys: Key) -> list[dict[str, Any]]:
    return [dict(key.as_dict(private=False)) for key in keys]


def signed(claims: dict[str, Any], algorithm: str = "RS256", key: Key | None = None, **header: Any) -> str:
    key = key or KEYS[algorithm]
    named = {"alg": algorithm, "kid": key.kid} | header
    present = {name: value for name, value in named.items() if value is not None}
    return jws.serialize_compact(present, json.dumps(claims).encode(), key, algorithms=[algorithm])
