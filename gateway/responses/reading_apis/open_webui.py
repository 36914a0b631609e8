"""A job that has read a file as Open WebUI's loader takes it: texts with what is known of them."""

from __future__ import annotations

from typing import Any

from gateway.responses.reading_apis.pages import ReadPage, read_pages
from shared.jobs.row import JobRow


def loaded_view(row: JobRow) -> list[dict[str, Any]]:
    """Return a text for each page."""
    return [_page_view(page, row) for page in read_pages(row)]


def _page_view(page: ReadPage, row: JobRow) -> dict[str, Any]:
    document = row.input.document
    # stores of vectors take plain values and no null
    metadata = {
        "page": page.number - 1,
        "page_label": page.number,
        "total_pages": document.page_count if document else 1,
        "file_name": _file_name(row),
        "processing_engine": "sightline",
        "model": row.model,
        "job_id": row.id,
        "warnings": ", ".join(dict.fromkeys(notice["code"] for notice in row.notices)),
    }
    return {
        "page_content": page.text,
        "metadata": {name: value for name, value in metadata.items() if value not in (None, "")},
    }


def _file_name(row: JobRow) -> str | None:
    document = row.input.document
    names = [document.name if document else None, *(image.get("name") for image in row.images)]
    return next((name for name in names if name), None)
