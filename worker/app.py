"""The worker's Celery app: `celery -A worker.app worker -P threads -c N -Q high,default,low`."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

from celery import signals
from celery.exceptions import SecurityWarning
from celery.worker.control import control_command

from shared import log
from shared.queue import TASK, app, build_queue, direct_queue, model_queue
from shared.queue.celery_control import cancel
from shared.settings import Settings
from worker.consumers import QueueWatch
from worker.service import WorkerService
from worker.start_report import StartReport

_log = logging.getLogger(__name__)
_service: WorkerService | None = None
# messages are JSON, which a superuser may read as safely as anybody
warnings.filterwarnings("ignore", category=SecurityWarning)


@app.task(name=TASK, send_events=False)
def answer(job_id: str, *, only: bool = False) -> str | None:
    """Answer the job whose turn it is, or `only` this one; nothing if it no longer waits.

    Returns the id of the job that was run, which Flower shows beside that of the doorbell. Raises
    RuntimeError in a process that is no started worker.
    """
    if _service is None:
        raise RuntimeError("this process is not a started worker")
    if _service.drained:
        _service.pass_on(job_id)
        return None
    ran = _service.runner.run(job_id, only=only)
    if ran != job_id:
        _service.show_if_canceled(job_id)
    return ran


@control_command(name="revoke", variadic="task_id", signature="[job1 [job2 [... [jobN]]]]")
def revoke(state: Any, task_id: str | list[str], **_: Any) -> dict[str, str]:  # noqa: ARG001
    """Cancel jobs, as `celery control revoke` and Flower ask for it."""
    cancel(app.control.store, task_id)
    return {"ok": "canceled"}


@control_command(name="cancel_consumer", args=[("queue", str)], signature="<queue>")
def cancel_consumer(state: Any, queue: str, **_: Any) -> dict[str, str]:  # noqa: ARG001
    """Refuse to leave a queue: the jobs whose doorbells wait in it would starve."""
    _log.warning("control.refused", extra={"cause": "cancel_consumer", "queue": queue})
    return {"error": f"{queue}: a worker leaves its queues only by stopping, or when it is drained"}


@control_command(
    name="rate_limit",
    args=[("task_name", str), ("rate_limit", str)],
    signature="<task_name> <rate_limit>",
)
def rate_limit(state: Any, task_name: str, rate_limit: str, **_: Any) -> dict[str, str]:  # noqa: ARG001
    """Refuse to hold doorbells back: their jobs would starve; API keys have limits instead."""
    _log.warning("control.refused", extra={"cause": "rate_limit"})
    return {"error": f"{task_name} has no rate; limit the API keys instead"}


def _event_dispatcher(worker: Any) -> Any:
    """Return what sends Celery's events over the present connection; None before it has one."""
    return getattr(getattr(worker, "consumer", None), "event_dispatcher", None)


@signals.setup_logging.connect
def _configure_logs(**_: Any) -> None:
    log.configure(Settings())


@signals.celeryd_after_setup.connect
def _listen_to_own_queue(sender: str, instance: Any, **_: Any) -> None:
    """Listen to what is for this worker alone, and for its model.

    The former are follow-up questions whose keys and values it still has.
    """
    own = [direct_queue(sender), *map(model_queue, _service.pools if _service else ())]
    for name in own:
        instance.app.amqp.queues.select_add(build_queue(name))


@signals.worker_init.connect
def _load(sender: Any, **_: Any) -> None:
    """Load the model before the worker takes any message."""
    global _service  # noqa: PLW0603
    settings = Settings()
    # Celery asks for it after this, and loading a model has much to say
    log.configure(settings)
    if settings.generic:
        # whatever -c says: jobs that only wait in this worker could run in another
        sender.concurrency = settings.jobs_at_once
    try:
        with StartReport(settings, sender.hostname):
            _service = WorkerService(
                settings,
                sender.hostname,
                QueueWatch(sender),
                lambda: _event_dispatcher(sender),
            )
    except Exception as error:  # noqa: BLE001
        # without a model there is nothing to serve: one line, and a traceback only at DEBUG
        _log.debug("worker.cannot_start", exc_info=True)
        _log.critical("worker.cannot_start", extra={"cause": str(error), "model": settings.model})
        sys.exit(f"sightline worker cannot start: {error}")


@signals.worker_ready.connect
def _start(**_: Any) -> None:
    if _service is not None:
        _service.start()


@signals.worker_shutting_down.connect
def _leave(**_: Any) -> None:
    if _service is not None:
        _service.leave()


@signals.worker_shutdown.connect
def _stop(**_: Any) -> None:
    if _service is not None:
        _service.stop()
