"""A result as plain text or Markdown: what was read, word for word, its pages told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Between pages of plain text, as pdftotext writes it.
_FORM_FEED = "\f"


def write_text(output: Mapping[str, Any]) -> str:
    """Return the text; a form feed ends each page but the last."""
    pages = output.get("pages")
    if not pages:
        return str(output["text"])
    return _FORM_FEED.join(f"{page.get('text') or ''}\n" for page in pages)


def write_markdown(output: Mapping[str, Any]) -> str:
    """Return the text; a comment with its number precedes each page."""
    pages = output.get("pages")
    if not pages:
        return str(output["text"])
    return "\n".join(
        f"<!-- page {page['page']} -->\n\n{page.get('text') or ''}\n" for page in pages
    )
