"""The fields that every log line of this thread or greenlet has."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_bound: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar(
    "bound", default=MappingProxyType({})
)
_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "data"}


def add(fields: Mapping[str, Any]) -> contextvars.Token[Mapping[str, Any]]:
    """Add fields to the lines that follow; the token takes them away again."""
    return _bound.set({**_bound.get(), **fields})


def reset(token: contextvars.Token[Mapping[str, Any]]) -> None:
    """Take fields away that `add` has added."""
    _bound.reset(token)


def all_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record: those of its thread, then its own `extra`."""
    return {**_bound.get()} | {k: v for k, v in vars(record).items() if k not in _PLAIN}
