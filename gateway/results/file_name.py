"""The name under which a result is saved, and the header that carries it."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

#: Signs that file systems or headers give a meaning to.
_UNFIT = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|\ud800-\udfff]')
_MAX_CHARS = 120
#: RFC 5987's attr-char beside letters and digits.
_PLAIN = "!#$&+-.^_`|~"


def clean_name(name: str | None, most: int = 200) -> str | None:
    """Return the last part of a file name that a sender gave, fit to show; None if nothing is."""
    last = re.split(r"[/\\]", name or "")[-1]
    visible = "".join(char for char in last if unicodedata.category(char)[0] != "C")
    shortened = _shorten(_UNFIT.sub("", visible).strip(), most)
    return shortened if shortened.strip(". ") else None


def _shorten(name: str, most: int) -> str:
    suffix = PurePosixPath(name).suffix if name else ""
    if len(name) <= most or len(suffix) >= most:
        return name[:most]
    return name[: most - len(suffix)] + suffix


def stem_of(name: str) -> str:
    """Return a file name without its ending."""
    stem = PurePosixPath(name).stem
    return stem[:_MAX_CHARS].strip(". ") or "result"


def content_disposition(name: str, *, is_file: bool) -> str:
    """Return the header for a file name: in ASCII, and by RFC 5987 where that loses anything."""
    kind = "attachment" if is_file else "inline"
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'["\\%]', "_", ascii_name)
    if plain.startswith(".") or not plain:
        plain = "result" + plain
    header = f'{kind}; filename="{plain}"'
    if plain == name:
        return header
    return f"{header}; filename*=UTF-8''{quote(name, safe=_PLAIN, errors='ignore')}"
