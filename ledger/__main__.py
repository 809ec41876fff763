# SPDX-License-Identifier: Apache-2.0
"""The `ledger` command. Each subcommand is a file of `ledger/commands`, imported when it is asked for."""

from importlib import import_module

import click

import ledger
from ledger.commands.terminal import log_to_stderr

_COMMANDS = {
    "init": "Make a new ledger: root log, first tenant, owner key",
    "serve": "Run the service",
    "demo": "Tell the whole story once, with a ledger of its own",
    "import": "Report events from a file",
    "keys": "Create, list and revoke API keys",
    "tenants": "Make and list tenants",
    "export": "Write a range of the log for an auditor",
    "erase": "Destroy sealed values, by data subject, age, event or field",
    "check": "Derive everything again from the stored bytes",
    "root": "Daily roots",
    "backup": "Write the whole ledger but its keys to a folder, beside the service",
    "restore": "Bring a backup into an empty data directory or database",
    "copy": "Copy a ledger to another kind of store",
    "vault": "The master key that secrets at rest are sealed under: replace it",
    "guard": "Rollback guard: show it, confirm a database after a failover or a move",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"ledger.commands.{cmd_name}_command").command
        assert isinstance(command, click.Command)
        command.short_help = _COMMANDS[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Else every command would be imported for its one line.
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Commands, help="Append-only transparency ledger for decisions of AI agents.")
@click.version_option(ledger.__version__, prog_name="ledger")
def main() -> None:
    log_to_stderr()


if __name__ == "__main__":
    main()
