"""Stores a document that is uploaded by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from flask import Request
from pydantic import SecretStr, ValidationError

from gateway.http.problems import from_validation
from gateway.images import uploads
from gateway.images.uploads import Upload, UploadChecksum
from gateway.responses.after_change import after_change
from gateway.schemas.uploads.documents import DocumentForm, DocumentUpload
from gateway.schemas.uploads.images import FileClaim
from gateway.services import Services
from gateway.submission.body import form_texts, is_json, parse_json_object
from gateway.submission.documents.intake import DocumentIntake
from gateway.submission.images.request_images import RequestImages, timed_decode
from shared.errors import BadParameters, UnsupportedMediaType
from shared.store.uploads.document_store import DocumentHeader

M = TypeVar("M", bound=FileClaim)

_POINTER = "/document"
_FILE_FIELDS = ("document", "file", "image")


def store_document(request: Request, services: Services, tenant: str) -> DocumentHeader:
    """Store the one document of a request; raises a ServiceError of any kind."""
    services.store_health.check(for_later=True)
    upload, password = _read_upload(request, services, tenant)
    document = DocumentIntake(services, tenant, password, asks_pages=True).open(upload, _POINTER)
    if document.sent is not None:
        services.documents.put(tenant, document.sent, uploaded=True)
    with after_change("The document was stored", document_id=document.id):
        return services.documents.header(tenant, document.id)


def _read_upload(
    request: Request, services: Services, tenant: str
) -> tuple[Upload, SecretStr | None]:
    if request.mimetype == "multipart/form-data":
        files = [file for name in _FILE_FIELDS for file in request.files.getlist(name)]
        if len(files) != 1 or len(request.files) != 1:
            raise BadParameters("Send exactly one file in the field document.", pointer=_POINTER)
        form = _validate(DocumentForm, form_texts(request))
        upload = uploads.read_file(files[0], pointer=_POINTER, settings=services.settings)
        _check(form, upload)
        return upload, form.password
    if not is_json(request):
        raise UnsupportedMediaType
    body = _validate(DocumentUpload, parse_json_object(request))
    images = RequestImages.start(services, tenant, timed_decode(services))
    upload = images.load_upload(body.document, _POINTER)
    _check(body, upload)
    return upload, body.password


def _check(claim: FileClaim, upload: Upload) -> None:
    UploadChecksum(claim.sha256, claim.file_bytes).check(upload, _POINTER)


def _validate(model: type[M], fields: Mapping[str, object]) -> M:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise from_validation(error) from None
