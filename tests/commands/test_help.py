# SPDX-License-Identifier: Apache-2.0
"""Help is documentation: every command says what it does, shows an example, and names its variables."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from ledger.__main__ import main
from tests.commands.outcomes import done
from tests.running import run_ledger


def _commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group, with the words that lead to it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, *path, name)
        else:
            yield (*path, name), command


ALL = dict(_commands(main))


def test_help_lists_every_command() -> None:
    output = done(run_ledger("--help"))
    for name in (
        "init",
        "serve",
        "demo",
        "import",
        "keys",
        "tenants",
        "export",
        "check",
        "root",
        "guard",
        "backup",
        "restore",
        "copy",
    ):
        assert f"\n  {name} " in output
    assert set(ALL) >= {("keys", "create"), ("keys", "list"), ("keys", "revoke"), ("root", "close")}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_has_an_example(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"ledger {' '.join(path)}" in result.output


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_flag_is_described_and_a_variable(path: tuple[str, ...]) -> None:
    for parameter in ALL[path].params:
        if isinstance(parameter, click.Option):
            assert str(parameter.envvar).startswith("LEDGER_"), parameter.name
            flag = parameter.opts[-1].lstrip("-")
            assert str(parameter.envvar) == "LEDGER_" + flag.upper().replace("-", "_")
            assert parameter.help or parameter.hidden or isinstance(parameter.type, click.Choice), parameter.name


def test_version() -> None:
    assert done(run_ledger("--version")).startswith("ledger, version ")
