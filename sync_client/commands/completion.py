"""`mb-sync completion`: what makes a shell complete our commands, and what it is answered.

Owns: the command; that places on this computer complete as files, and options of quick commands as they are.
May import: click, quick, words.
"""

from __future__ import annotations

import argparse

import click
from click.shell_completion import CompletionItem, get_completion_class

from sync_client import quick
from sync_client.commands.words import command

SHELLS = ("bash", "zsh", "fish")
PROGRAM, VARIABLE = "mb-sync", "_MB_SYNC_COMPLETE"
ON_THIS_COMPUTER = frozenset(
    {"local", "path", "paths", "file", "folder", "where", "to"}
)  # names of arguments


@command("completion", 'eval "$(mb-sync completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes your shell complete mb-sync with the Tab key.

    For each new shell: in ~/.bashrc `eval "$(mb-sync completion bash)"`, in ~/.zshrc the same with zsh; for fish
    `mb-sync completion fish > ~/.config/fish/completions/mb-sync.fish`.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, PROGRAM, VARIABLE).source())


class QuickCommand(click.Command):
    """The entry of a quick command, whose options stand in `quick` alone."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if not incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        parser = argparse.ArgumentParser()
        quick.COMMANDS[str(self.name)].arguments(parser)
        options = [*parser._option_string_actions, "--json"]
        return [CompletionItem(one) for one in options if one.startswith(incomplete)]


def complete_places(group: click.Group) -> None:
    """Arguments and options that name a place on this computer complete as files do."""
    for one in group.commands.values():
        if isinstance(one, click.Group):
            complete_places(one)
        for parameter in one.params:
            if parameter.name in ON_THIS_COMPUTER and isinstance(parameter.type, type(click.STRING)):
                parameter._custom_shell_complete = files


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


COMMANDS = (completion,)
