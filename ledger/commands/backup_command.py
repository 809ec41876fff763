# SPDX-License-Identifier: Apache-2.0
"""`ledger backup`: the whole ledger in a folder, made beside a running service and read again when it is written."""

import tempfile
import time
from pathlib import Path

import click
import msgspec

import ledger
from ledger.commands.places import KEYS_ARE_NOT_IN_IT, write_file
from ledger.commands.terminal import data_option, refusals, say
from ledger.deployment import open_store
from ledger.log.copying import Contents
from ledger.log.durable import rename, replace_file
from ledger.log.entry import format_time
from ledger.log.errors import ConfigurationError, ConflictError
from ledger.settings import Settings

MANIFEST = "backup.json"
DATABASE = "ledger.db"
VERIFIER = "ledger-verify.pyz"
FORMAT = "ledger-backup/v1"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself, by which it is verified once more when it is restored."""

    format: str
    program: str
    created: str
    contents: Contents


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
@refusals
def command(settings: Settings, folder: Path) -> None:
    """Write everything but the keys to a new folder: logs, heads, sealed values, commitments, days, vault.

    \b
    Beside a running service it is the ledger as it was when the backup began. Every entry is hashed while it is
    written, every head compared, and the finished backup read again.
    Examples:
      ledger backup /backups/2026-11-22
      ledger backup /backups/2026-11-22 --database-url postgresql://ledger@db/ledger
    """
    if folder.exists():
        raise ConflictError(f"{folder} exists already; a backup makes a new folder")
    source = open_store(settings, read_only=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that the last step is a rename; for the owner only, as the data themselves are.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as name:
            unfinished = Path(name) / "backup"
            unfinished.mkdir(mode=0o700)
            created = format_time(time.time_ns() // 1_000_000)
            contents = write_file(source, unfinished / DATABASE, "backing up")
            if settings.verifier.exists():
                replace_file(unfinished / VERIFIER, settings.verifier.read_bytes())
            manifest = Manifest(format=FORMAT, program=ledger.__version__, created=created, contents=contents)
            replace_file(unfinished / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
            rename(unfinished, folder)
    finally:
        source.close()
    for log in contents.logs:
        click.echo(f"saved  {log.origin}  {log.size} entries  root {log.root}")
    say(KEYS_ARE_NOT_IN_IT)


def read_manifest(folder: Path) -> Manifest:
    """What a backup says of itself. Raises ConfigurationError for a folder that is none."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ConfigurationError(f"{folder} is no backup: it has no {MANIFEST}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{folder / MANIFEST} is damaged: {error}") from error
    if manifest.format != FORMAT:
        raise ConfigurationError(f"{folder} has the format {manifest.format[:40]!r}, this program reads {FORMAT!r}")
    return manifest
