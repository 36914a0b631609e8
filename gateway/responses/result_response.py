"""The result of an ended job as an HTTP response, in the form that its caller asks for."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request

from gateway.responses.scan_order import can_be_drawn, has_places, order_scan
from gateway.results.contents.blocks import DoesNotFit
from gateway.results.contents.object_table import with_object_table
from gateway.results.file_name import content_disposition, stem_of
from gateway.results.forms import ResultForm, choose_form
from gateway.results.frames import RenderOrder
from gateway.results.scans.frames import ScanOrder
from gateway.results.scans.sheets import ScanForm
from gateway.results.words import Language
from gateway.results.writers.plain import write_markdown, write_text
from gateway.reviews.checked_places import mark_checked
from gateway.reviews.correcting import CorrectedOutput, Side, correct_output
from gateway.schemas.jobs.queries import OverlayQuery
from gateway.services import Services
from shared.errors import BadParameters, NoPlaces, NotAcceptable, ResultTooLarge
from shared.jobs import TilingTask
from shared.jobs.row import JobRow
from shared.jobs.view import correction_view

#: Markup that our own page would refuse as well: nothing is loaded and nothing runs.
_HTML_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
_SVG_POLICY = "default-src 'none'; img-src data:; frame-ancestors 'self'; sandbox"


def result_response(
    row: JobRow, services: Services, named: str | None, *, corrected: bool = False
) -> Response:
    """Return the output of a job that has one; raises NotAcceptable and ResultTooLarge.

    `corrected`: with what reviewers have corrected. A PDF or hOCR: NoPlaces, ImageNotFound and
    DocumentNotFound as well.
    """
    form = ResultForm(named) if named else _accepted_form(row)
    corrections = row.review.corrections
    shown = correct_output(row.output or {}, corrections) if corrected and corrections else None
    response = _respond(_with_output(row, shown, form) if shown else row, services, form)
    _tell_corrections(response, row, _count_shown(row, shown, form) if shown else 0)
    name = _file_name(row)
    response.headers["Content-Disposition"] = content_disposition(
        f"{stem_of(name)}.{form.suffix}", is_file=form.is_file
    )
    response.headers["Vary"] = "Accept, Accept-Language"
    incomplete = _why_incomplete(row)
    if incomplete:
        response.headers["X-Sightline-Incomplete"] = incomplete
    if form is ResultForm.HTML:
        response.headers["Content-Security-Policy"] = _HTML_POLICY
    return response


def _tell_corrections(response: Response, row: JobRow, applied: int) -> None:
    count = len(row.review.corrections)
    if count:
        response.headers["X-Sightline-Corrections"] = f"count={count}, applied={applied}"


def _with_output(row: JobRow, shown: CorrectedOutput, form: ResultForm) -> JobRow:
    output = shown.output
    if shown.is_whole_text and form is not ResultForm.JSON and not form.needs_places:
        output = output | dict.fromkeys(("pages", "images"))
    return row.model_copy(update={"output": output})


def _count_shown(row: JobRow, shown: CorrectedOutput, form: ResultForm) -> int:
    """Return how many corrections a form shows."""
    side: Side = "text"
    if form is ResultForm.JSON:
        side = "output"
    elif form.needs_places:
        side = "lines"
    elif form is not ResultForm.TEXT or _names_text():
        output = _shown_output(_with_output(row, shown, form))
        side = "parts" if output.get("pages") or output.get("images") else "text"
    return len(shown.shown[side])


def overlay_response(row: JobRow, services: Services, query: OverlayQuery) -> Response:
    """Return the picture of one page or image with its boxes.

    What reviewers have corrected is drawn as they have, and marked, unless the query wants the
    answer as it was. Raises NoPlaces, BadParameters, ResultTooLarge, ImageNotFound and
    DocumentNotFound.
    """
    if not can_be_drawn(row):
        raise NoPlaces
    number = _overlaid(row, query)
    checked = mark_checked(row.output or {}, row.review) if query.corrected else None
    drawn = row.model_copy(update={"output": checked.output}) if checked else row
    order = order_scan(
        drawn,
        services,
        ScanForm.SVG,
        _file_name(row),
        _language(),
        lambda one: one.number == number,
    )
    response = Response(_scan(order, row, services), mimetype="image/svg+xml")
    response.headers["Content-Security-Policy"] = _SVG_POLICY
    response.headers["Vary"] = "Accept-Language"
    _tell_corrections(response, row, checked.shown if checked else 0)
    return response


def _overlaid(row: JobRow, query: OverlayQuery) -> int:
    """Return the number of the sheet that is asked for, from 1."""
    document = row.input.document
    if document is None:
        names, known = ("image", "page"), tuple(range(len(row.images)))
    else:
        names, known = ("page", "image"), document.pages
    if not known:
        raise NoPlaces("The job has neither images nor pages.")
    asked = getattr(query, names[0])
    if getattr(query, names[1]) is not None:
        raise BadParameters(f"The job is about {names[0]}s.", pointer=f"/{names[1]}")
    if asked is not None and asked not in known:
        raise BadParameters(f"The job has no {names[0]} {asked}.", pointer=f"/{names[0]}")
    chosen = known[0] if asked is None else asked
    return chosen if document else chosen + 1


def _scan(order: ScanOrder, row: JobRow, services: Services) -> bytes:
    try:
        return services.renderer.render_scan(order, row.tenant)
    except DoesNotFit as error:
        raise ResultTooLarge(str(error)) from None


def _accepted_form(row: JobRow) -> ResultForm:
    accepted = list(request.accept_mimetypes)
    # who accepts nothing else is shown what is missing
    form = choose_form(accepted, has_places=has_places(row)) or choose_form(accepted)
    if form is None:
        raise NotAcceptable
    return form


def _respond(row: JobRow, services: Services, form: ResultForm) -> Response:
    if form is ResultForm.JSON:
        return jsonify(_with_corrections(row))
    output = _shown_output(row)
    if form is ResultForm.TEXT:
        text = write_text(output) if _names_text() else str(output["text"])
        return Response(text, mimetype=form.media_type)
    output = with_object_table(output, _language())
    if form is ResultForm.MARKDOWN:
        return Response(write_markdown(output), mimetype=form.media_type)
    if form.needs_places:
        scan = order_scan(row, services, ScanForm(form.value), _file_name(row), _language())
        return Response(_scan(scan, row, services), mimetype=form.media_type)
    order = RenderOrder(form, output, _file_name(row), _language())
    try:
        body = services.renderer.render(order, row.tenant)
    except DoesNotFit as error:
        raise ResultTooLarge(str(error)) from None
    return Response(body, mimetype=form.media_type)


def _with_corrections(row: JobRow) -> dict[str, Any]:
    """Return the output and, if there are any, what reviewers have corrected."""
    output = row.output or {}
    if not row.review.corrections:
        return output
    return output | {"corrections": [correction_view(one) for one in row.review.corrections]}


def _shown_output(row: JobRow) -> dict[str, Any]:
    """Return the output without pages that only carry the evidence of an answer."""
    output, tiling = row.output or {}, row.input.tiling
    reads = tiling is None or tiling.task is TilingTask.READ
    if reads and row.input.find is None:
        return output
    return {name: value for name, value in output.items() if name != "pages"}


def _names_text() -> bool:
    """Tell whether the caller asked for plain text; others get the text as the job has it."""
    ranges = [name for name, _ in request.accept_mimetypes]
    return "format" in request.args or any(name.startswith("text/plain") for name in ranges)


def _language() -> Language:
    best = request.accept_languages.best_match(["en", "zh"], default="en")
    return "zh" if best == "zh" else "en"


def _file_name(row: JobRow) -> str:
    """Return the name of what was uploaded, or of the job."""
    document = row.input.document
    names = [document.name if document else None, *(image.get("name") for image in row.images)]
    return next((name for name in names if name), row.id)


def _why_incomplete(row: JobRow) -> str:
    """Return `partial`, or why the text ends before its end; empty for a whole result."""
    output = row.output or {}
    reason = str(output.get("finish_reason"))
    if reason != "stop":
        return reason
    return "partial" if output.get("partial") else ""
