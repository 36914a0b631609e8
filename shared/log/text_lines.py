"""Log lines for people at a terminal: what happened, how long it took, what it cost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from shared.log import context

#: Loggers of libraries; a person at a terminal wants their warnings only.
_LIBRARIES = ("celery.", "kombu.", "gunicorn.")
#: INFO events that another line says again.
_REPEATED = frozenset(
    {
        *("job.started", "tile.finished", "client.gone", "doorbell.ignored"),
        *("kernels.compiling", "kernels.compiled", "reader.ready"),
    }
)
#: What lines of a process begin with that is starting; a terminal shows the latest one only.
STEP_MARK = "starting: "
_MARKS = {logging.WARNING: "warning: ", logging.ERROR: "ERROR: ", logging.CRITICAL: "ERROR: "}


def worth_reading(record: logging.LogRecord) -> bool:
    """Tell whether a person wants this record: no successful reads, no talk of libraries."""
    if record.levelno >= logging.WARNING:
        return True
    if record.name.startswith(_LIBRARIES) or record.msg in _REPEATED:
        return False
    return record.msg != "request.finished" or _is_notable(context.all_fields(record))


def _is_notable(request: Mapping[str, Any]) -> bool:
    return int(request.get("status", 0)) >= 400 or request.get("method") not in {"GET", "HEAD"}


class TextFormatter(logging.Formatter):
    """Formats a record as one short line, without the time when that is printed beside it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, followed by its traceback if it has one."""
        fields = context.all_fields(record)
        render = _EVENTS.get(record.getMessage())
        line = render(fields) if render else _render_any(record, fields)
        line = _MARKS.get(record.levelno, "") + line
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _render_any(record: logging.LogRecord, fields: Mapping[str, Any]) -> str:
    # a library's own sentence stays as it is
    event = record.getMessage()
    text = event if " " in event else event.replace(".", " ").replace("_", " ")
    details = ", ".join(f"{name} {value}" for name, value in fields.items() if value is not None)
    return f"{text}: {details}" if details else text


def _render_job(job: Mapping[str, Any]) -> str:
    seconds = sum(job.get(name) or 0.0 for name in ("encode_s", "prefill_s", "decode_s"))
    parts = [f"{job.get('status')} in {seconds:.1f} s"]
    if waited := job.get("queue_s"):
        parts.append(f"waited {waited:.1f} s")
    if tokens := job.get("completion_tokens"):
        parts.append(f"{job.get('prompt_tokens')} + {tokens} tokens")
    if code := job.get("code"):
        parts.append(str(code))
    return f"job {', '.join(parts)}: {job.get('job_id')}"


def _render_request(request: Mapping[str, Any]) -> str:
    route = request.get("route") or "unknown path"
    line = (
        f"{request.get('method')} {route} {request.get('status')} in {request.get('ms', 0):.0f} ms"
    )
    if code := request.get("code"):
        line += f", {code}: {request.get('cause')}"
    return line


def _render_worker(worker: Mapping[str, Any]) -> str:
    return (
        f"the model {worker.get('model')} is loaded: {worker.get('numerics')}"
        f" ({worker.get('numerics_reason')}), {worker.get('arithmetic')}"
    )


def _render_step(step: Mapping[str, Any]) -> str:
    parts = [str(step.get("step"))]
    if done := step.get("done"):
        parts.append(str(done))
    if seconds := step.get("seconds"):
        parts.append(f"{seconds} s")
    return STEP_MARK + ", ".join(parts)


def _render_gateway(gateway: Mapping[str, Any]) -> str:
    return f"the gateway listens on {gateway.get('bind')}"


_EVENTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "gateway.ready": _render_gateway,
    "job.finished": _render_job,
    "request.finished": _render_request,
    "start.step": _render_step,
    "worker.ready": _render_worker,
}
