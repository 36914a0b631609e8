"""The only door to the content of documents; every call runs in a child that may be killed."""

from __future__ import annotations

from typing import Any

from shared.documents import wire
from shared.documents.model import DocumentInfo, DocumentKind, PageFigure, PageText, RenderedPage
from shared.documents.sniff import document_kind
from shared.errors import (
    DocumentDamaged,
    DocumentError,
    DocumentTooComplex,
    DocumentTooSlow,
    PayloadTooLarge,
    Unavailable,
    by_code,
)
from shared.sandbox.pool import ChildDied, ChildOverran, NoChild
from shared.sandbox.sandbox import Sandbox
from shared.settings import Settings

#: A request waits for a free child as long as this many pages may take.
_WAIT_PAGES = 3
#: Seconds of an inspection in which text is counted, and the part of its time that this may be: the
#: caller waits, and whoever reads the pages looks closer.
_COUNTING_S = 1.0
_COUNTING = 0.5
#: Bytes that a picture may add to its pixels, and a text to its characters.
_OVERHEAD_BYTES = 1 << 20
_MAX_TEXT_BYTES = 128 << 20
#: A PDF without encryption may be written less densely.
_UNLOCKED_FACTOR = 4
_MAX_PIXELS = 100_000_000
_MIN_DPI, _MAX_DPI = 18.0, 1200.0


class DocumentReader:
    """Reads documents in killable children; one of it serves all threads of a process.

    Every call raises DocumentErrors, and Unavailable, with seconds to wait, if no child is free.
    Tenants take turns when all children are busy.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.sandbox = Sandbox(
            "shared.documents.child",
            name="document",
            size=settings.document_children,
            memory_bytes=settings.document_memory_bytes,
            timeout_s=settings.document_timeout_s,
        )

    def start(self) -> None:
        """Start the children now instead of with the first document; call it after any fork."""
        self.sandbox.start()

    def close(self) -> None:
        """End all children; a later call starts new ones."""
        self.sandbox.close()

    def inspect(
        self, data: bytes, password: str | None = None, *, tenant: str = ""
    ) -> DocumentInfo:
        """Return what is known of all pages without rendering one.

        Of a long document a sample of pages is looked at, and the size of the others.
        Raises PayloadTooLarge, TooManyPages, DocumentDamaged, DocumentEncrypted if a password is
        missing, DocumentPasswordWrong, DocumentTooSlow, DocumentTooComplex and Unavailable.
        """
        request: dict[str, Any] = {"max_pages": self._settings.document_max_pages}
        seconds = min(_COUNTING_S, _COUNTING * self._settings.document_timeout_s)
        try:
            _, body = self._ask("inspect", data, password, tenant, request | {"seconds": seconds})
        except (DocumentTooSlow, DocumentTooComplex):
            # one page may be to blame: it fails when it is read, and the others do not
            _, body = self._ask("inspect", data, password, tenant, request | {"seconds": 0})
        return wire.load_info(body)

    def unlock(self, data: bytes, password: str | None = None, *, tenant: str = "") -> bytes:
        """Return the same document without encryption, so that nobody needs to keep the password.

        A file that is not encrypted comes back as it is. Raises PayloadTooLarge, DocumentDamaged,
        DocumentEncrypted if a password is missing, DocumentPasswordWrong, DocumentTooSlow,
        DocumentTooComplex and Unavailable.
        """
        max_body = _UNLOCKED_FACTOR * len(data) + _OVERHEAD_BYTES
        return self._ask("unlock", data, password, tenant, {}, max_body=max_body)[1]

    def page_text(self, data: bytes, page: int, *, tenant: str = "") -> PageText:
        """Return the text layer of page `page`, from 1, and whether it can be trusted.

        Raises PayloadTooLarge, PageOutOfRange, PageTooLarge, DocumentDamaged, DocumentEncrypted,
        DocumentTooSlow, DocumentTooComplex and Unavailable.
        """
        body = self._ask("text", data, None, tenant, {"page": page}, keep=True)[1]
        return wire.load_text(body)

    def render(
        self,
        data: bytes,
        page: int,
        dpi: float,
        max_pixels: int,
        *,
        turn: bool = True,
        tenant: str = "",
    ) -> RenderedPage:
        """Return the picture of page `page`, from 1, with at most `max_pixels` pixels.

        `dpi` holds for PDFs. `turn`: a page whose content lies on its side is turned upright.
        Raises PayloadTooLarge, PageOutOfRange, PageTooLarge, DocumentDamaged, DocumentEncrypted,
        DocumentTooSlow, DocumentTooComplex and Unavailable.
        """
        pixels = max(1, min(max_pixels, _MAX_PIXELS))
        request = {
            "page": page,
            "dpi": min(max(dpi, _MIN_DPI), _MAX_DPI),
            "max_pixels": pixels,
            "turn": turn,
        }
        max_body = 3 * pixels + pixels // 100 + _OVERHEAD_BYTES
        header, png = self._ask("render", data, None, tenant, request, max_body=max_body, keep=True)
        return wire.load_page(header["picture"], png)

    def figures(
        self, data: bytes, page: int, dpi: float, max_pixels: int, *, tenant: str = ""
    ) -> list[PageFigure] | None:
        """Return the figures of page `page`, from 1; None where they cannot be told from its text.

        Their boxes are those of a picture at `dpi` with at most `max_pixels` pixels that is not
        turned. Raises what `render` raises.
        """
        pixels = max(1, min(max_pixels, _MAX_PIXELS))
        dpi = min(max(dpi, _MIN_DPI), _MAX_DPI)
        request = {"page": page, "dpi": dpi, "max_pixels": pixels}
        max_body = 3 * pixels + _OVERHEAD_BYTES
        header, body = self._ask(
            "figures", data, None, tenant, request, max_body=max_body, keep=True
        )
        return wire.load_figures(header, body)

    def _ask(
        self,
        call: str,
        data: bytes,
        password: str | None,
        tenant: str,
        request: dict[str, Any],
        *,
        max_body: int = _MAX_TEXT_BYTES,
        keep: bool = False,
    ) -> tuple[dict[str, Any], bytes]:
        header = request | {
            "call": call,
            "kind": self._check_file(data),
            "password": password,
            "frame_pixels": self._settings.image_max_pixels,
        }
        wait_s = _WAIT_PAGES * self._settings.document_timeout_s
        try:
            reply, body = self.sandbox.ask(
                header, data, max_body=max_body, wait_s=wait_s, tenant=tenant, keep=keep
            )
        except NoChild as error:
            raise Unavailable(f"The document was not read: {error}.", retry_after_s=5) from error
        except ChildOverran as error:
            raise DocumentTooSlow(
                f"The document took more than {self._settings.document_timeout_s:g} seconds."
            ) from error
        except ChildDied as error:
            raise DocumentTooComplex(
                f"The document could not be read: its process ended ({error})."
            ) from error
        if "error" in reply:
            raise _refusal(reply)
        return reply, body

    def _check_file(self, data: bytes) -> DocumentKind:
        limit = self._settings.document_max_bytes
        if len(data) > limit:
            raise PayloadTooLarge(f"The document has {len(data)} bytes; the limit is {limit}.")
        kind = document_kind(data)
        if kind is None:
            raise DocumentDamaged("The file is not a PDF and has only one page or frame.")
        return kind


def _refusal(reply: dict[str, Any]) -> DocumentError:
    if reply["error"] == "memory":
        return DocumentTooComplex("The document needs more memory than allowed.")
    error = by_code().get(reply["error"])
    if error and issubclass(error, DocumentError):
        return error(reply["detail"])
    return DocumentDamaged(reply["detail"])
