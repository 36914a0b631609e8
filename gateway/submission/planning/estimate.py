"""POST /v1/estimate: what a job would cost and when it would be done, without storing it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Self

from flask import Request
from pydantic import Field
from pydantic import model_validator as check

from gateway import auth
from gateway.admission.admission import JobProfile
from gateway.http.problems import retry_after
from gateway.services import Services
from gateway.submission.content import ContentReader, RequestContent
from gateway.submission.documents.intake import DocumentIntake
from gateway.submission.documents.plan import plan_content
from gateway.submission.fields.submission import Submission
from gateway.submission.images.request_images import RequestImages
from gateway.submission.images.tiling import keeps_detail
from gateway.submission.planning.job_profile import profile_request
from gateway.submission.planning.reader import choose_reader
from gateway.submission.request import ReceivedRequest, receive_request
from gateway.submission.resolve import resolve
from shared.catalog.presets import Preset
from shared.errors import Unavailable
from shared.jobs import ImageInfo
from shared.jobs.view import document_view
from shared.prediction.cost_model import Prediction
from shared.store.fleet.forecasts import Forecast

#: Stands for a prompt that is not known yet.
_ANY_PROMPT = "?"


class EstimateRequest(Submission):
    """The body of POST /v1/estimate: a submission, or just the size of an image."""

    prompt: str | None = Field(None, min_length=1, description="Optional.")
    width: int | None = Field(None, ge=1, description="Width of an image that is not sent.")
    height: int | None = Field(None, ge=1, description="Height of an image that is not sent.")

    @check(mode="after")
    def _size_is_whole(self) -> Self:
        if (self.width is None) != (self.height is None):
            raise ValueError("set both width and height")
        return self


def estimate_request(request: Request, services: Services, tenant: str) -> dict[str, Any]:
    """Return what a request would cost; raises what it would be refused with for its input.

    A refusal for want of room is part of the answer.
    """
    received = receive_request(request, services.settings, EstimateRequest)
    most_tokens = services.settings.answer_max_tokens
    submission = with_prompt(received.submission, services.presets)
    resolved = resolve(submission, services.presets, services.rules, most_tokens)
    route = services.models.route_of(received.submission)
    reader = choose_reader(resolved, services.admission.forecast(route).fleet.workers)
    profile = profile_request(resolved, tenant, reader, auth.current_position(), route)
    content = _measure_content(received, keeps_detail(resolved), services, tenant)
    plan = plan_content(resolved, profile, content, services.admission)
    forecast, prediction = plan.forecast, plan.prediction
    return {
        "object": "estimate",
        "model": route.model,
        "images": [_image_view(info) for info in ([] if plan.document else plan.infos)],
        "document": document_view(plan.document),
        "model_pages": len(plan.infos) if plan.document else 0,
        "image_tokens": sum(info.tokens for info in plan.infos),
        "expected_tokens": round(forecast.answer_tokens(profile.kind, profile.max_new_tokens)),
        "tiles": sum(info.tiles for info in plan.infos),
        "seconds": _seconds(forecast, prediction),
        "queue": {"position": prediction.position, "wait_s": _rounded(prediction.wait_s)},
        "warnings": plan.notices,
        **_verdict(profile, prediction, services),
    }


def with_prompt(submission: EstimateRequest, presets: Mapping[str, Preset]) -> EstimateRequest:
    """Return a submission that has a prompt where its job would need one."""
    preset = presets.get(submission.preset or "")
    if submission.prompt is not None or (preset and "prompt" not in preset.needs):
        return submission
    return submission.model_copy(update={"prompt": _ANY_PROMPT})


def _measure_content(
    received: ReceivedRequest[EstimateRequest], detailed: bool, services: Services, tenant: str
) -> RequestContent:
    submission = received.submission
    checksums = submission.checksums(len(received.files))
    measure = functools.partial(
        services.decoder.measure, detailed=detailed, tenant=auth.current_party()
    )
    reader = ContentReader(
        RequestImages.start(services, tenant, measure, checksums),
        DocumentIntake.of(services, tenant, submission),
    )
    content = reader.read_all(received)
    if content.document or not (submission.width and submission.height):
        return content
    sized = services.decoder.measure_size(submission.width, submission.height, detailed=detailed)
    return RequestContent([*content.images, sized])


def _image_view(info: ImageInfo) -> dict[str, Any]:
    return {name: value for name, value in info.as_dict().items() if name != "id" or value}


def _seconds(forecast: Forecast, prediction: Prediction) -> dict[str, float] | None:
    total_s, stages = prediction.total_s, prediction.stages
    if total_s is None or stages is None:
        return None
    return {
        "p50": round(total_s, 3),
        "p95": round(total_s * forecast.tail, 3),
        "prepare": round(stages.prepare_s, 3),
        "encode": round(stages.encode_s, 3),
        "prefill": round(stages.prefill_s, 3),
        "decode": round(stages.decode_s, 3),
        "read": round(stages.read_s, 3),
    }


def _verdict(profile: JobProfile, prediction: Prediction, services: Services) -> dict[str, Any]:
    try:
        services.admission.check(profile, prediction)
    except Unavailable as error:
        seconds = int(retry_after(error.retry_after_s))
        refusal = {"code": error.code, "detail": error.detail, "retry_after_s": seconds}
        return {"admitted": False, "refusal": refusal}
    return {"admitted": True, "refusal": None}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
