"""The operator's files in TOML or JSON: read, validated, and refused in one line with the cause."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.errors import BadConfig
from shared.json_members import join_members

M = TypeVar("M", bound=BaseModel)


def read_config_file(path: Path, variable: str, model: type[M]) -> M:
    """Return the contents of the file that the setting `variable` names; raises BadConfig."""
    where = f"{variable}={path}"
    data = _parse(path, where)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        cause = " ".join(first["msg"].removeprefix("Value error, ").split())
        raise BadConfig(f"{where}: {_place(first['loc'], data)}: {cause}") from None


def _parse(path: Path, where: str) -> Any:
    try:
        # Windows' editors write a byte order mark
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise BadConfig(f"{where}: cannot be read: {cause}") from None
    try:
        if path.suffix == ".json":
            return json.loads(text, object_pairs_hook=join_members)
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise BadConfig(f"{where}: not valid {kind}: {' '.join(str(error).split())}") from None


def _place(loc: tuple[int | str, ...], data: Any) -> str:
    """Return where in the file an error is: `rules 2 (order_no), pattern`."""
    if len(loc) < 2 or not isinstance(loc[1], int):
        return ".".join(map(str, loc)) or "file"
    entry = data[loc[0]][loc[1]]
    name = entry.get("name") if isinstance(entry, dict) else None
    named = f" ({name})" if isinstance(name, str) else ""
    member = "".join(f", {part}" for part in loc[2:])
    return f"{loc[0]} {loc[1] + 1}{named}{member}"
