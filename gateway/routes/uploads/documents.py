"""Uploading, reading and deleting documents that jobs name by id."""

from __future__ import annotations

import time
from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway.audit import note_made
from gateway.auth import current_party, current_tenant
from gateway.http import problems
from gateway.responses.after_change import after_change
from gateway.routes.refusals import SUBMIT_ERRORS, WRITE_ERRORS
from gateway.schemas.uploads.documents import DocumentPath, DocumentState, PagePath, PageQuery
from gateway.services import current_services
from gateway.submission.documents.page_costs import PageCost, page_costs
from gateway.submission.documents.upload import store_document
from shared import errors
from shared.documents.model import DocumentInfo, PageInfo
from shared.jobs.view import timestamp
from shared.store.uploads.document_store import DocumentHeader

documents = APIBlueprint("documents", __name__, abp_tags=[Tag(name="documents")])

_ERRORS = problems.documented(errors.NotFound, errors.StoreUnavailable)
_DELETE_ERRORS = problems.documented(errors.NotFound, *WRITE_ERRORS)
_PAGE_ERRORS = problems.documented(
    errors.NotFound,
    errors.BadParameters,
    errors.DocumentDamaged,
    errors.DocumentTooSlow,
    errors.DocumentTooComplex,
    errors.PageTooLarge,
    errors.StoreUnavailable,
    errors.Unavailable,
)


def _document_view(document: DocumentHeader) -> dict[str, Any]:
    info = document.info
    expires_ms = (int(time.time()) + document.expires_in_s) * 1000
    return {
        "id": document.id,
        "object": "document",
        "kind": info.kind.value,
        "bytes": document.sent_bytes,
        "sha256": document.id.removeprefix("doc_"),
        "title": info.title,
        "encrypted": info.encrypted,
        "warnings": list(document.notices),
        "expires_at": timestamp(expires_ms),
        "page_count": len(info.pages),
        "pages": _page_views(info),
    }


def _page_views(info: DocumentInfo) -> list[dict[str, Any]]:
    costs = page_costs(info, current_services(), current_tenant())
    return [_page_view(page, cost) for page, cost in zip(info.pages, costs, strict=True)]


def _page_view(page: PageInfo, cost: PageCost) -> dict[str, Any]:
    return {
        "number": page.number,
        "width": page.width,
        "height": page.height,
        "rotation": page.rotation,
        "text_characters": page.text_characters,
        "text_trusted": page.text_trusted,
        "text_doubt": page.text_doubt,
        "blank": page.blank,
        "tokens": cost.tokens,
        "predicted_s": cost.seconds,
    }


@documents.post(
    "/v1/documents", summary="Upload a document", responses={201: DocumentState, **SUBMIT_ERRORS}
)
def upload() -> tuple[dict[str, Any], int]:
    """Store a document once; later jobs can use its ID, and name the pages that they want."""
    document = store_document(request, current_services(), current_tenant())
    note_made(document.id)
    with after_change("The document was stored", document_id=document.id):
        return _document_view(document), 201


@documents.get(
    "/v1/documents/<document_id>",
    summary="Get a document",
    responses={200: DocumentState, **_ERRORS},
)
def read(path: DocumentPath) -> dict[str, Any]:
    """Return a document's pages: their sizes, text layers and visual tokens."""
    return _document_view(current_services().documents.header(current_tenant(), path.document_id))


@documents.get(
    "/v1/documents/<document_id>/pages/<int:page>/content",
    summary="Get the picture of a page",
    responses={200: None, **_PAGE_ERRORS},
)
def page_content(path: PagePath, query: PageQuery) -> Response:
    """Return a page as PNG; it is drawn for this request."""
    services, tenant = current_services(), current_tenant()
    header = services.documents.header(tenant, path.document_id)
    if path.page > len(header.info.pages):
        raise errors.NotFound(f"The document has {len(header.info.pages)} pages.")
    file = services.document_files.get(tenant, path.document_id)
    if file is None:
        raise errors.NotFound
    rendered = services.document_reader.render(
        file,
        path.page,
        query.dpi,
        query.max_pixels,
        turn=query.turn,
        tenant=current_party(),
    )
    return Response(rendered.png, mimetype="image/png")


@documents.delete(
    "/v1/documents/<document_id>",
    summary="Delete a document",
    responses={204: None, **_DELETE_ERRORS},
)
def forget(path: DocumentPath) -> tuple[str, int]:
    """Delete a document; an unfinished job that needs it leaves gaps, or fails."""
    current_services().documents.delete(current_tenant(), path.document_id)
    return "", 204
