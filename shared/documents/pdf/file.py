"""An open PDF and its pages; scripts, attachments and references to other files stay untouched."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

from pypdfium2 import raw

from shared.documents.model import DocumentKind
from shared.documents.pdf.annotations import Sign, read_signs
from shared.documents.pdf.attachments import count_files, is_portfolio, read_names
from shared.errors import (
    DocumentDamaged,
    DocumentEncrypted,
    DocumentError,
    DocumentPasswordWrong,
    PageOutOfRange,
    PageTooLarge,
    TooManyPages,
)

#: Sides of a page in points; the specification ends at 14,400.
MAX_SIDE_POINTS = 20_000.0
#: What is longer and narrower is no page.
MAX_ASPECT = 200.0
_MAX_TITLE_CHARS = 200
_QUARTER_TURN = 90
#: PDFium takes no longer ones.
_MAX_PASSWORD_CHARS = 127

_DAMAGE = {
    raw.FPDF_ERR_FILE: "it cannot be read",
    raw.FPDF_ERR_FORMAT: "it has no readable structure",
    raw.FPDF_ERR_SECURITY: "it is encrypted in an unknown way",
    raw.FPDF_ERR_PAGE: "its pages cannot be read",
}


class PdfFile:
    """One open document; close it after use."""

    kind = DocumentKind.PDF

    def __init__(self, data: bytes, password: str | None = None) -> None:
        """Open it; raises DocumentEncrypted, DocumentPasswordWrong and DocumentDamaged."""
        # PDFium reads from this memory as long as the document is open
        self._data = data
        self._document = raw.FPDF_LoadMemDocument64(data, len(data), _password_bytes(password))
        if not self._document:
            raise _opening_error(raw.FPDF_GetLastError(), password)
        self.page_count: int = raw.FPDF_GetPageCount(self._document)
        self._form = self._open_form()
        self._signs: dict[int, tuple[Sign, ...]] = {}

    def _open_form(self) -> raw.FPDF_FORMHANDLE | None:
        """Let PDFium draw the values of a form that has no pictures of them; runs no script."""
        if raw.FPDF_GetFormType(self._document) == raw.FORMTYPE_NONE:
            return None
        # PDFium reads it as long as the form is open
        self._form_info = raw.FPDF_FORMFILLINFO(version=2)
        return raw.FPDFDOC_InitFormFillEnvironment(self._document, self._form_info)

    def close(self) -> None:
        """Free its memory."""
        if self._form:
            raw.FPDFDOC_ExitFormFillEnvironment(self._form)
        raw.FPDF_CloseDocument(self._document)

    def check_pages(self, max_pages: int) -> None:
        """Raise TooManyPages, or DocumentDamaged if there is no page."""
        if self.page_count > max_pages:
            raise TooManyPages(
                f"The document has {self.page_count} pages; the limit is {max_pages}."
            )
        if self.page_count < 1:
            raise DocumentDamaged("The document is damaged: it has no pages.")

    @property
    def encrypted(self) -> bool:
        """Tell whether the file is encrypted, with or without a password to open it."""
        return bool(raw.FPDF_GetSecurityHandlerRevision(self._document) >= 0)

    @property
    def repaired(self) -> bool:
        """Tell whether its table of objects was missing or broken, so that parts may be lost."""
        return not raw.FPDF_DocumentHasValidCrossReferenceTable(self._document)

    @property
    def attachments(self) -> int:
        """Return how many other files are inside of it."""
        return count_files(self._document)

    @property
    def attached_names(self) -> tuple[str, ...]:
        """Return the names of the first files inside of it."""
        return read_names(self._document)

    @property
    def is_portfolio(self) -> bool:
        """Tell whether its pages are only the cover of the files inside of it."""
        return is_portfolio(self._document, self._data)

    @property
    def has_dynamic_form(self) -> bool:
        """Tell whether its pages are made by a program (XFA), which is not run."""
        return bool(raw.FPDF_GetFormType(self._document) == raw.FORMTYPE_XFA_FULL)

    @property
    def title(self) -> str | None:
        """Return the title that the file gives itself."""
        size = raw.FPDF_GetMetaText(self._document, b"Title", None, 0)
        if not 2 < size < 1 << 16:
            return None
        text = ctypes.create_string_buffer(size)
        raw.FPDF_GetMetaText(self._document, b"Title", text, size)
        title = text.raw.decode("utf-16-le", "replace").rstrip("\0")
        return " ".join(title.split())[:_MAX_TITLE_CHARS] or None

    def page_size(self, number: int) -> tuple[float, float]:
        """Return width and height of page `number` in points, upright, without reading it.

        Raises DocumentDamaged.
        """
        size = raw.FS_SIZEF()
        if not raw.FPDF_GetPageSizeByIndexF(self._document, number - 1, size):
            raise DocumentDamaged(f"The document is damaged: page {number} cannot be read.")
        return float(size.width), float(size.height)

    def save_unlocked(self) -> bytes:
        """Return the document without encryption; raises DocumentDamaged."""
        chunks: list[bytes] = []

        def write(_writer: object, block: int, size: int) -> int:
            chunks.append(ctypes.string_at(block, size))
            return 1

        writer = raw.FPDF_FILEWRITE()
        writer.version = 1
        writer.WriteBlock = type(writer.WriteBlock)(write)
        if not raw.FPDF_SaveAsCopy(self._document, writer, raw.FPDF_REMOVE_SECURITY):
            raise DocumentDamaged("The document is damaged: it cannot be written again.")
        return b"".join(chunks)

    @contextlib.contextmanager
    def page(self, number: int, *, flat: bool = True) -> Iterator[PdfPage]:
        """Open page `number`, from 1; `flat`: the values of its form become part of it.

        Raises PageOutOfRange, DocumentDamaged and PageTooLarge.
        """
        if not 1 <= number <= self.page_count:
            raise PageOutOfRange(
                f"Page {number} does not exist: the document has {self.page_count} pages."
            )
        handle = self._load(number)
        try:
            if flat and raw.FPDFPage_GetAnnotCount(handle) > 0:
                # what was merged into the page is no annotation any more when it is opened again
                self._signs.setdefault(number, read_signs(handle, self._form))
                handle = self._flatten(handle, number)
            yield PdfPage(handle, number, self._signs.get(number, ()))
        finally:
            self._close_page(handle)

    def _load(self, number: int) -> raw.FPDF_PAGE:
        handle = raw.FPDF_LoadPage(self._document, number - 1)
        if not handle:
            raise DocumentDamaged(f"The document is damaged: page {number} cannot be read.")
        if self._form:
            raw.FORM_OnAfterLoadPage(handle, self._form)
        return handle

    def _close_page(self, handle: raw.FPDF_PAGE) -> None:
        if self._form:
            raw.FORM_OnBeforeClosePage(handle, self._form)
        raw.FPDF_ClosePage(handle)

    def _flatten(self, handle: raw.FPDF_PAGE, number: int) -> raw.FPDF_PAGE:
        if raw.FPDFPage_Flatten(handle, raw.FLAT_NORMALDISPLAY) != raw.FLATTEN_SUCCESS:
            return handle
        # only a page that is loaded again shows what was merged into it
        fresh = self._load(number)
        self._close_page(handle)
        return fresh


class PdfPage:
    """One open page; sizes are in points, as seen upright."""

    def __init__(self, handle: raw.FPDF_PAGE, number: int, signs: tuple[Sign, ...] = ()) -> None:
        """Measure it; `signs` are what its annotations say. Raises PageTooLarge."""
        self.handle = handle
        self.signs = signs
        self.number = number
        self.width = float(raw.FPDF_GetPageWidthF(handle))
        self.height = float(raw.FPDF_GetPageHeightF(handle))
        self.rotation = raw.FPDFPage_GetRotation(handle) % 4 * _QUARTER_TURN
        self._check_size()

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is drawn on it, not even something white."""
        return bool(raw.FPDFPage_CountObjects(self.handle) == 0) and not self.signs

    def frame(self) -> tuple[float, float, float, float]:
        """Return left, bottom, right and top of what is seen, in the page's own coordinates."""
        rect = raw.FS_RECTF()
        raw.FPDF_GetPageBoundingBox(self.handle, rect)
        return rect.left, rect.bottom, rect.right, rect.top

    def _check_size(self) -> None:
        longer, shorter = max(self.width, self.height), min(self.width, self.height)
        # a broken number is no size either
        if not 0 < longer <= MAX_SIDE_POINTS or not longer <= MAX_ASPECT * shorter:
            raise PageTooLarge(
                f"Page {self.number} is {self.width:g} x {self.height:g} points; a side may have "
                f"at most {MAX_SIDE_POINTS:g}, and at most {MAX_ASPECT:g} times the other."
            )


def _password_bytes(password: str | None) -> bytes | None:
    if password is None:
        return None
    if len(password) > _MAX_PASSWORD_CHARS or "\0" in password:
        raise DocumentPasswordWrong
    return password.encode("utf-8", "surrogatepass")


def _opening_error(code: int, password: str | None) -> DocumentError:
    if code == raw.FPDF_ERR_PASSWORD:
        return DocumentPasswordWrong() if password else DocumentEncrypted()
    return DocumentDamaged(f"The document is damaged: {_DAMAGE.get(code, 'it cannot be opened')}.")
