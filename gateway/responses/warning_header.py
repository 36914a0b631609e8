"""The header that names what was ignored or changed of a request, for answers of others' forms."""

from __future__ import annotations

from flask import Response

from shared.jobs.row import JobRow

HEADER = "X-Sightline-Warnings"


def add_warnings(response: Response, row: JobRow) -> None:
    """Name the codes of a job's warnings that are known when its answer begins."""
    if row.notices:
        response.headers[HEADER] = ", ".join(dict.fromkeys(str(n["code"]) for n in row.notices))
