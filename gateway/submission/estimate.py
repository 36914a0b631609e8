"""What a job would cost and when it would be done, without doing any of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from flask import Request
from pydantic import Field
from pydantic import model_validator as check

from gateway import auth
from gateway.admission.admission import JobProfile
from gateway.http.problems import retry_after
from gateway.images.sizing import check_fit, image_info, notices
from gateway.services import Services
from gateway.submission.images import MeasuredImages
from gateway.submission.job_profile import profile_request
from gateway.submission.request import Submission, receive
from gateway.submission.resolve import resolve
from gateway.submission.submit import all_images
from gateway.submission.tiling import keeps_detail, tiling_of
from shared.errors import Unavailable
from shared.prediction.cost_model import Prediction
from shared.store.forecasts import Forecast


class EstimateRequest(Submission):
    """The body of POST /v1/estimate: a submission, or the mere size of an image."""

    prompt: str | None = Field("?", min_length=1, description="May be left out.")
    width: int | None = Field(None, ge=1, description="Pixels of an image that is not sent.")
    height: int | None = Field(None, ge=1, description="Pixels of an image that is not sent.")

    @check(mode="after")
    def _size_is_whole(self) -> Self:
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height belong together")
        return self


def estimate(request: Request, services: Services, tenant: str) -> dict[str, Any]:
    """Return what a request would cost; raises what it would be refused with for its input.

    A refusal for want of room is part of the answer.
    """
    received = receive(request, services.settings, EstimateRequest)
    supposed = received.submission
    asked = resolve(supposed, services.presets, services.rules)
    detailed = keeps_detail(supposed, asked)
    claims = supposed.claims(len(received.files))
    looking = MeasuredImages.begin(services, tenant, detailed=detailed, claims=claims)
    images = all_images(received, looking)
    if supposed.width and supposed.height:
        images.append(services.decoder.sized(supposed.width, supposed.height, detailed=detailed))
    forecast = services.admission.forecast()
    workers = forecast.fleet.workers
    tiling = tiling_of(supposed, asked, images, workers)
    pixels = tiling.budget if tiling else supposed.pixel_budget()
    infos = [image_info(image, pixels, workers, tiling) for image in images]
    if tiling is None:
        check_fit(infos, workers)
    asking = profile_request(supposed, asked, tenant, auth.queue_position())
    predicted = services.admission.predict(forecast, asking, infos)
    return {
        "object": "estimate",
        "images": [_shown(info) for info in infos],
        "image_tokens": sum(info["tokens"] for info in infos),
        "expected_tokens": round(forecast.answer_tokens(asking.kind, asking.max_new_tokens)),
        "tiles": sum(info.get("tiles", 1) for info in infos),
        "seconds": _seconds(forecast, predicted),
        "queue": {"position": predicted.position, "wait_s": _rounded(predicted.wait_s)},
        "warnings": notices(images, infos),
        **_verdict(asking, predicted, services),
    }


def _shown(info: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in info.items() if name != "id" or value}


def _seconds(forecast: Forecast, predicted: Prediction) -> dict[str, float] | None:
    total_s, stages = predicted.total_s, predicted.stages
    if total_s is None or stages is None:
        return None
    return {
        "p50": round(total_s, 3),
        "p95": round(total_s * forecast.tail, 3),
        "prepare": round(stages.prepare_s, 3),
        "encode": round(stages.encode_s, 3),
        "prefill": round(stages.prefill_s, 3),
        "decode": round(stages.decode_s, 3),
    }


def _verdict(asking: JobProfile, predicted: Prediction, services: Services) -> dict[str, Any]:
    try:
        services.admission.check(asking, predicted)
    except Unavailable as error:
        seconds = int(retry_after(error.retry_after_s))
        why = {"code": error.code, "detail": error.detail, "retry_after_s": seconds}
        return {"admitted": False, "refusal": why}
    return {"admitted": True, "refusal": None}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
