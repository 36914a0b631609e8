"""The command line page, from the parsers of `sightline` and `sightline-admin`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from gateway.admin import build_parser as admin_parser
from scripts.reference.markdown import code, page, table
from sightline.cli.parser import EPILOG
from sightline.cli.parser import build_parser as client_parser

_HEAD = """# Command line

Every command and option of `sightline` and `sightline-admin`, generated from their parsers by
`make reference`. With examples: [the client](../client.md#command-line),
[keys and limits](../keys-and-limits.md)."""


def render_commands() -> str:
    """Return the page."""
    client = client_parser()
    epilog = " ".join(EPILOG.split())
    parts = [_HEAD, "## sightline", epilog[0].upper() + epilog[1:], *_arguments(client, {"-h"})]
    common = {option for action in client._actions for option in action.option_strings}  # noqa: SLF001
    for words, parser in _commands(client, "sightline"):
        parts += [f"### {words}", parser.description or "", *_arguments(parser, common)]
    parts.append("## sightline-admin")
    for words, parser in _commands(admin_parser(), "sightline-admin"):
        parts += [f"### {words}", parser.description or "", *_arguments(parser, {"-h"})]
    return page(*parts)


def _commands(
    parser: argparse.ArgumentParser, words: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command that has no subcommands, with all its words."""
    for action in parser._actions:  # noqa: SLF001
        if not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        for name, below in action.choices.items():
            inner = list(_commands(below, f"{words} {name}"))
            yield from inner or [(f"{words} {name}", below)]


def _arguments(parser: argparse.ArgumentParser, known: set[str]) -> list[str]:
    rows = [_row(action) for action in parser._actions if _shown(action, known)]  # noqa: SLF001
    return [table(["argument", "values", "meaning"], rows)] if rows else []


def _shown(action: argparse.Action, known: set[str]) -> bool:
    hidden = action.help == argparse.SUPPRESS or known & set(action.option_strings)
    return not hidden and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001


def _row(action: argparse.Action) -> list[str]:
    if action.option_strings:
        argument = ", ".join(map(code, action.option_strings))
        argument += ", required" if action.required else ""
        named = _several(action, str(action.metavar or "")) if action.nargs != 0 else ""
    else:
        argument = code(_several(action, str(action.metavar or action.dest)))
        named = ""
    choices = ", ".join(code(choice) for choice in action.choices or ())
    values = choices if choices and action.option_strings else named and code(named)
    return [argument, values, action.help or ""]


def _several(action: argparse.Action, name: str) -> str:
    if action.nargs == "+" and "…" not in name:
        return f"{name} …"
    return f"[{name}]" if action.nargs == "?" else name
