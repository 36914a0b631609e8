"""`make reference`: writes the generated pages of docs/."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from scripts.reference.failures import failures

from scripts.reference.commands import commands
from scripts.reference.configuration import configuration
from scripts.reference.http_api import http_api
from scripts.reference.modules import modules

DOCS = Path(__file__).resolve().parents[2] / "docs"

#: The function that renders each page, by its path under docs/.
PAGES: dict[str, Callable[[], str]] = {
    "reference/configuration.md": partial(configuration, "en"),
    "reference/errors.md": partial(failures, "en"),
    "reference/http-api.md": http_api,
    "reference/command-line.md": commands,
    "reference/modules.md": modules,
    "zh-CN/reference/configuration.md": partial(configuration, "zh"),
    "zh-CN/reference/errors.md": partial(failures, "zh"),
}


def main() -> None:
    """Write every page."""
    for name, render in PAGES.items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(), encoding="utf-8")
        print(path.relative_to(DOCS.parent))


if __name__ == "__main__":
    main()
