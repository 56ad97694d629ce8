"""How the commands look: one form of help, of answers and of notices.

Owns: that form.  May import: click, home.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from sync_client.home import ClientHome

USUAL = "0 done · 1 error · 2 usage"

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output.")
pass_home = click.make_pass_decorator(ClientHome)


def help_end(example: str, codes: str = USUAL) -> str:
    """What stands below the options in every --help."""
    return f"\b\nExample:\n  {example}\n\n\b\nExit codes: {codes}"


def command(name: str, example: str, codes: str = USUAL) -> Callable[[Callable[..., Any]], click.Command]:
    """A click command; the function's docstring is its sentence."""
    return click.command(name, epilog=help_end(example, codes))


def tell(answer: Any, words: str, *, json_wanted: bool) -> None:
    """The answer, to standard output: for a program or for a person."""
    click.echo(json.dumps(answer) if json_wanted else words)


def notice(words: str) -> None:
    """What a person should know beside the answer, to standard error."""
    click.echo(words, err=True)
