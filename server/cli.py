"""`mb-server`: what an operator types.

Owns: the group of all commands, exit codes (0 done, 1 error, 2 usage).
May import: click, protocol, server.commands.
"""

from __future__ import annotations

import os
import sys

import click

from protocol.errors import MedicalBlocksError
from server.commands import (
    audit,
    blocks,
    care,
    checking,
    completion,
    labels,
    reviewing,
    rules,
    serving,
    sharing,
    users,
)
from server.commands.words import EXIT_CODES


def main() -> None:
    """The console script: every error on purpose is one sentence on stderr and exit code 1."""
    try:
        commands.main(prog_name="mb-server", standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except MedicalBlocksError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except BrokenPipeError:  # whoever read our lines has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


@click.group(
    epilog="\b\nExample:\n  mb-server init --data /srv/medical-blocks --admin ada --password-stdin\n"
    f"  mb-server serve --data /srv/medical-blocks\n\n{EXIT_CODES}"
)
@click.version_option(package_name="medical-blocks", prog_name="mb-server")
def commands() -> None:
    """The Medical-Blocks server: make a data folder, serve it, look after its users and its data."""


for subcommand in (
    *serving.COMMANDS,
    *users.COMMANDS,
    *sharing.COMMANDS,
    *checking.COMMANDS,
    *care.COMMANDS,
    *audit.COMMANDS,
    *blocks.COMMANDS,
    *rules.COMMANDS,
    *reviewing.COMMANDS,
    *labels.COMMANDS,
    *completion.COMMANDS,
):
    commands.add_command(subcommand)
