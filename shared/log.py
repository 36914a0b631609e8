"""Logging: one JSON object a line on stderr and in the log file; event names are `noun.verb`."""

from __future__ import annotations

import contextvars
import json
import logging
import logging.handlers
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from shared.settings import Settings

_bound: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar(
    "bound", default=MappingProxyType({})
)
_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: Libraries whose INFO lines repeat ours.
_NOISY = ("celery.worker.strategy", "celery.app.trace", "PIL", "urllib3", "httpx", "httpcore")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line; its `extra` fields become members."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **_bound.get(),
        }
        line |= {k: v for k, v in vars(record).items() if k not in _PLAIN and k != "data"}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Add fields to every line that this thread or greenlet logs inside the block."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def configure(settings: Settings) -> None:
    """Point the root logger at stderr and the log file; safe to call again."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if settings.log_file is not None:
        settings.log_file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.handlers.WatchedFileHandler(settings.log_file, encoding="utf-8"))
    formatter = JsonFormatter()
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(formatter)
    root.handlers = handlers
    root.setLevel(settings.log_level)
    if settings.log_level != "DEBUG":
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)
