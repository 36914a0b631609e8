"""The pages of a claimed job's document: their own text, or their picture, drawn on demand."""

from __future__ import annotations

import logging
from dataclasses import replace

from PIL.Image import Image

from shared.documents.model import DocumentInfo, DocumentKind, PageText, RenderedPage, TextDoubt
from shared.documents.picture import turn_notice, unknown_notice
from shared.documents.reader import DocumentReader
from shared.errors import DocumentError, DocumentGone, NotFound
from shared.jobs import DocumentInput, Notice, TextLayer
from shared.prediction.page_size import MAX_PAGE_PIXELS
from shared.store.uploads.document_store import DocumentFiles, DocumentStore
from worker.jobs.claimed_job import ClaimedJob
from worker.jobs.upright import Upright
from worker.pipeline.images import open_png

_log = logging.getLogger(__name__)

#: Pixels at which a page that is a picture is read, if it is not cut; scans have more than they
#: need.
_PICTURE_PIXELS = 4_194_304
_DOUBTS = {
    TextDoubt.UNMAPPED: "some of its characters have no meaning",
    TextDoubt.IMPLAUSIBLE: "it is more than the page has room for",
    TextDoubt.HIDDEN: "some of it does not show",
    TextDoubt.INK_OUTSIDE: "the page shows writing that it does not have",
    TextDoubt.DAMAGED: "the page is damaged",
    TextDoubt.NOT_CHECKED: "it could not be checked in time",
    TextDoubt.NO_TEXT: "it has none",
}


class PageReader:
    """Reads pages in a killable child; the threads of a worker share it."""

    def __init__(self, store: DocumentStore, reader: DocumentReader, upright: Upright) -> None:
        self._upright = upright
        self._store = store
        self._files = DocumentFiles(store)
        self._reader = reader

    def info(self, job: ClaimedJob, document: DocumentInput) -> DocumentInfo:
        """Return what is known of a document's pages; raises DocumentGone and LeaseLost."""
        tenant = job.row.tenant
        try:
            header = job.retry_while_store_is_down(lambda: self._store.header(tenant, document.id))
        except NotFound:
            raise DocumentGone from None
        return header.info

    def text(self, job: ClaimedJob, document: DocumentInput, number: int) -> PageText | None:
        """Return a page's text layer; None where the picture alone counts, or it has no way.

        Raises DocumentGone and LeaseLost, and DocumentErrors where nothing but the text is wanted.
        """
        if document.text_layer is TextLayer.IGNORE or document.kind != DocumentKind.PDF:
            return None
        file, tenant = self._file(job, document), job.row.tenant
        try:
            return self._reader.page_text(file, number, tenant=tenant)
        except DocumentError as error:
            if document.text_layer is TextLayer.ONLY:
                raise
            _log.warning("page.text_failed", extra={"page": number, "code": error.code})
            return None

    def picture(
        self, job: ClaimedJob, document: DocumentInput, number: int, max_pixels: int | None = None
    ) -> tuple[Image, RenderedPage]:
        """Return a page as an upright RGB image, and what was done to it.

        Raises DocumentErrors, DocumentGone and LeaseLost.
        """
        most = MAX_PAGE_PIXELS if document.kind == DocumentKind.PDF else _PICTURE_PIXELS
        rendered = self._reader.render(
            self._file(job, document),
            number,
            document.dpi,
            min(most, max_pixels or most),
            tenant=job.row.tenant,
        )
        return self._turn(open_png(rendered.png), rendered)

    def _turn(self, picture: Image, rendered: RenderedPage) -> tuple[Image, RenderedPage]:
        """Turn a page upright whose ink alone did not tell how it lies."""
        if rendered.blank or rendered.turned:
            return picture, rendered
        picture, turn = self._upright.turn(picture)
        if turn.sure and not turn.degrees:
            return picture, rendered
        code, detail = turn_notice(turn.degrees) if turn.degrees else unknown_notice()
        warning = {"code": code, "detail": detail}
        return picture, replace(
            rendered,
            width=picture.width,
            height=picture.height,
            turned=turn.degrees,
            warnings=(*rendered.warnings, warning),
        )

    def _file(self, job: ClaimedJob, document: DocumentInput) -> bytes:
        tenant = job.row.tenant
        file = job.retry_while_store_is_down(lambda: self._files.get(tenant, document.id))
        if file is None:
            raise DocumentGone
        return file


def takes_text(document: DocumentInput, text: PageText | None) -> bool:
    """Tell whether a page's own text stands for its picture."""
    return text is not None and (text.trusted or document.text_layer is TextLayer.ONLY)


def text_warnings(document: DocumentInput, text: PageText | None) -> tuple[Notice, ...]:
    """Return why a page's own text was not taken, or may be wrong, and what its picture lacks."""
    doubt, notices = text.doubt if text else None, list[Notice]()
    if doubt and not (doubt is TextDoubt.NO_TEXT and document.text_layer is TextLayer.AUTO):
        code, verdict = "text_layer_not_used", "was not used"
        if document.text_layer is TextLayer.ONLY:
            code, verdict = "text_layer_doubtful", "may not say what it shows"
        notices.append(
            Notice(code=code, detail=f"The page's own text {verdict}: {_DOUBTS[doubt]}.")
        )
    if text and text.fontless:
        detail = (
            f"{text.fontless} characters have a font that is not in the file: no picture of the "
        )
        detail += "page has them."
        notices.append(Notice(code="font_missing", detail=detail))
    return tuple(notices)


def page_warnings(rendered: RenderedPage) -> tuple[Notice, ...]:
    """Return what was done to a page before it was looked at."""
    notices = [Notice(code=one["code"], detail=one["detail"]) for one in rendered.warnings]
    if rendered.turned and not any(one.code == "page_turned" for one in notices):
        detail = f"The page was turned by {rendered.turned} degrees."
        notices.append(Notice(code="page_turned", detail=detail))
    return tuple(notices)
