"""OpenAI's files: the input of batches and images for questions, and what batches have written."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import ValidationError
from werkzeug.datastructures import FileStorage

from gateway.audit import note_made
from gateway.auth import current_tenant
from gateway.http import problems
from gateway.http.base_path import link_base
from gateway.http.problems import from_validation
from gateway.large_input import give_way
from gateway.responses.paging import page_view
from gateway.responses.views.batch import file_view
from gateway.routes.refusals import WRITE_ERRORS
from gateway.schemas.openai.batches import (
    ContentQuery,
    DeletedFile,
    FileForm,
    FileList,
    FileObject,
    FilePath,
    FilesQuery,
    LinkPath,
    LinkQuery,
)
from gateway.schemas.readings import FileLinkAnswer
from gateway.services import current_services
from gateway.submission.body import form_texts, is_form
from shared import errors

files = APIBlueprint("files", __name__, abp_tags=[Tag(name="openai")])

_READ = problems.documented(errors.NotFound, errors.BadParameters, errors.StoreUnavailable)
#: Bytes of a piece of a file without lines.
_PIECE_BYTES = 256 << 10
_MAX_NAME_CHARS = 255
#: Seconds for which a signed URL can be followed.
DOWNLOAD_S = 300


@files.post(
    "/v1/files",
    summary="Upload a file",
    responses={
        200: FileObject,
        **problems.documented(
            errors.BadParameters,
            errors.UnsupportedMediaType,
            errors.PayloadTooLarge,
            errors.Unavailable,
            *WRITE_ERRORS,
        ),
    },
)
def upload() -> dict[str, Any]:
    """Store the file of a form with its `purpose`."""
    services, tenant = current_services(), current_tenant()
    services.store_health.check(for_later=True)
    if not is_form(request):
        raise errors.UnsupportedMediaType(hint="Send a form with `file` and `purpose`.")
    file = _only_file()
    try:
        form = FileForm.model_validate(form_texts(request))
    except ValidationError as error:
        raise from_validation(error) from None
    data = file.stream.read()
    name = (file.filename or "file")[:_MAX_NAME_CHARS]
    pieces = _lines(data) if form.purpose == "batch" else _slices(data)
    ttl_s = form.ttl_s or services.settings.file_ttl_s
    stored = services.files.put(tenant, name, form.purpose, pieces, ttl_s)
    note_made(stored.id)
    return file_view(stored)


def _only_file() -> FileStorage:
    file = request.files.get("file")
    if file is None:
        raise errors.BadParameters("file: Field required.", pointer="/file")
    if len(list(request.files.items(multi=True))) > 1:
        raise errors.BadParameters("Send exactly one file in the field file.", pointer="/file")
    return file


def _lines(data: bytes) -> Iterator[bytes]:
    """Yield the lines with their ends; blank ones at the end of the file belong to the last."""
    stripped = data.rstrip()
    begin = 0
    while begin < len(data):
        give_way()
        end = data.find(b"\n", begin, len(stripped)) + 1 or len(data)
        yield data[begin:end]
        begin = end


def _slices(data: bytes) -> Iterator[bytes]:
    for begin in range(0, len(data), _PIECE_BYTES):
        yield data[begin : begin + _PIECE_BYTES]


@files.get("/v1/files", summary="List files", responses={200: FileList, **_READ})
def list_files(query: FilesQuery) -> dict[str, Any]:
    """Return a page of files."""
    files_of = current_services().files
    page, more = files_of.page(
        current_tenant(),
        query.limit,
        query.after,
        query.purpose,
        oldest_first=query.order == "asc",
    )
    return page_view([file_view(one) for one in page], more=more)


@files.get("/v1/files/<file_id>", summary="Get a file", responses={200: FileObject, **_READ})
def read(path: FilePath) -> dict[str, Any]:
    """Return the file without its content."""
    return file_view(current_services().files.get(current_tenant(), path.file_id))


@files.get("/v1/files/<file_id>/content", summary="Get a file's content", responses=_READ)
def content(path: FilePath, query: ContentQuery) -> Response:
    """Stream the content of a file, or with `direct` lead to the bucket that has it."""
    services, tenant = current_services(), current_tenant()
    if query.direct and services.blobs is not None and services.settings.blobs_direct:
        file = services.files.get(tenant, path.file_id)
        url = services.blobs.store.sign("GET", file.blob, DOWNLOAD_S) if file.blob else None
        if url is not None:
            return Response(status=302, headers={"Location": url, "Cache-Control": "no-store"})
    return _content(tenant, path.file_id)


def _content(tenant: str, file_id: str) -> Response:
    services = current_services()
    file = services.files.get(tenant, file_id)
    pieces = services.files.iter_pieces(tenant, file)
    # an error must come before the first byte
    first = list(islice(pieces, 1))
    response = Response(chain(first, pieces), mimetype="application/octet-stream")
    response.content_length = file.bytes
    return response


@files.get(
    "/v1/files/<file_id>/url",
    summary="Get a link to a file",
    responses={200: FileLinkAnswer, **_READ, **problems.documented(*WRITE_ERRORS)},
)
def make_link(path: FilePath, query: LinkQuery) -> dict[str, str]:
    """Return a URL that shows the file without an API key, for some hours, as Mistral does.

    This service takes it wherever it takes URLs of images and documents.
    """
    services = current_services()
    ttl_s = query.expiry * 3600
    link_id = services.files.make_link(current_tenant(), path.file_id, ttl_s)
    base = services.settings.public_url or request.host_url.rstrip("/") + link_base()
    return {"url": f"{base}/files/{link_id}"}


@files.get("/files/<link_id>", summary="Follow a link to a file", responses=_READ)
def follow_link(path: LinkPath) -> Response:
    """Stream the content of the file that a link opens."""
    tenant, file_id = current_services().files.open_link(path.link_id)
    response = _content(tenant, file_id)
    response.headers["Content-Disposition"] = "attachment"
    response.headers["Cache-Control"] = "no-store"
    return response


@files.delete(
    "/v1/files/<file_id>",
    summary="Delete a file",
    responses={200: DeletedFile, **_READ, **problems.documented(*WRITE_ERRORS)},
)
def delete(path: FilePath) -> dict[str, Any]:
    """Delete a file; a batch that reads it fails."""
    current_services().files.delete(current_tenant(), path.file_id)
    return {"id": path.file_id, "object": "file", "deleted": True}
