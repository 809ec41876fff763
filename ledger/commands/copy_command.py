# SPDX-License-Identifier: Apache-2.0
"""`ledger copy`: a ledger from one kind of store to another, or to another machine's."""

from contextlib import ExitStack, suppress
from pathlib import Path

import click

from ledger.commands.places import KEYS_ARE_NOT_IN_IT, fill, say_before_serving, settings_at
from ledger.commands.sole_writer import sole_writer
from ledger.commands.terminal import guard_option, option, refusals, say
from ledger.deployment import open_store
from ledger.log.errors import ConfigurationError, ConflictError
from ledger.settings import Settings


@click.command()
@option("--from", "source_place", required=True, help="data directory or postgresql://… to copy from")
@option("--to", "target_place", required=True, help="data directory or postgresql://… to copy to; no ledger in it yet")
@guard_option
@refusals
def command(source_place: str, target_place: str, guard: Path | None) -> None:
    """Copy a whole ledger; leaves, heads, proofs and receipts stay the same to the byte, and nothing is signed.

    \b
    To move a ledger for good: stop its service, copy, confirm the copy, serve the copy. From the confirmation on the
    source is not signed on any more. Beside a running service the copy is one to try things with.
    Examples:
      ledger copy --from ledger-data --to postgresql://ledger@db/ledger
      ledger copy --from postgresql://ledger@db/ledger --to /srv/ledger
    """
    source_settings, target_settings = (
        settings_at(place, Settings(data=Path(), guard=guard)) for place in (source_place, target_place)
    )
    if source_settings.database_url is None and source_settings.data.resolve() == target_settings.data.resolve():
        raise ConflictError("the copy would take the place of what it is made from")
    with ExitStack() as stack:
        source = open_store(source_settings, read_only=True)
        stack.callback(source.close)
        # A data directory is not served meanwhile, where that can be had.
        with suppress(ConfigurationError):
            stack.enter_context(sole_writer(source_settings))
        contents = fill(source, target_settings, "copying")
        added = sum(head.size for head in source.heads().values()) - sum(log.size for log in contents.logs)
    for log in contents.logs:
        click.echo(f"copied  {log.origin}  {log.size} entries  root {log.root}")
    if added:
        say(f"It is being served: {added} entries came meanwhile, and this copy lacks them. Do not go on from it.")
    say(KEYS_ARE_NOT_IN_IT)
    say_before_serving(target_settings)
