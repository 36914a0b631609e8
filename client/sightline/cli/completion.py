"""Completion in shells: they ask the command itself which words fit."""

from __future__ import annotations

import argparse

_BASH = """_sightline() {
    local IFS=$'\\n'
    COMPREPLY=($(sightline completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _sightline sightline
"""
_ZSH = """#compdef sightline
_sightline() {
    local -a found
    found=(${(f)"$(sightline completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then compadd -a found; else _files; fi
}
compdef _sightline sightline
"""
_FISH = """complete -c sightline -a '(sightline completion words -- (commandline -opc)[2..] \
(commandline -ct) 2>/dev/null)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def complete(args: argparse.Namespace) -> None:
    """Print a shell's script, or the words that fit after those given."""
    if args.shell != "words":
        print(SCRIPTS[args.shell], end="")
        return
    from sightline.cli.parser import build_parser

    words: list[str] = args.words[1:] if args.words[:1] == ["--"] else args.words
    print("\n".join(fitting(build_parser(), words)))


def fitting(parser: argparse.ArgumentParser, words: list[str]) -> list[str]:
    """Return what the last word, which may be empty, can become."""
    *before, last = words or [""]
    for word in before:
        parser = _commands(parser).get(word, parser)
    waiting = _option(parser, before[-1]) if before else None
    if waiting is not None and waiting.nargs != 0:
        found = [str(choice) for choice in waiting.choices or ()]
    elif last.startswith("-"):
        found = [name for action in parser._actions for name in action.option_strings]  # noqa: SLF001
    else:
        found = [*_commands(parser), *_choices(parser)]
    return sorted(word for word in found if word.startswith(last))


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _choices(parser: argparse.ArgumentParser) -> list[str]:
    return [
        str(choice)
        for action in parser._actions  # noqa: SLF001
        if not action.option_strings
        and action.choices
        and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        for choice in action.choices
    ]


def _option(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    return next(
        (action for action in parser._actions if word in action.option_strings),  # noqa: SLF001
        None,
    )
