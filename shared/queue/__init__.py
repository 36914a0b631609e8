"""The Celery app, its queues and doorbells, and the reaper that watches over queued jobs."""

from shared.queue.app import (
    PRIORITY_STEPS,
    QUEUES,
    TASK,
    app,
    broker_lists,
    build_queue,
    direct_queue,
    list_name,
    model_queue,
    send_doorbell,
    send_doorbells,
)

__all__ = [
    "PRIORITY_STEPS",
    "QUEUES",
    "TASK",
    "app",
    "broker_lists",
    "build_queue",
    "direct_queue",
    "list_name",
    "model_queue",
    "send_doorbell",
    "send_doorbells",
]
