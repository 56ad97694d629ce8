"""Commands for authors of blocks.

Owns: `block new`, `block try`.
May import: click, protocol, server.  All that is heavy is imported inside the commands that need it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from protocol.errors import LocalProblem
from protocol.names import shown
from protocol.parameters import read_parameters
from server.commands.compared import lines_of
from server.commands.words import command, json_option

if TYPE_CHECKING:
    from server.hooks.authors import Tried


@click.group(
    epilog="\b\nExample:\n  mb-server block new count-slices\n  mb-server block try ./count-slices a.txt"
)
def block() -> None:
    """Blocks: programs that are run on new files. These commands need no server."""


@command("new", example="mb-server block new count-slices")
@click.argument("name")
@click.option(
    "--into", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help="Where to make it."
)
def new(name: str, into: Path) -> None:
    """Make a folder NAME with a block that works as it stands: its manifest, its program, its test."""
    from server.hooks.authors import write_skeleton

    for path in write_skeleton(name, into):
        click.echo(path)
    click.echo(f"Try it: mb-server block try {into / name} FILE.txt", err=True)


@command(
    "try",
    example='mb-server block try dicom-deidentify scan.dcm --parameters \'{"preset": "basic"}\'',
    codes="Exit codes: 0 done, 1 error or the block did not finish, 2 usage.",
)
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--parameters", metavar="JSON", default="{}", help="What a rule would set.")
@click.option(
    "--keep", type=click.Path(path_type=Path), metavar="DIR", help="Keep the job's folder, with out/."
)
@click.option("--trust", is_flag=True, help="It is an installed Python block, which may do all that you may.")
@json_option
def try_(
    name: str, files: tuple[Path, ...], parameters: str, keep: Path | None, *, trust: bool, as_json: bool
) -> None:
    """Run a block on files, as a server would, and show what comes out.

    NAME is a block that is shipped or installed, or a folder with a block.toml.  Of DICOM files every attribute
    that changed is shown, before and after: the values of the original stand on your screen.  Nothing is published.
    """
    from server.hooks.authors import try_block

    values = read_parameters(parameters)
    with tempfile.TemporaryDirectory(prefix="mb-block-") as scratch:
        folder = _kept(keep) if keep is not None else Path(scratch)
        tried = asyncio.run(try_block(name, files, values, job_folder=folder, trusts=trust))
        if as_json:
            click.echo(json.dumps(_facts(tried, files), indent=1))
        else:
            _show(tried, files)
        if tried.finished is None:
            click.echo(f"The block did not finish: {tried.ran.why}.", err=True)
            log = folder / "log"
            if log.is_file():
                click.echo(
                    shown(log.read_bytes()[-4_096:].decode("utf-8", "replace")).replace("\\x0a", "\n"),
                    err=True,
                )
            sys.exit(1)


def _kept(folder: Path) -> Path:
    if folder.exists() and any(folder.iterdir()):
        raise LocalProblem(f"{folder} is not empty", hint="Give a new folder to --keep.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _facts(tried: Tried, files: tuple[Path, ...]) -> dict[str, object]:
    import msgspec

    from server.hooks.authors import Compared

    results = tried.finished.result.files if tried.finished is not None else []
    return {
        "ended": tried.ran.ended.value,
        "why": tried.ran.why,
        "seconds": round(tried.ran.seconds, 3),
        "files": [
            {
                "file": str(files[result.source]),
                **msgspec.to_builtins(result),
                "changes": compared.changes,
                "same": compared.same,
            }
            for result in results
            for compared in [tried.compared.get(result.source) or Compared()]
        ],
    }


def _show(tried: Tried, files: tuple[Path, ...]) -> None:
    results = tried.finished.result.files if tried.finished is not None else []
    for result in results:
        click.echo(f"{shown(str(files[result.source]))}: {result.verdict.value}")
        for reason in result.reasons:
            click.echo(f"  because   {reason.code}: {shown(reason.text)}")
        for label in result.labels:
            why = f"  ({label.rule} from {label.source}, {label.confidence:.0%})" if label.source else ""
            click.echo(f"  label     {label.name} = {shown(label.value)}{why}")
        for output in result.outputs:
            place = "/".join(output.path) or output.file
            click.echo(f"  {output.kind.value:9} {shown(place)}")
        if (compared := tried.compared.get(result.source)) is not None:
            width = shutil.get_terminal_size((100, 24)).columns
            for line in lines_of(compared.changes, compared.same, width=width):
                click.echo(line)


block.add_command(new)
block.add_command(try_)


COMMANDS = (block,)
