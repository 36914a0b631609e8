"""Stores an image that is uploaded by itself, and enqueues a job that encodes it ahead."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import Request
from pydantic import ValidationError

from gateway import auth
from gateway.http.problems import from_validation
from gateway.images import uploads
from gateway.images.sizing import image_info
from gateway.responses.after_change import after_change
from gateway.schemas.uploads.images import FileClaim, ImageUpload
from gateway.services import Services
from gateway.submission.body import form_texts, is_json, parse_json_object
from gateway.submission.enqueue import enqueue_job, trace_context
from gateway.submission.images.request_images import RequestImages, timed_decode
from gateway.submission.images.tiling import tile_budget
from shared.errors import BadParameters, UnsupportedMediaType
from shared.jobs import JobInput
from shared.jobs.image import StoredImage
from shared.jobs.parameters.route import Route
from shared.prediction.tile_plan import tiling_for
from shared.store import NewJob, StoredJob
from shared.store.uploads.image_store import ImageHeader

M = TypeVar("M", bound=FileClaim)


def store_upload(request: Request, services: Services, tenant: str) -> ImageHeader:
    """Store the one image of a request; raises a ServiceError of any kind."""
    services.store_health.check(for_later=True)
    request_images = RequestImages.start(services, tenant, timed_decode(services))
    image = request_images.decode_upload(_read_upload(request, request_images), "/image")
    services.images.put(tenant, image, uploaded=True)
    with after_change("The image was stored", image_id=image.id):
        return services.images.header(tenant, image.id)


def enqueue_encode(
    image: ImageHeader, max_pixels: int, services: Services, tenant: str, route: Route
) -> StoredJob:
    """Enqueue a job that only encodes an image, for later questions; raises as submit_request."""
    services.admission.check_open(tenant, auth.current_position())
    workers = services.admission.forecast(route).fleet.workers
    pixels = tile_budget(max_pixels, workers)
    # as for a question without a preset
    tiling = tiling_for(image.width, image.height, pixels, task=None)
    return enqueue_job(
        NewJob(
            tenant=tenant,
            input=JobInput(
                prompt="",
                images=(image.id,),
                max_pixels=max_pixels,
                encode_only=True,
                tiling=tiling,
            ),
            ttl_s=services.settings.job_ttl_s,
            images=[image_info(image, max_pixels, workers, tiling)],
            route=route,
            trace=trace_context(),
        ),
        services,
    )


def _read_upload(request: Request, request_images: RequestImages[StoredImage]) -> uploads.Upload:
    if request.mimetype == "multipart/form-data":
        files = [*request.files.getlist("image"), *request.files.getlist("file")]
        if len(files) != 1 or len(request.files) != 1:
            raise BadParameters("Send exactly one file in the field image.", pointer="/image")
        claim = _validate(FileClaim, form_texts(request))
        settings = request_images.services.settings
        upload = uploads.read_file(files[0], pointer="/image", settings=settings)
    elif is_json(request):
        body = claim = _validate(ImageUpload, parse_json_object(request))
        upload = request_images.load_upload(body.image, "/image")
    else:
        raise UnsupportedMediaType
    uploads.UploadChecksum(claim.sha256, claim.file_bytes).check(upload, "/image")
    return upload


def _validate(model: type[M], fields: dict[str, Any]) -> M:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise from_validation(error) from None
