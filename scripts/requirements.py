"""Prints what pyproject.toml depends on: `python scripts/requirements.py [EXTRA,…]`.

The image installs packages in a layer of their own, before any code is copied: a line of code that
changes does not install them again. Needs no package.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def list_requirements(extras: Iterable[str], pyproject: Path = PYPROJECT) -> list[str]:
    """Return the requirements with these extras, and what builds the package itself.

    Raises ValueError for an extra that does not exist.
    """
    document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    optional = document["project"]["optional-dependencies"]
    extras = list(extras)
    if unknown := [extra for extra in extras if extra not in optional]:
        raise ValueError(f"no extra {', '.join(unknown)}; there are {', '.join(optional)}")
    chosen = [requirement for extra in extras for requirement in optional[extra]]
    return [*document["build-system"]["requires"], *document["project"]["dependencies"], *chosen]


def main() -> None:
    """Print the requirements, a line each."""
    extras = [extra for word in sys.argv[1:] for extra in word.split(",") if extra]
    try:
        print("\n".join(list_requirements(extras)))
    except ValueError as error:
        sys.exit(f"requirements: {error}")


if __name__ == "__main__":
    main()
