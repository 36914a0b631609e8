"""The parser that says in two lines what is wrong with a command line, and the numbers it takes."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

#: The exit status of a wrong command line.
_USAGE_STATUS = 2


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors name the way to the help, and leave out the list of all options."""

    def error(self, message: str) -> NoReturn:
        """Print the fault and leave with status 2."""
        print(f"{self.prog}: {message}\n  Try `{self.prog} --help`.", file=sys.stderr)
        sys.exit(_USAGE_STATUS)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the namespace and no words that are left: the command itself refuses those."""
        known, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return known, left


def positive_number(text: str) -> int:
    """Return a whole number from 1; raises ArgumentTypeError."""
    return _whole_number(text, 1, None)


def port_number(text: str) -> int:
    """Return the number of a port, 0 for any free one; raises ArgumentTypeError."""
    return _whole_number(text, 0, 65_535)


def _whole_number(text: str, least: int, most: int | None) -> int:
    span = f"from {least}" if most is None else f"from {least} to {most}"
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least or (most is not None and number > most):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number {span}")
    return number
