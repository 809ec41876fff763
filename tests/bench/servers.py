# SPDX-License-Identifier: Apache-2.0
"""The servers that a benchmark puts beside the service, each a process under exactly the service's server settings.

    python -m tests.bench.servers echo
    python -m tests.bench.servers null --data DIR

`echo` is the least an ASGI application can do: it sends the body of a POST back, and answers a GET of `/N` with N
bytes. `null` is the whole service over a store without a disk; the owner's key is left in DIR/keys.json.
"""

import argparse
import json
import os
import socket
import sys
from pathlib import Path
from typing import cast

import msgspec
import uvicorn

from ledger.app import Application
from ledger.commands.serve_command import BACKLOG, server_config, settle_interpreter
from ledger.commands.terminal import log_to_stderr
from ledger.deployment import TENANT_PARTS, clock
from ledger.log.entry import IdSource, format_uuid
from ledger.log.events.tenants import TenantCreated
from ledger.log.keystore import Keystore
from ledger.log.ledger import Release, data_key, initialise
from ledger.log.store.keys import SqliteKeys
from ledger.log.vault import Vault, create_master_key
from ledger.log.working_copy import Draft, Log
from ledger.settings import Settings
from ledger.tenant.keys import NewKey, draft_key
from ledger.tenant.secrets import Secrets
from ledger.web.asgi import ASGIApp, Receive, Scope, Send
from ledger.web.connections import Bounds, Connections
from tests.bench.null_store import NullStore

KEYS_FILE = "keys.json"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["method"] == "POST":
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
    else:
        body = b"x" * int(scope["path"][1:])
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def null_service(data: Path) -> Application:
    """The service over a new, empty ledger that lives in memory; only its keystore is a file."""
    settings = Settings(data=data)
    vault = Vault(create_master_key(settings.master_key_file))
    keystore = Keystore(SqliteKeys.initialise(settings.keystore), vault)
    store, now = NullStore(), clock()
    tenant_id = format_uuid(IdSource(0).next(now))
    owner: list[NewKey] = []

    def first_drafts(log: Log) -> list[Draft]:
        key = data_key(keystore, log, None, now)
        owner.append(
            draft_key(Secrets(None, vault), log, key, now, role="owner", env="all", label="owner", actor="operator")
        )
        return [Draft(TenantCreated(tenant_id=tenant_id, actor="operator"), subject=tenant_id), owner[0].draft]

    release = Release("0", "00" * 32)
    initialise(store, keystore, vault, "localhost", clock, TENANT_PARTS, tenant_id, first_drafts, release)
    keystore.close()
    (data / KEYS_FILE).write_bytes(msgspec.json.encode({"owner_key": owner[0].secret}))
    return Application(settings, store=store)


def serve(application: ASGIApp, name: str) -> None:
    """Serve on a free port of the loopback interface until a signal; the address goes to stderr."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    port = listener.getsockname()[1]
    print(f"bench: serving {name} (process {os.getpid()}) on http://127.0.0.1:{port}", file=sys.stderr, flush=True)
    settle_interpreter()
    # The service's own server bounds its connections; the echo is what the libraries give by themselves.
    connections = None
    if isinstance(application, Application):
        connections = Connections(Bounds(), application.shell, application.streams.end)
    uvicorn.Server(server_config(application, connections)).run([listener])


def read_keys(data: Path) -> dict[str, str]:
    return cast(dict[str, str], json.loads((data / KEYS_FILE).read_bytes()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.servers")
    parser.add_argument("name", choices=("echo", "null"))
    parser.add_argument("--data", type=Path, help="directory of the null store's keystore")
    options = parser.parse_args()
    log_to_stderr()
    serve(echo if options.name == "echo" else null_service(options.data), options.name)


if __name__ == "__main__":
    main()
