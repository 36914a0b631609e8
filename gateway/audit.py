"""The audit log: who submitted, read, changed and erased what, as JSON lines without content.

A line is written when an answer begins. Lines of several processes never mix: each is one short
write at the end of the file, which is opened anew so that it can be rotated at any time.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from typing import Any

from flask import Request, Response, g

from gateway.key_scopes import is_discovery, is_operations
from shared.errors import BadConfig
from shared.excerpt import excerpt
from shared.jobs.view import timestamp
from shared.settings import Settings
from shared.store.access.api_key_types import ANONYMOUS

_log = logging.getLogger(__name__)

#: Stands for the standard output in the place of a file.
_STDOUT = "-"
_REFUSED = (401, 403, 421, 429)
_EVENTS = {"PUT": "changed", "PATCH": "changed", "DELETE": "erased"}
#: What a POST to the end of a path does, where it submits nothing.
_ACTIONS = {
    "cancel": "canceled",
    "retry": "retried",
    "retry-failed": "retried",
    "review": "reviewed",
    "replay": "replayed",
    "rotate": "rotated",
    "drain": "drained",
    "resume": "resumed",
    "test": "sent",
}
#: A PUT that changes nothing that was there.
_SUBMITTED_BY_PUT = ("/process",)
#: A POST that submits nothing and whose path ends in a name.
_DESCRIBES = re.compile(r"/v1/conversations/[^/]+")


class AuditLog:
    """Appends lines to a file or to the standard output, or nowhere where none is set."""

    def __init__(self, target: str | None) -> None:
        self._target = target

    @classmethod
    def open(cls, settings: Settings) -> AuditLog:
        """Return the log of the settings; raises BadConfig where it cannot be written."""
        log = cls(settings.audit_log)
        try:
            log._append(b"")
        except OSError as error:
            raise BadConfig(
                f"SIGHTLINE_AUDIT_LOG={settings.audit_log} cannot be written: {error.strerror}."
            ) from error
        return log

    def note(self, event: str, **fields: Any) -> None:
        """Append a line; where that fails, the log of the process says so."""
        if not self._target:
            return
        line = {"time": timestamp(round(time.time() * 1000)), "event": event, **fields}
        try:
            self._append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            _log.error("audit.failed", extra={"cause": error.strerror, "event_lost": event})

    def _append(self, line: bytes) -> None:
        if self._target == _STDOUT:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        elif self._target:
            descriptor = os.open(self._target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)


def describe_request(request: Request, response: Response) -> dict[str, Any] | None:
    """Return the fields of a request's line; None for what tells nothing of anybody's work."""
    if request.method == "OPTIONS" or is_discovery(request.path):
        return None
    # the operations page asks every few seconds, and sees nobody's content
    looks_on = is_operations(request.path) and request.method in ("GET", "HEAD")
    if looks_on and response.status_code not in _REFUSED:
        return None
    caller = g.get("caller")
    place = response.headers.get("Location") or response.headers.get("Content-Location") or ""
    made = place.rpartition("/")[2] if request.method == "POST" and place else g.get("made", "")
    return {
        "event": _event(request, response.status_code),
        "key": (caller.name or ANONYMOUS) if caller else None,
        "tenant": caller.tenant if caller else None,
        "address": request.remote_addr,
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else None,
        **{name: excerpt(str(value)) for name, value in (request.view_args or {}).items()},
        **g.get("audited", {}),
        **({"made": made} if made else {}),
        "status": response.status_code,
        "request_id": g.request_id,
    }


def _event(request: Request, status: int) -> str:
    if status in _REFUSED:
        return "refused"
    if request.method == "PUT" and request.path in _SUBMITTED_BY_PUT:
        return "submitted"
    if request.method != "POST":
        return _EVENTS.get(request.method, "read")
    if _DESCRIBES.fullmatch(request.path):
        return "changed"
    return _ACTIONS.get(request.path.rpartition("/")[2], "submitted")


def note_made(name: str) -> None:
    """Name what this request has made, where its answer has no header that does."""
    g.made = name
