"""The Celery app, whose messages only wake a worker: the job's row says what there is to do."""

from shared.queue.app import (
    PRIORITY_STEPS,
    QUEUES,
    TASK,
    app,
    broker_lists,
    declared,
    direct_queue,
    list_name,
    ring,
    send,
)

__all__ = [
    "PRIORITY_STEPS",
    "QUEUES",
    "TASK",
    "app",
    "broker_lists",
    "declared",
    "direct_queue",
    "list_name",
    "ring",
    "send",
]
