# SPDX-License-Identifier: Apache-2.0
"""`ledger import`: report events from a file of JSON lines.

It can be interrupted and run again: an event that is in the log already is counted as a duplicate and changes nothing.
"""

import asyncio
import gzip
import io
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import click
import httpx
import msgspec

from ledger.commands.operator import TIMEOUT_SECONDS
from ledger.commands.terminal import option, progress, refusals, say
from ledger.log.errors import InvalidRequestError, LedgerError

BATCH_EVENTS = 250
CONNECT_SECONDS = 5.0
RETRIES = 10
GZIP_MAGIC = b"\x1f\x8b"


class RecordedCall(msgspec.Struct):
    """A row of a file of recorded tool calls: the members that an event is made of; others are ignored."""

    trajectory_id: str
    step: int
    agent_id: str
    tool_name: str
    arguments: msgspec.Raw
    result_excerpt: msgspec.Raw = msgspec.Raw(b"null")
    timestamp: msgspec.Raw = msgspec.Raw(b"null")


class _Kind(msgspec.Struct):
    trajectory_id: str | None = None


class ImportResult(msgspec.Struct):
    accepted: int = 0
    duplicates: int = 0


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@option("--url", default="http://127.0.0.1:8000", help="address of the service")
@option("--key", required=True, help="API key that reports the events")
@refusals
def command(file: Path, url: str, key: str) -> None:
    """Report the events in FILE (.jsonl or .jsonl.gz): bodies of single events, or rows of recorded tool calls.

    \b
    Example:
      LEDGER_KEY=lk_… ledger import calls.jsonl.gz
    """
    result = asyncio.run(import_file(file, url, key))
    click.echo(f"accepted {result.accepted}, duplicates {result.duplicates}")


async def import_file(file: Path, url: str, key: str) -> ImportResult:
    """Report all events of a file. Raises InvalidRequestError naming the line, or LedgerError when the service
    refuses.
    """
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    try:
        timeout = httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS)
        client = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise LedgerError(f"the address or the key cannot be used: {error}") from None
    async with client:
        try:
            with _open(file) as lines:
                return await _import_lines(lines, client)
        except (EOFError, zlib.error) as error:
            raise LedgerError(f"{file} is a damaged gzip file: {error}") from error


async def _import_lines(lines: IO[bytes], client: httpx.AsyncClient) -> ImportResult:
    result = ImportResult()
    total = sum(1 for _ in lines)
    lines.seek(0)
    events = _events(lines)
    with progress("importing", total) as advance:
        while batch := list(islice(events, BATCH_EVENTS)):
            answer = await _post(client, b'{"events":[' + b",".join(batch) + b"]}")
            result.accepted += answer.accepted
            result.duplicates += answer.duplicates
            advance(len(batch))
    return result


async def _post(client: httpx.AsyncClient, body: bytes) -> ImportResult:
    # Without what an address may hold of user and password.
    service = str(client.base_url.copy_with(userinfo=b"")).rstrip("/")
    for attempt in range(RETRIES):
        try:
            response = await client.post("/api/v1/events", content=body)
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise LedgerError(f"the address or the key cannot be used: {error}") from error
        except httpx.TransportError as error:
            why = f"{service} does not answer: {str(error) or type(error).__name__}"
            if attempt == RETRIES - 1:
                raise LedgerError(why) from error
            if attempt == 0:
                # It may be on its way back, and the address may be wrong: who waits knows which.
                say(f"{why}; trying again, up to {RETRIES - 1} times")
            await asyncio.sleep(min(2**attempt * 0.1, 5))
            continue
        if response.status_code not in (429, 503):
            break
        await asyncio.sleep(float(response.headers.get("retry-after", "1")))
    if response.status_code != 200:
        raise LedgerError(f"{service} refused a batch: {response.status_code} {response.text[:500]}")
    try:
        return msgspec.json.decode(response.content, type=ImportResult)
    except msgspec.MsgspecError as error:
        raise LedgerError(f"the answer of {service} is not that of a ledger: {error}") from error


def _events(lines: IO[bytes]) -> Iterator[bytes]:
    """The events of a file as JSON texts; values of recorded calls are passed on byte for byte."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            # msgspec does not look into strings that it skips.
            line.decode()
            if msgspec.json.decode(line, type=_Kind).trajectory_id is None:
                yield line.strip()
            else:
                yield event_of_call(msgspec.json.decode(line, type=RecordedCall))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequestError.at(["line", number], f"line {number}: {error}") from None


def event_of_call(call: RecordedCall) -> bytes:
    """An event for a recorded call: observed, allowed, with its arguments and what it returned."""
    return msgspec.json.encode(
        {
            "call_id": f"{call.trajectory_id}#{call.step}",
            "agent_id": call.agent_id,
            "tool_name": call.tool_name,
            "verdict": "allow",
            "mode": "observe",
            "timestamp": call.timestamp,
            "payload": {"tool_args": call.arguments, "result": call.result_excerpt},
        }
    )


def _open(file: Path) -> IO[bytes]:
    with file.open("rb") as start:
        compressed = start.read(2) == GZIP_MAGIC
    return io.BufferedReader(gzip.open(file)) if compressed else file.open("rb")
