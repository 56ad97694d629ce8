"""All commands of `mb-sync` under one `--help`.

Owns: the list of them.  May import: click, quick, home, sync_client.commands.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from sync_client import quick
from sync_client.commands import (
    account,
    codes,
    cohorts,
    completion,
    desktop,
    doctor,
    explorer,
    files,
    finding,
    folders,
    guard,
    labels,
    reviewing,
    rules,
    running,
    settings,
    sharing,
)
from sync_client.commands.words import help_end
from sync_client.home import ClientHome, find_home

INTERRUPTED = 130


@click.group(
    "mb-sync",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=help_end(
        "mb-sync login https://files.example.org --user ana\n"
        "  mb-sync add /Home/Study ~/Study\n"
        "  mb-sync start",
        "0 done · 1 error · 2 usage · 3 items in error · 4 time is up · 5 MB-Sync is not running",
    ),
)
@click.version_option(package_name="medical-blocks")
@click.option("--home", metavar="DIR", help="Where MB-Sync keeps its state (else MB_SYNC_HOME).")
@click.pass_context
def mb_sync(context: click.Context, home: str | None) -> None:
    """Keep folders of this computer and of a Medical-Blocks server equal, both ways."""
    context.obj = find_home(home)


def run_heavy(arguments: Sequence[str]) -> int:
    """Run a command line that is none of the quick ones; the exit code."""
    try:
        code = mb_sync.main(list(arguments), prog_name="mb-sync", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    return code if isinstance(code, int) else quick.DONE


def _quick_command(name: str, about: quick.Quick) -> click.Command:
    """The entry of a quick command in the list; reached only past options that `cli.main` did not expect."""

    @click.pass_obj
    def run(home: ClientHome, rest: tuple[str, ...]) -> int:
        return quick.run(name, rest, home)

    return completion.QuickCommand(
        name,
        callback=run,
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED, shell_complete=completion.files)],
        help=about.sentence,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True},
    )


for _name, _about in quick.COMMANDS.items():
    if _name != "conflicts":  # a group here, for the sake of `conflicts resolve`
        mb_sync.add_command(_quick_command(_name, _about))
_ALL = (
    account,
    folders,
    running,
    desktop,
    doctor,
    settings,
    explorer,
    files,
    guard,
    sharing,
    codes,
    rules,
    labels,
    finding,
    cohorts,
    reviewing,
    completion,
)
for _command in [command for module in _ALL for command in module.COMMANDS]:
    mb_sync.add_command(_command)
completion.complete_places(mb_sync)
