# SPDX-License-Identifier: Apache-2.0
"""`ledger export`: a range of the log for an auditor, made by the running service or without one.

What is fetched lies beside its place until it is whole, so an export that was cut off goes on when it is asked for
again.
"""

import asyncio
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec

from ledger.commands.operator import call, operator_client
from ledger.commands.terminal import data_option, option, progress, refusals, say
from ledger.log.disclosing import Disclosing
from ledger.log.durable import rename
from ledger.log.errors import ConfigurationError, ConflictError, LedgerError, NotFoundError
from ledger.log.export_archive import ARCHIVE, private, unpack
from ledger.log.export_spool import ExportedFile, ExportStatus
from ledger.settings import Settings

PIECE_BYTES = 4 << 20
POLL_SECONDS = (0.02, 0.5)
MAX_PROFILE_BYTES = 20_000
_PATH = "/api/v1/audit/exports"


@click.command()
@option("--out", type=click.Path(path_type=Path), required=True, help="what to make: a folder, or the archive")
@option("--from", "start", type=click.IntRange(0), default=0, help="first index")
@option("--to", "stop", type=click.IntRange(1), help="index after the last one, by default the log's size")
@option("--disclose", default="none", metavar="none|all|FILE", help="sealed values to disclose; FILE has a rule a line")
@option(
    "--format",
    "form",
    type=click.Choice(["folder", "tar", "csv", "json", "pdf"]),
    default="folder",
    help="csv, json and pdf: a folder with the archive, and a view of it for people",
)
@data_option
@refusals
def command(settings: Settings, out: Path, start: int, stop: int | None, disclose: str, form: str) -> None:
    """Write every entry of a range, with the proof that none is missing, and the verifier. The log says that it was
    exported, and under which rules values were disclosed.

    \b
    Example:
      ledger export --out evidence --from 0 --to 1000
      ledger export --out evidence.tar --format tar --disclose rules.txt
      ledger-verify export evidence --key VKEY --root-key VKEY

    \b
    A FILE of rules has lines of an event type and a pointer:
      call.reported /data/tool_args/amount
      call.reported /data/principal
      * /data/reason
    """
    if os.path.lexists(out):
        raise ConflictError(f"{out} exists already; an export makes a new one")
    if out.parent.exists() and not out.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(out.parent))
    out.parent.mkdir(parents=True, exist_ok=True)
    order = {"from": start, "to": stop, "disclose": _profile(disclose), "format": "tar" if form == "folder" else form}
    status = asyncio.run(_export(settings, order, out, form))
    fields = status.fields
    counts = f"{fields.disclosed} fields disclosed, {fields.withheld} withheld, {fields.erased} erased"
    click.echo(f"{out}: entries {status.start} to {status.stop - 1}, {counts}, recorded at {status.leaf_index}")


def _profile(disclose: str) -> str | list[str]:
    """Rules of disclosure as the service takes them: a word, or the lines of a file."""
    if disclose in ("none", "all"):
        return disclose
    try:
        with Path(disclose).open("rb") as file:
            lines = file.read(MAX_PROFILE_BYTES + 1).decode("utf-8").splitlines()
    except OSError as error:
        raise ConfigurationError(
            f"--disclose is none, all, or a file of rules; {disclose}: {error.strerror}"
        ) from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{disclose} is no file of rules: it is no text") from None
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not rules:
        raise ConfigurationError(f"{disclose} has no rule; to disclose nothing say --disclose none")
    return list(Disclosing(rules).rules)


async def _export(settings: Settings, order: dict[str, Any], out: Path, form: str) -> ExportStatus:
    async with operator_client(settings, seconds=None) as client:
        status, part = await _begin(client, order, out)
        with _held(part):
            try:
                status = await _made(client, status)
                for file in status.files:
                    await _fetch(client, status, file, part / file.name)
                await call(client, "DELETE", f"{_PATH}/{status.export_id}")
                _put_in_place(part, out, form)
            except (_FailedError, OSError):
                # Nothing of it can be gone on with; and what it discloses should lie nowhere that nobody knows of.
                shutil.rmtree(part, ignore_errors=True)
                raise
            except BaseException:
                say(f"What was fetched by then lies in {part}: run the same command again to go on, or remove it.")
                raise
    return status


class _FailedError(LedgerError):
    """The service could not make the export."""


@contextmanager
def _held(part: Path) -> Iterator[None]:
    """Be the only one who fetches to this place. Raises ConflictError when somebody else does."""
    with (part / "order.json").open("rb") as order:
        try:
            fcntl.flock(order, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(f"another export is being fetched to this place, in {part}") from None
        yield


async def _begin(client: httpx.AsyncClient, order: dict[str, Any], out: Path) -> tuple[ExportStatus, Path]:
    """A new export, or the one that was being fetched for this place when it was cut off; and where its parts lie."""
    for part, export_id in list(_parts(out)):
        try:
            with _held(part):
                pass
            if msgspec.json.decode((part / "order.json").read_bytes()) == order:
                status = await _status(client, export_id)
                if status.status != "failed":
                    return status, part
        except (OSError, msgspec.MsgspecError, NotFoundError):
            pass
        shutil.rmtree(part)
    answer = await call(client, "POST", _PATH, json=order)
    status = msgspec.json.decode(answer.content, type=ExportStatus)
    part = out.with_name(f".{out.name}.{status.export_id}.part")
    part.mkdir(mode=0o700)
    (part / "order.json").write_bytes(msgspec.json.encode(order))
    return status, part


def _parts(out: Path) -> Iterator[tuple[Path, str]]:
    for part in out.parent.iterdir():
        if part.name.startswith(f".{out.name}.") and part.name.endswith(".part") and part.is_dir():
            yield part, part.name.removeprefix(f".{out.name}.").removesuffix(".part")


async def _status(client: httpx.AsyncClient, export_id: str) -> ExportStatus:
    return msgspec.json.decode((await call(client, "GET", f"{_PATH}/{export_id}")).content, type=ExportStatus)


async def _made(client: httpx.AsyncClient, status: ExportStatus) -> ExportStatus:
    """Wait until it is ready. Raises LedgerError when it could not be made."""
    wait, longest = POLL_SECONDS
    with progress("exporting", status.stop - status.start) as advance:
        while status.status == "running":
            await asyncio.sleep(wait)
            wait = min(2 * wait, longest)
            before, status = status.done, await _status(client, status.export_id)
            advance(status.done - before)
    if status.status == "failed":
        raise _FailedError(f"the export failed: {status.reason}")
    return status


async def _fetch(client: httpx.AsyncClient, status: ExportStatus, file: ExportedFile, path: Path) -> None:
    """Fetch a file, from where it was cut off, a bounded piece at a time."""
    with open(path, "ab", opener=private) as target, progress(f"fetching {file.name}", file.size) as advance:
        advance(target.tell())
        while (at := target.tell()) < file.size:
            headers = {"range": f"bytes={at}-{min(at + PIECE_BYTES, file.size) - 1}"}
            answer = await call(client, "GET", f"{_PATH}/{status.export_id}/{file.name}", headers=headers)
            target.write(answer.content)
            advance(len(answer.content))
    if ExportedFile.of(path) != file:
        raise _FailedError(f"{file.name} did not arrive as it was made; export again")


def _put_in_place(part: Path, out: Path, form: str) -> None:
    (part / "order.json").unlink()
    if form == "tar":
        rename(part / ARCHIVE, out)
    elif form == "folder":
        unpack(part / ARCHIVE, part / "export")
        rename(part / "export", out)
    else:
        part.rename(out)
        return
    shutil.rmtree(part)
