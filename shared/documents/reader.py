"""The only door to the content of documents; every call runs in a child that may be killed."""

from __future__ import annotations

from shared.documents.model import DocumentInfo, PageText, RenderedPage
from shared.settings import Settings


class DocumentReader:
    """Reads documents in killable children; one of it serves all threads of a process.

    Every call raises DocumentErrors, and Unavailable, with seconds to wait, if no child is free.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def start(self) -> None:
        """Start the children now instead of with the first document; call it after any fork."""
        raise NotImplementedError

    def close(self) -> None:
        """End all children; a later call starts new ones."""
        raise NotImplementedError

    def inspect(
        self, data: bytes, password: str | None = None, *, tenant: str = ""
    ) -> DocumentInfo:
        """Return what is known of all pages without rendering one.

        Raises TooManyPages, DocumentEncrypted if a password is missing, DocumentPasswordWrong.
        """
        raise NotImplementedError

    def unlock(self, data: bytes, password: str | None = None, *, tenant: str = "") -> bytes:
        """Return the same PDF without encryption, so that nobody needs to keep the password.

        A file that is not encrypted comes back as it is.
        """
        raise NotImplementedError

    def page_text(self, data: bytes, page: int, *, tenant: str = "") -> PageText:
        """Return the text layer of page `page`, from 1, and whether it can be trusted."""
        raise NotImplementedError

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
        """
        raise NotImplementedError
