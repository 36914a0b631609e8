"""`make check`: rejects names that say nothing about their value.

A local that is called `told` or `found` holds JSON in one function and a list of headers in the
next. Name what the value is: `payload`, `headers`, `match`, `services`, `tenant`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: With or without a leading underscore.
BANNED = frozenset({"told", "found", "who"})


def bound_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each name that the code binds, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno
            case ast.MatchMapping(rest=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name, node.lineno


def errors_in(file: Path) -> list[str]:
    """Return a line for each banned name that a Python file binds."""
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    return [
        f"{file.relative_to(ROOT)}:{line}: `{name}` does not say what it holds"
        for name, line in bound_names(tree)
        if name.lstrip("_") in BANNED
    ]


def main() -> None:
    """Check every Python file that git tracks, and exit with 1 if one binds a banned name."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = [ROOT / name for name in listed.split()]
    lines = [line for file in files if file.exists() for line in errors_in(file)]
    sys.exit("\n".join(sorted(lines)) or 0)


if __name__ == "__main__":
    main()
