"""Uploading, reading and deleting images that jobs name by id."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway.admission.work import tile_tokens
from gateway.audit import note_made
from gateway.auth import current_tenant
from gateway.http import problems
from gateway.images.sizing import image_info
from gateway.responses.after_change import after_change
from gateway.routes.refusals import SUBMIT_ERRORS, WRITE_ERRORS
from gateway.schemas.uploads.images import ImagePath, ImageState, WarmQuery
from gateway.services import current_services
from gateway.submission.images import image_upload
from gateway.submission.images.tiling import tile_budget
from shared import errors
from shared.jobs import DETAIL_PIXELS, ImageInfo
from shared.prediction.cost_model import FleetSnapshot, Work
from shared.prediction.tile_plan import tiling_for
from shared.store.uploads.image_store import ImageHeader

images = APIBlueprint("images", __name__, abp_tags=[Tag(name="images")])

_ERRORS = problems.documented(errors.NotFound, errors.StoreUnavailable)
_DELETE_ERRORS = problems.documented(errors.NotFound, *WRITE_ERRORS)


def _image_view(image: ImageHeader) -> dict[str, Any]:
    services = current_services()
    outlook = services.admission.forecast(services.models.usual_route()).fleet
    pixels = tile_budget(DETAIL_PIXELS["auto"], outlook.workers)
    # as for a job without a preset
    tiling = tiling_for(image.width, image.height, pixels, task=None)
    info = image_info(image, pixels, outlook.workers, tiling)
    return (
        {"tiles": 1}
        | info.as_dict()
        | {
            "object": "image",
            "predicted_s": _encode_s(outlook, info),
            "format": image.format,
            "bytes": image.bytes,
            "warnings": list(image.notices),
            "expires_in_s": image.expires_in_s,
            "warm_job": None,
        }
    )


def _encode_s(fleet: FleetSnapshot, info: ImageInfo) -> float | None:
    stages = fleet.predict_idle(Work(images=tile_tokens([info]))).stages
    return None if stages is None else round(stages.encode_s, 3)


@images.post("/v1/images", summary="Upload an image", responses={201: ImageState, **SUBMIT_ERRORS})
def upload(query: WarmQuery) -> tuple[dict[str, Any], int]:
    """Store an image; later jobs can use its ID. `warm` encodes it in advance."""
    services, tenant = current_services(), current_tenant()
    route = services.models.find_route(query.model) if query.warm else None
    image = image_upload.store_upload(request, services, tenant)
    with after_change("The image was stored", image_id=image.id):
        view = _image_view(image)
        if route is not None:
            pixels = DETAIL_PIXELS[query.detail]
            job = image_upload.enqueue_encode(image, pixels, services, tenant, route)
            view["warm_job"] = job.doorbell.job_id
    note_made(image.id)
    return view, 201


@images.get("/v1/images/<image_id>", summary="Get an image", responses={200: ImageState, **_ERRORS})
def read(path: ImagePath) -> dict[str, Any]:
    """Return an image's size and visual tokens."""
    return _image_view(current_services().images.header(current_tenant(), path.image_id))


@images.get(
    "/v1/images/<image_id>/content",
    summary="Get an image's content",
    responses={200: None, **_ERRORS},
)
def content(path: ImagePath) -> Response:
    """Return the stored pixels as PNG: upright, RGB, without metadata."""
    png = current_services().images.pngs(current_tenant(), [path.image_id])[0]
    if png is None:
        raise errors.NotFound
    return Response(png, mimetype="image/png")


@images.delete(
    "/v1/images/<image_id>", summary="Delete an image", responses={204: None, **_DELETE_ERRORS}
)
def forget(path: ImagePath) -> tuple[str, int]:
    """Delete an image; an unfinished job that needs it will fail with `image_gone`."""
    current_services().images.delete(current_tenant(), path.image_id)
    return "", 204
