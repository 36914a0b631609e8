"""Predicting what a job would cost, without submitting it."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.routes.refusals import SUBMIT_ERRORS
from gateway.schemas.jobs.estimates import Estimate
from gateway.services import current_services
from gateway.submission.planning.estimate import estimate_request

estimate = APIBlueprint("estimate", __name__, abp_tags=[Tag(name="jobs")])


@estimate.post("/v1/estimate", summary="Estimate a job", responses={200: Estimate, **SUBMIT_ERRORS})
def ask() -> dict[str, Any]:
    """Return tokens, seconds and queue wait of a job without submitting it.

    Accepts the body of `POST /v1/jobs`, or just `width` and `height`; stores nothing.
    """
    return estimate_request(request, current_services(), current_tenant())
