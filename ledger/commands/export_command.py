# SPDX-License-Identifier: Apache-2.0
"""`ledger export`: a range of the log for an auditor, read beside a running service or without one."""

from pathlib import Path

import click

from ledger.commands.terminal import data_option, option, progress, refusals, say
from ledger.deployment import FIRST_TENANT, open_ledger
from ledger.log.export import write_export
from ledger.settings import Settings


@click.command()
@option("--out", type=click.Path(path_type=Path), required=True, help="folder to make")
@option("--from", "start", type=click.IntRange(0), default=0, help="first index")
@option("--to", "stop", type=click.IntRange(1), help="index after the last one, by default the log's size")
@option("--disclose", type=click.Choice(["none", "all"]), default="none", help="sealed values to disclose")
@option("--format", "_format", type=click.Choice(["folder"]), default="folder", help="form of the export")
@data_option
@refusals
def command(settings: Settings, out: Path, start: int, stop: int | None, disclose: str, _format: str) -> None:
    """Write every entry of a range, with the proof that none is missing, and the verifier.

    \b
    Example:
      ledger export --out evidence --from 0 --to 1000
      ledger-verify export evidence --key VKEY --root-key VKEY
    """
    ledger = open_ledger(settings, read_only=True)
    log = ledger.log(FIRST_TENANT)
    with progress("exporting", (stop or log.committed.head.size) - start) as advance:
        manifest = write_export(
            ledger, log, start, stop, out, disclose=disclose == "all", verifier=settings.verifier, progress=advance
        )
    ledger.close()
    if manifest.root is None:
        say("The newest entries are not in the root log yet; export again later for a stronger proof.")
    click.echo(f"{out}: entries {manifest.start} to {manifest.stop - 1} of {manifest.origin}")
