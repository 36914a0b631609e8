"""The Celery app: its configuration, its queues, and the sending of doorbells.

A message is a doorbell: it carries a job id and nothing else. In a shared queue it wakes a worker,
and the store says whose turn it is; its job id is that of the job that it was sent for. In a
worker's own queue it means this very job.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from celery import Celery
from kombu import Exchange
from kombu import Queue as KombuQueue

from shared.jobs import Priority
from shared.queue.broker import broker_address, broker_options
from shared.settings import Settings
from shared.store import Doorbell
from shared.store.keys import MODEL_QUEUE

TASK = "sightline.answer"
QUEUES = tuple(priority.value for priority in Priority)
PRIORITY_STEPS = list(range(10))
#: What kombu puts between a queue's name and a priority in the name of a Redis list.
_SEPARATOR = "\x06\x16"

_DIRECT = "worker."
#: The queue of a worker that is away this long expires; the reconciler uses a shared one then.
_DIRECT_EXPIRES_S = 600

_log = logging.getLogger(__name__)


def direct_queue(node: str) -> str:
    """Return the name of the queue that only this worker consumes."""
    return _DIRECT + node


def model_queue(pool: str) -> str:
    """Return the name of the queue that only workers with this model consume."""
    return MODEL_QUEUE + pool


def build_queue(name: str) -> KombuQueue:
    """Return a queue with the options that every process declares it with."""
    expires = _DIRECT_EXPIRES_S if name.startswith(_DIRECT) else None
    return KombuQueue(name, Exchange(name), routing_key=name, expires=expires)


def broker_lists(queues: Sequence[str] = QUEUES) -> list[str]:
    """Return the names of all Redis lists that the broker keeps for these queues."""
    return [list_name(queue, step) for queue in queues for step in PRIORITY_STEPS]


def list_name(queue: str, priority: int) -> str:
    """Return the name of the Redis list in which messages of this priority wait."""
    return f"{queue}{_SEPARATOR}{priority}" if priority else queue


def _configuration() -> dict[str, Any]:
    settings = Settings()
    return {
        **broker_address(settings.redis_url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # a Redis that refuses to write (full disk or memory, replica) will take it up again
        "broker_channel_error_retry": True,
        "broker_transport_options": {
            # a message is only a doorbell: the reconciler sends a lost one again long before this
            "visibility_timeout": 43_200,
            "socket_timeout": settings.redis_timeout_s,
            "socket_connect_timeout": 1,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "priority_steps": PRIORITY_STEPS,
            "queue_order_strategy": "priority",
            **broker_options(settings.redis_url),
        },
        "task_queues": [build_queue(name) for name in QUEUES],
        "task_default_queue": Priority.DEFAULT.value,
        "task_default_priority": 5,
        # the lease guards a job; a message held until its end makes kombu restore it when Redis
        # comes back, where it can fail and end the worker
        "task_acks_late": False,
        # it keeps nothing; Celery's own for Redis makes a publish block for 19 s while that is away
        "result_backend": "shared.queue.celery_control:JobBackend",
        "task_ignore_result": True,
        "task_publish_retry_policy": {
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.2,
        },
        "task_send_sent_event": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "worker_consumer": "worker.lasting_consumer:LastingConsumer",
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_send_task_events": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_proc_alive_timeout": 600,
    }


app = Celery("sightline", control="shared.queue.celery_control:JobControl")
# a callable, so that importing this module reads no settings
app.add_defaults(_configuration)


def send_doorbells(doorbells: Iterable[Doorbell]) -> None:
    """Wake a worker for each doorbell; the reconciler sends again what fails now."""
    for doorbell in doorbells:
        try:
            send_doorbell(doorbell)
        except Exception as error:  # noqa: BLE001
            # a channel that kombu closes meanwhile ends in an AttributeError; whatever it was, the
            # row is stored, and its submitter must be told so
            _log.warning("doorbell.failed", extra={"job_id": doorbell.job_id, "cause": repr(error)})


def send_doorbell(doorbell: Doorbell, connection: Any = None) -> KombuQueue:
    """Send a doorbell through Celery, over its own connection by default; return its queue.

    Raises what Celery and kombu raise without a broker.
    """
    queue = build_queue(doorbell.queue)
    app.send_task(
        TASK,
        args=[doorbell.job_id],
        argsrepr=doorbell.label,
        task_id=doorbell.job_id,
        kwargs={"only": True} if doorbell.queue.startswith(_DIRECT) else {},
        queue=queue,
        connection=connection,
    )
    return queue
