"""The configuration page in both languages: every setting, from its declaration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scripts.reference.markdown import code, page, table
from shared.config_check import variable_names
from shared.settings import BUNDLED_MODEL, Settings

_HOME = Path(__file__).parent
#: The unit of a setting is that of the last pattern that matches its name.
_UNITS = {
    "en": [
        (r"_s$", "s"),
        (r"_bytes$", "bytes"),
        (r"_bytes_s$", "bytes/s"),
        (r"pixels|_side$", "pixels"),
        (r"_chars$", "characters"),
        (r"_per_minute$", "a minute"),
        (r"fullness$", "share"),
        (r"^threads$", "cores"),
        (r"^slots$", "jobs"),
    ],
    "zh": [
        (r"_s$", "秒"),
        (r"_bytes$", "字节"),
        (r"_bytes_s$", "字节/秒"),
        (r"pixels|_side$", "像素"),
        (r"_chars$", "字符"),
        (r"_per_minute$", "每分钟"),
        (r"fullness$", "比例"),
        (r"^threads$", "核"),
        (r"^slots$", "任务"),
    ],
}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def render_configuration(language: Literal["en", "zh"]) -> str:
    """Return the page in one language."""
    words = _words(language)
    parts = [words["head"]]
    for title, fields in _sections(words["sections"]):
        rows = [_row(field, Settings.model_fields[field], language, words) for field in fields]
        parts += [f"## {title}", table(words["columns"], rows)]
    others = [[code(name), *cells] for name, cells in words["others"].items()]
    parts += [f"## {words['others_title']}", table(words["others_columns"], others)]
    return page(*parts)


def _words(language: str) -> dict[str, Any]:
    text = (_HOME / f"configuration.{language}.json").read_text(encoding="utf-8")
    words: dict[str, Any] = json.loads(text)
    return words


def _sections(begins: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Yield title and fields of each section; `begins` names the first field of each."""
    fields = list(Settings.model_fields)
    starts = [fields.index(name) for name in begins]
    for title, start, end in zip(begins.values(), starts, [*starts[1:], len(fields)], strict=True):
        yield title, fields[start:end]


def _row(field: str, info: FieldInfo, language: str, words: dict[str, Any]) -> list[str]:
    meanings = words.get("meanings", {})
    meaning = meanings[field] if meanings else info.description or ""
    names = "<br>".join(code(name) for name in variable_names(field, info))
    return [names, _default(field, info, words), _bounds(info), _unit(field, language), meaning]


def _default(field: str, info: FieldInfo, words: dict[str, Any]) -> str:
    value = info.default
    if info.default_factory is not None or value == BUNDLED_MODEL:
        return str(words["defaults"][field])
    if value is None or value in ("", PydanticUndefined):
        return str(words["unset"])
    if isinstance(value, bool):
        return code(int(value))
    if isinstance(value, tuple):
        return code(json.dumps([int(part) for part in value]))
    return code(f"{value:g}" if isinstance(value, float) else value) + _readable(field, value)


def _readable(field: str, value: Any) -> str:
    """Return a large number of bytes in MiB or GiB, else nothing."""
    if not field.endswith("_bytes") or value < 1 << 20:
        return ""
    step, unit = (1 << 30, "GiB") if value >= 1 << 30 else (1 << 20, "MiB")
    return f" ({value / step:g} {unit})"


def _bounds(info: FieldInfo) -> str:
    if get_origin(info.annotation) is Literal:
        return ", ".join(code(choice) for choice in get_args(info.annotation))
    if info.annotation in (bool, bool | None):
        return "`0`, `1`"
    bounds = []
    for bound in info.metadata:
        for name, sign in _SIGNS.items():
            if (value := getattr(bound, name, None)) is not None:
                bounds.append(f"{sign} {value:,}")
        if (least := getattr(bound, "min_length", None)) is not None:
            bounds.append(f"{least}…")
    return ", ".join(bounds)


def _unit(field: str, language: str) -> str:
    return next((unit for form, unit in reversed(_UNITS[language]) if re.search(form, field)), "")
