"""Shell completion: scripts that ask the command itself which words fit."""

from __future__ import annotations

import argparse
from contextlib import suppress

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
#: Seconds that a person who presses the tab key will wait.
_ANSWER_S = 1.0
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def complete(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Print a shell's script, or the words of `parser` that fit after those typed so far."""
    if args.shell != "words":
        print(SCRIPTS[args.shell], end="")
        return
    words: list[str] = args.words[1:] if args.words[:1] == ["--"] else args.words
    print("\n".join(fitting_words(parser, words)))


def fitting_words(parser: argparse.ArgumentParser, words: list[str]) -> list[str]:
    """Return the completions of the last word, which may be empty."""
    *before, last = words or [""]
    for word in before:
        parser = _commands(parser).get(word, parser)
    option = _option(parser, before[-1]) if before else None
    if option is not None and option.dest == "preset":
        candidates = _preset_names()
    elif option is not None and option.nargs != 0:
        candidates = [str(choice) for choice in option.choices or ()]
    elif last.startswith("-"):
        candidates = [name for action in parser._actions for name in action.option_strings]  # noqa: SLF001
    else:
        candidates = [*_commands(parser), *_choices(parser)]
    return sorted(word for word in candidates if word.startswith(last))


def _preset_names() -> list[str]:
    """Return the names of the service's presets; none if it does not answer soon."""
    from sightline.client import Client
    from sightline.errors import SightlineError

    with suppress(SightlineError, ValueError), Client(timeout=_ANSWER_S, retries=0) as client:
        return [preset["name"] for preset in client.presets()]
    return []


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
