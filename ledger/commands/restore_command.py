# SPDX-License-Identifier: Apache-2.0
"""`ledger restore`: a backup into an empty data directory or database."""

from pathlib import Path

import click

from ledger.commands.backup_command import DATABASE, VERIFIER, read_manifest
from ledger.commands.places import fill, say_before_serving
from ledger.commands.terminal import data_option, refusals, say
from ledger.log.durable import replace_file
from ledger.log.store.sqlite import SqliteStore
from ledger.settings import Settings


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@data_option
@refusals
def command(settings: Settings, folder: Path) -> None:
    """Restore a backup, verified while it is read and once more when it is written. Nothing is overwritten.

    \b
    A backup that is older than what was published can be read and exported, and not be signed on: see
    `ledger guard show`. The keys are not in a backup: put keystore and master key in their place first.
    Examples:
      ledger restore /backups/2026-11-22 --data /srv/ledger
      ledger restore /backups/2026-11-22 --database-url postgresql://ledger@db/ledger
    """
    manifest = read_manifest(folder)
    source = SqliteStore(folder / DATABASE, read_only=True)
    try:
        contents = fill(source, settings, "restoring", manifest.contents)
    finally:
        source.close()
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / VERIFIER).exists() and not settings.verifier.exists():
        replace_file(settings.verifier, (folder / VERIFIER).read_bytes())
    for log in contents.logs:
        click.echo(f"restored  {log.origin}  {log.size} entries  root {log.root}")
    say(f"This is the ledger as it was at {manifest.created}.")
    for path in (settings.master_key_file, settings.keystore):
        wanted = settings.keystore_url is None if path == settings.keystore else settings.master_key is None
        if wanted and not path.exists():
            say(f"{path} is missing: put it back from its own backup.")
    say_before_serving(settings)
