"""A worker with a command that makes its consumer leave a queue, as a fault of Celery's might.

`celery -A tests.support.workers.forgetful_worker worker …`
"""

from __future__ import annotations

from typing import Any

from celery.worker.control import control_command

import worker.app  # noqa: F401
from shared.queue import app

__all__ = ["app"]


@control_command(  # type: ignore[untyped-decorator]
    name="forget_queue", args=[("queue", str)], signature="<queue>"
)
def forget_queue(state: Any, queue: str, **_: Any) -> dict[str, str]:
    """Stop reading a queue."""
    state.consumer.call_soon(state.consumer.cancel_task_queue, queue)
    return {"ok": queue}
