"""Whether the service lives, is ready, how full it is and what it accepts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from gateway import auth
from gateway.http import problems
from gateway.images.formats import accepted_formats
from gateway.schemas.jobs import Ok, QueueView, WorkerState
from gateway.schemas.limits import Limits
from gateway.services import current_services
from gateway.submission.request import MAX_DEADLINE_S, MAX_METADATA_BYTES
from shared import errors
from shared.jobs import DETAIL_PIXELS, MAX_NEW_TOKENS
from shared.prediction.heartbeat import Heartbeat
from shared.queue import QUEUES
from shared.store.api_key_store import Caller

health = APIBlueprint("health", __name__, abp_tags=[Tag(name="service")])

#: As the operator names them, by the names of Limits.
_LIMIT_NAMES = {
    "requests": "requests_per_minute",
    "tokens": "tokens_per_minute",
    "in_flight": "in_flight",
    "queued": "queued",
}
_STORE = problems.documented(errors.StoreUnavailable)


@health.get("/healthz", summary="Is this process alive?", responses={200: Ok})
def healthz() -> dict[str, str]:
    """Answer without asking anybody else."""
    return {"status": "ok"}


@health.get(
    "/readyz",
    summary="Can a question be answered now?",
    responses={200: Ok, **problems.documented(errors.StoreUnavailable, errors.NoWorkers)},
)
def readyz() -> dict[str, str]:
    """Answer 200 when Redis answers and a worker with a loaded model beats."""
    if not any(not worker.draining for worker in current_services().workers.fresh()):
        raise errors.NoWorkers(retry_after_s=5)
    return {"status": "ready"}


@health.get("/v1/queue", summary="How full is it?", responses={200: QueueView, **_STORE})
def queue() -> dict[str, Any]:
    """Return the depth of each queue, the oldest wait and the workers that are up."""
    services = current_services()
    state = services.store.load()
    return {
        "queues": [{"name": name, "depth": state.depths[name]} for name in QUEUES],
        "queued": sum(state.depths.values()),
        "running": state.running,
        "oldest_wait_s": state.oldest_wait_s,
        "workers": [_worker_view(worker) for worker in services.workers.fresh()],
    }


def _worker_view(worker: Heartbeat) -> dict[str, Any]:
    """Return what callers may know of a worker: not where it runs."""
    return {name: getattr(worker, name) for name in WorkerState.model_fields}


def _key_view(caller: Caller) -> dict[str, Any]:
    """Return the limits of who asks."""
    limits, used = asdict(caller.limits), asdict(caller.used)
    return {
        "name": caller.name or None,
        "limits": {
            _LIMIT_NAMES[name]: {"limit": limit or None, "used": used[name]}
            for name, limit in limits.items()
        },
        "reset_s": round(caller.reset_s, 1),
    }


@health.get("/v1/limits", summary="What is accepted?", responses={200: Limits})
def limits() -> Response:
    """Return every bound that a request is held to."""
    settings = current_services().settings
    return jsonify(
        {
            "image": {
                "formats": list(accepted_formats()),
                "max_bytes": settings.upload_max_bytes,
                "max_pixels": settings.image_max_pixels,
                "max_pixels_baseline_jpeg": settings.image_max_pixels_jpeg,
                "max_side": settings.image_max_side,
                "max_aspect": settings.image_max_aspect,
                "kept_pixels": settings.image_kept_pixels,
                "long_pixels": settings.image_long_pixels,
                "detail_pixels": DETAIL_PIXELS,
                "ttl_s": settings.image_ttl_s,
                "decode_timeout_s": settings.decoder_timeout_s,
            },
            "request": {
                "max_bytes": settings.request_max_bytes,
                "max_images": settings.images_per_request,
                "max_prompt_chars": settings.prompt_max_chars,
                "max_wait_s": settings.max_wait_s,
                "max_metadata_bytes": MAX_METADATA_BYTES,
                "headers_timeout_s": settings.headers_timeout_s,
                "body_grace_s": settings.body_grace_s,
                "body_min_bytes_s": settings.body_min_bytes_s,
            },
            "job": {
                "ttl_s": settings.job_ttl_s,
                "max_ttl_s": settings.job_ttl_max_s,
                "max_deadline_s": MAX_DEADLINE_S,
                "max_new_tokens": MAX_NEW_TOKENS,
                "timeout_s": settings.job_timeout_s,
                "max_attempts": settings.max_attempts,
            },
            "queue": {
                "max_wait_s": settings.queue_max_wait_s,
                "max_jobs": settings.queue_max_jobs,
            },
            "key": _key_view(auth.current_caller()),
        }
    )
