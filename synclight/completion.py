"""`mb-synclight completion`: what makes a shell complete our few commands.

Owns: the texts for each shell.  May import: the standard library.
"""

from __future__ import annotations

from collections.abc import Iterable

SHELLS = ("bash", "zsh", "fish")

_BASH = """\
_mb_synclight() {
    local word=${COMP_WORDS[COMP_CWORD]}
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "OPTIONS" -- "$word"))
    elif ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "COMMANDS" -- "$word"))
    fi
}
complete -o default -F _mb_synclight mb-synclight
"""
_ZSH = """\
#compdef mb-synclight
_mb_synclight() {
    if [[ $words[CURRENT] == -* ]]; then
        compadd -- OPTIONS
    elif ((CURRENT == 2)); then
        compadd -- COMMANDS
        _files
    else
        _files
    fi
}
compdef _mb_synclight mb-synclight
"""
_FISH = "complete -c mb-synclight -n __fish_use_subcommand -a 'COMMANDS'\n"


def script(shell: str, commands: Iterable[str], options: Iterable[str]) -> str:
    """shell: one of SHELLS.  options: of all commands, as they are typed."""
    options = sorted(options)
    if shell == "fish":
        lines = [
            f"complete -c mb-synclight -l {one.removeprefix('--')}\n"
            for one in options
            if one.startswith("--")
        ]
        return _FISH.replace("COMMANDS", " ".join(commands)) + "".join(lines)
    text = _BASH if shell == "bash" else _ZSH
    return text.replace("COMMANDS", " ".join(commands)).replace("OPTIONS", " ".join(options))
