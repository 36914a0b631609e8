"""The program of a child that reads documents; it is killed when one takes too much time.

Run as `python -m shared.documents.child` with a socket as its standard input.
"""

from __future__ import annotations

import sys
import warnings

from PIL import Image, ImageFile

from shared.documents import wire
from shared.documents.frames.file import FramesFile
from shared.documents.model import DocumentKind
from shared.documents.open_document import FramesDocument, OpenDocument, PdfDocument
from shared.documents.pdf.file import PdfFile
from shared.errors import DocumentError
from shared.sandbox import protocol
from shared.sandbox.serving import serve

#: A document is opened again after so many calls: libraries keep all that they have read of it.
_CALLS_PER_OPENING = 25


def main() -> int:
    """Serve requests until the other side hangs up."""
    warnings.simplefilter("ignore")
    # the pixels of a frame are checked before it is decoded
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    return serve(_Desk().answer)


class _Desk:
    """Answers requests, and keeps the last document open: pages are asked for one by one."""

    def __init__(self) -> None:
        self._document: OpenDocument | None = None
        self._key: tuple[bytes, str | None, str] | None = None
        self._calls = 0

    def answer(self, header: protocol.Header, data: bytes) -> tuple[protocol.Header, bytes]:
        """Return the reply to one request, or the code and detail of a DocumentError."""
        try:
            document = self._open(header, data)
            return _ACTIONS[header["call"]](document, header)
        except DocumentError as error:
            self._close()
            return {"error": error.code, "detail": error.detail}, b""
        except BaseException:
            self._close()
            raise

    def _open(self, header: protocol.Header, data: bytes) -> OpenDocument:
        key = (data, header["password"], header["kind"])
        self._calls += 1
        if self._document is None or key != self._key or self._calls > _CALLS_PER_OPENING:
            self._close()
            self._document = _open_document(header, data)
            self._key, self._calls = key, 1
        return self._document

    def _close(self) -> None:
        document, self._document, self._key = self._document, None, None
        if document:
            document.close()


def _open_document(header: protocol.Header, data: bytes) -> OpenDocument:
    kind = DocumentKind(header["kind"])
    if kind == DocumentKind.PDF:
        password = header["password"]
        return PdfDocument(PdfFile(data, password), data, password_given=bool(password))
    return FramesDocument(FramesFile(data, kind, header["frame_pixels"]), data)


def _inspect(document: OpenDocument, header: protocol.Header) -> tuple[protocol.Header, bytes]:
    return {}, wire.dump_info(document.inspect(header["max_pages"], header["seconds"]))


def _unlock(document: OpenDocument, _header: protocol.Header) -> tuple[protocol.Header, bytes]:
    return {}, document.unlock()


def _read_text(document: OpenDocument, header: protocol.Header) -> tuple[protocol.Header, bytes]:
    return {}, wire.dump_text(document.page_text(header["page"]))


def _render(document: OpenDocument, header: protocol.Header) -> tuple[protocol.Header, bytes]:
    page = document.render(header["page"], header["dpi"], header["max_pixels"], turn=header["turn"])
    return {"picture": wire.page_header(page)}, page.png


def _cut_figures(document: OpenDocument, header: protocol.Header) -> tuple[protocol.Header, bytes]:
    figures = document.figures(header["page"], header["dpi"], header["max_pixels"])
    return wire.figures_header(figures), b"".join(figure.jpeg for figure in figures or ())


_ACTIONS = {
    "inspect": _inspect,
    "unlock": _unlock,
    "text": _read_text,
    "render": _render,
    "figures": _cut_figures,
}


if __name__ == "__main__":
    sys.exit(main())
