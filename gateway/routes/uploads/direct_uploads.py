"""Uploads past the gateway: a signed URL of the bucket, and an id that stands for what it took."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from gateway.audit import note_made
from gateway.auth import current_tenant
from gateway.http import problems
from gateway.images.uploads import max_file_bytes
from gateway.routes.refusals import WRITE_ERRORS
from gateway.schemas.uploads.direct_uploads import DirectUploadView
from gateway.services import current_services
from shared import errors
from shared.store.uploads.direct_uploads import UPLOAD_S, URL_S

direct_uploads = APIBlueprint("direct_uploads", __name__, abp_tags=[Tag(name="images")])


@direct_uploads.post(
    "/v1/direct-uploads",
    summary="Begin a direct upload",
    responses={
        201: DirectUploadView,
        **problems.documented(errors.NotFound, errors.BlobsUnavailable, *WRITE_ERRORS),
    },
)
def begin() -> tuple[dict[str, Any], int]:
    """Return a URL that takes a picture or document by PUT, and the id that stands for it.

    The id is taken wherever ids and URLs of pictures and documents are; what was sent is looked at
    then, as any upload is.
    """
    services = current_services()
    services.store_health.check(for_later=True)
    if services.direct_uploads is None:
        raise errors.NotFound(
            "This service takes no direct uploads.",
            hint="Send the bytes with the request; the operator can set SIGHTLINE_BLOBS_DIRECT.",
        )
    upload = services.direct_uploads.begin(current_tenant())
    note_made(upload.id)
    return {
        "id": upload.id,
        "method": "PUT",
        "url": upload.url,
        "url_expires_in_s": URL_S,
        "expires_in_s": UPLOAD_S,
        "max_bytes": max_file_bytes(services.settings),
    }, 201
