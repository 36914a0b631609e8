"""What SIGHTLINE_MODEL names: a folder, a model of the Hugging Face hub, or one of ModelScope."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

Source = Literal["folder", "huggingface", "modelscope"]

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
_PREFIXES: dict[str, Source] = {
    "modelscope": "modelscope",
    "ms": "modelscope",
    "huggingface": "huggingface",
    "hf": "huggingface",
}
_FORMS = (
    "a folder, file:///..., OWNER/NAME of the Hugging Face hub, or modelscope:OWNER/NAME are known"
)
#: A folder of huggingface_hub's cache, whose own name is only a hash.
_CACHED = re.compile(r"models--([^/]+?)--([^/]+)/snapshots/[^/]+/?$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is."""

    source: Source
    #: OWNER/NAME, or the folder's path.
    name: str

    @property
    def folder(self) -> Path:
        """The folder, of a place that is one."""
        return Path(self.name)

    @property
    def title(self) -> str:
        """What the model is called where nothing else names it."""
        if self.source != "folder":
            return self.name
        path = str(self.folder.resolve())
        cached = _CACHED.search(path)
        return "/".join(cached.groups()) if cached else Path(path).name

    def __str__(self) -> str:
        """Return what people recognise, which `find_place` reads again."""
        return f"modelscope:{self.name}" if self.source == "modelscope" else self.name


def find_place(model: str) -> Place:
    """Return where a model is, by its name; raises ValueError for a name that says nothing.

    OWNER/NAME is a folder where there is one, else a model of the hub.
    """
    scheme, colon, rest = model.partition(":")
    if colon and scheme.lower() == "file":
        return Place("folder", str(_read_file_url(model)))
    if colon and re.fullmatch(r"https?", scheme):
        raise ValueError(f"{model} is an address of a page; {_FORMS}")
    if colon and (source := _PREFIXES.get(scheme.lower())):
        name = rest.removeprefix("//")
        if not HUB_ID.fullmatch(name):
            raise ValueError(f"{model}: {name!r} is not OWNER/NAME; {_FORMS}")
        return Place(source, name)
    folder = Path(model).expanduser()
    if HUB_ID.fullmatch(model) and not folder.exists():
        return Place("huggingface", model)
    return Place("folder", str(folder))


def _read_file_url(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ValueError(f"{url} names no folder of this machine, as file:///models/qwen does")
    return Path(unquote(parts.path))
