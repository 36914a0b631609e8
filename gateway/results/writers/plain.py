"""A result as plain text or Markdown: what was read, word for word, its pages told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Between pages of plain text, as pdftotext writes it.
_FORM_FEED = "\f"


def write_text(output: Mapping[str, Any]) -> str:
    """Return the text; a form feed ends each page or image but the last."""
    parts = output.get("pages") or output.get("images")
    if not parts:
        return str(output["text"])
    return _FORM_FEED.join(f"{part.get('text') or ''}\n" for part in parts)


def write_markdown(output: Mapping[str, Any]) -> str:
    """Return the text; a comment with its number precedes each page or image."""
    named = [(f"page {page['page']}", page) for page in output.get("pages") or ()]
    named = named or [(f"image {one['image'] + 1}", one) for one in output.get("images") or ()]
    if not named:
        return str(output["text"])
    return "\n".join(f"<!-- {name} -->\n\n{part.get('text') or ''}\n" for name, part in named)
