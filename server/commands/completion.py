"""`mb-server completion`: what makes a shell complete our commands.

Owns: the command.  May import: click, words.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from server.commands.words import EXIT_CODES

SHELLS = ("bash", "zsh", "fish")


@click.command(epilog=f'\b\nExample:\n  eval "$(mb-server completion bash)"\n\n{EXIT_CODES}')
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes your shell complete mb-server with the Tab key, for its start-up file."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "mb-server", "_MB_SERVER_COMPLETE").source())


COMMANDS = (completion,)
