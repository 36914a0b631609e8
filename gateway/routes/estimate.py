"""The price of a question before it is asked."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.routes.refusals import SUBMIT_ERRORS
from gateway.schemas.estimates import Estimate
from gateway.services import current_services
from gateway.submission import estimate as estimating

estimate = APIBlueprint("estimate", __name__, abp_tags=[Tag(name="jobs")])


@estimate.post(
    "/v1/estimate", summary="What would it cost?", responses={200: Estimate, **SUBMIT_ERRORS}
)
def ask() -> dict[str, Any]:
    """Return tokens, seconds and the wait of a job that is not submitted.

    Takes what `POST /v1/jobs` takes, or `width` and `height` alone; nothing is decoded or kept.
    """
    return estimating.estimate_request(request, current_services(), current_tenant())
