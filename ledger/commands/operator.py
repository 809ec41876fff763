# SPDX-License-Identifier: Apache-2.0
"""Commands that write: through the service that holds the data directory, else with the same routes in this process.

Either way the request goes through the one set of handlers, as the operator of the machine: the socket's file mode, the
right to lock the data directory, or access to the database together with the master key, is the credential.
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import httpx

from ledger.commands.sole_writer import sole_writer
from ledger.log.errors import ConflictError, LedgerError, NotFoundError
from ledger.log.lock import InUseError
from ledger.settings import Settings

TIMEOUT_SECONDS = 60.0
_KINDS: dict[int, type[LedgerError]] = {404: NotFoundError, 409: ConflictError}


@asynccontextmanager
async def operator_client(
    settings: Settings, seconds: float | None = TIMEOUT_SECONDS
) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client that acts as the operator and waits `seconds` for an answer. Raises ConfigurationError where there
    is no ledger to act on.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(sole_writer(settings))
        except InUseError:
            transport = httpx.AsyncHTTPTransport(uds=str(settings.socket))
            client = httpx.AsyncClient(transport=transport, base_url="http://ledger", timeout=seconds)
            async with client:
                yield client
            return
        # Imported here, since a client of the running service needs none of it.
        from ledger.app import Application

        application = Application(settings, jobs=False)
        await application.start()
        try:
            # Without a port in the address the request counts as local, as it does on the socket.
            transport_here = httpx.ASGITransport(application)
            async with httpx.AsyncClient(transport=transport_here, base_url="http://ledger") as client:
                yield client
        finally:
            await application.stop()


async def call(client: httpx.AsyncClient, method: str, path: str, **arguments: Any) -> httpx.Response:
    """The answer to a request. Raises LedgerError with the problem's detail when it was refused or did not get
    through.
    """
    try:
        response = await client.request(method, path, **arguments)
    except httpx.TransportError as error:
        raise LedgerError(f"the service does not answer: {error or type(error).__name__}") from error
    if response.is_success:
        return response
    try:
        problem = response.json()
        detail = "; ".join([problem["detail"], *(f"{e['loc']}: {e['msg']}" for e in problem.get("errors", []))])
    except (ValueError, KeyError, TypeError):
        detail = response.text[:500]
    raise _KINDS.get(response.status_code, LedgerError)(f"{method} {path}: {response.status_code} {detail}")
