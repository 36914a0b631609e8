"""The module map: what each file of the service and its client owns, by folder."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from scripts.reference.markdown import cell, page, table

ROOT = Path(__file__).resolve().parents[2]

_HEAD = """# Modules

What each file owns, from the first line of its docstring or comment; `make reference` writes this
page. How the parts work together: [architecture](../architecture.md)."""
_PACKAGES = ("gateway", "shared", "worker", "client/sightline")
#: What begins a comment, by the file's suffix.
_COMMENTS = {".lua": "--", ".js": "//", ".h": "//", ".cpp": "//"}


def render_modules() -> str:
    """Return the page."""
    folders = [folder for package in _PACKAGES for folder in _folders(ROOT / package)]
    return page(_HEAD, *(part for folder in folders for part in _section(folder)))


def purpose(file: Path) -> str:
    """Return what a file says that it owns, "" if it says nothing."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return _first_sentence(text, _COMMENTS[file.suffix])


def files(folder: Path) -> list[Path]:
    """Return the files of a folder that the map lists."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.name != "__init__.py" and file.suffix in {".py", *_COMMENTS}
    )


def _folders(package: Path) -> Iterator[Path]:
    """Yield a package and all folders below it that hold files of the map."""
    for folder in [package, *sorted(path for path in package.rglob("*") if path.is_dir())]:
        if folder.name != "__pycache__" and files(folder):
            yield folder


def _section(folder: Path) -> Iterator[str]:
    name = folder.relative_to(ROOT).as_posix()
    yield f"## {name}/"
    init = folder / "__init__.py"
    if init.exists():
        yield purpose(init)
    rows = [[_link(file), _escaped(purpose(file))] for file in files(folder)]
    yield table(["file", "what it owns"], rows)


def _link(file: Path) -> str:
    return f"[`{file.name}`](../../{file.relative_to(ROOT).as_posix()})"


def _escaped(text: str) -> str:
    return cell(text).replace("<", "&lt;").replace("\\|", "|")


def _first_sentence(text: str, mark: str) -> str:
    """Return the first sentence of the comment that a text begins with."""
    lines = []
    for line in text.splitlines():
        if not line.startswith(mark):
            break
        lines.append(line.removeprefix(mark).strip())
    return re.split(r"(?<=\.) ", " ".join(lines), maxsplit=1)[0]
