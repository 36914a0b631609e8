"""Images that come by themselves: kept under the name of their pixels, and encoded ahead."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import Request
from pydantic import ValidationError

from gateway import auth
from gateway.http.problems import from_validation
from gateway.images import uploads
from gateway.images.sizing import image_info
from gateway.schemas.jobs import FileClaim, ImageUpload
from gateway.services import Services
from gateway.submission.images import RequestImages
from gateway.submission.request import is_json, json_object
from gateway.submission.submit import add, trace
from gateway.submission.tiling import budget
from shared.errors import BadParameters, UnsupportedMediaType
from shared.jobs import JobInput
from shared.prediction.tile_plan import tiling_for
from shared.store import NewJob, StoredJob
from shared.store.image_store import ImageHeader

M = TypeVar("M", bound=FileClaim)


def store_upload(request: Request, services: Services, tenant: str) -> ImageHeader:
    """Store the one image of a request by itself; raises a ServiceError of any kind."""
    services.store_health.check(for_later=True)
    looking = RequestImages.begin(services, tenant)
    image = looking.decoded(_single_upload(request, looking), "/image")
    services.images.put(tenant, image, uploaded=True)
    return services.images.header(tenant, image.id)


def enqueue_encode(
    image: ImageHeader, max_pixels: int, services: Services, tenant: str
) -> StoredJob:
    """Enqueue a job that only encodes an image, so that a question finds its features."""
    services.admission.check_open(tenant, auth.queue_position())
    workers = services.admission.forecast().fleet.workers
    pixels = budget(max_pixels, workers)
    # as a question without a preset would look at it
    tiling = tiling_for(image.width, image.height, pixels, task=None)
    return add(
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
            model=workers[0].model if workers else "",
            trace=trace(),
        ),
        services,
    )


def _single_upload(request: Request, looking: RequestImages) -> uploads.Upload:
    if request.mimetype == "multipart/form-data":
        files = [*request.files.getlist("image"), *request.files.getlist("file")]
        if len(files) != 1 or len(request.files) != 1:
            raise BadParameters("Send exactly one file in the field image.", pointer="/image")
        told = _told(FileClaim, request.form.to_dict())
        settings = looking.services.settings
        upload = uploads.from_file(files[0], pointer="/image", settings=settings)
    elif is_json(request):
        body = told = _told(ImageUpload, json_object(request))
        upload = looking.uploaded(body.image, "/image")
    else:
        raise UnsupportedMediaType
    uploads.UploadChecksum(told.sha256, told.file_bytes).check(upload, "/image")
    return upload


def _told(shape: type[M], fields: dict[str, Any]) -> M:
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        raise from_validation(error) from None
