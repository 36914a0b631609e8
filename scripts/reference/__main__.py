"""`make reference`: writes the generated pages of docs/."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from scripts.reference.commands import render_commands
from scripts.reference.configuration import render_configuration
from scripts.reference.errors_page import render_errors
from scripts.reference.http_api import render_http_api
from scripts.reference.modules import render_modules

DOCS = Path(__file__).resolve().parents[2] / "docs"

#: The function that renders each page, by its path under docs/.
PAGES: dict[str, Callable[[], str]] = {
    "reference/configuration.md": partial(render_configuration, "en"),
    "reference/errors.md": partial(render_errors, "en"),
    "reference/http-api.md": render_http_api,
    "reference/command-line.md": render_commands,
    "reference/modules.md": render_modules,
    "zh-CN/reference/configuration.md": partial(render_configuration, "zh"),
    "zh-CN/reference/errors.md": partial(render_errors, "zh"),
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
