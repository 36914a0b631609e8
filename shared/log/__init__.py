"""Logging on stderr and in the log file; event names are `noun.verb`.

The log file always has one JSON object a line; stderr has short lines on a terminal.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.log import context
from shared.log.json_lines import JsonFormatter
from shared.log.text_lines import TextFormatter, worth_reading
from shared.settings import Settings

#: Libraries whose INFO lines repeat ours.
_NOISY = ("celery.worker.strategy", "celery.app.trace", "PIL", "urllib3", "httpx", "httpcore")


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Add fields to every line that this thread or greenlet logs inside the block."""
    token = context.add(fields)
    try:
        yield
    finally:
        context.reset(token)


def configure(settings: Settings) -> None:
    """Point the root logger at stderr and the log file; safe to call again."""
    handlers = [_terminal_handler(settings)]
    if settings.log_file is not None:
        handlers.append(_file_handler(settings.log_file))
    root = logging.getLogger()
    root.handlers = handlers
    root.setLevel(settings.log_level)
    if settings.log_level != "DEBUG":
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)


def _terminal_handler(settings: Settings) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    as_text = settings.log_format == "text" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    if as_text and settings.log_level != "DEBUG":
        handler.addFilter(worth_reading)
    return handler


def _file_handler(path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.WatchedFileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonFormatter())
    return handler
