"""An open file of many pictures; what an animation shows at a frame is that frame."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

from PIL import Image, ImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from shared.documents.frames.colours import to_rgb
from shared.documents.model import DocumentInfo, DocumentKind, PageInfo
from shared.errors import DocumentDamaged, PageOutOfRange, PageTooLarge, TooManyPages

T = TypeVar("T")

#: The plugin's own class, so that one broken file is not tried with every other.
_OPENERS: dict[DocumentKind, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    DocumentKind.TIFF: TiffImageFile,
    DocumentKind.GIF: GifImageFile,
    DocumentKind.WEBP: WebPImageFile,
    DocumentKind.APNG: PngImageFile,
}


class FramesFile:
    """One open file of pictures; close it after use."""

    def __init__(self, data: bytes, kind: DocumentKind, max_pixels: int) -> None:
        """Open it; raises DocumentDamaged."""
        self.kind = kind
        self._data = data
        self._max_pixels = max_pixels
        self._open()

    def _open(self) -> None:
        self._file = _with_damage(lambda: _OPENERS[self.kind](io.BytesIO(self._data)))
        # the picture that stands for a PNG where animations are not known is not a frame of it
        self._first = int(bool(getattr(self._file, "default_image", False)))
        self._at = 0

    def close(self) -> None:
        """Free its memory."""
        self._file.close()

    def inspect(self, max_pages: int) -> DocumentInfo:
        """Return the sizes of all frames; raises TooManyPages and DocumentDamaged."""
        pages: list[PageInfo] = []
        while self._seek(len(pages) + 1):
            if len(pages) == max_pages:
                raise TooManyPages(f"The document has more than {max_pages} pages, the limit.")
            width, height = self._file.size
            pages.append(PageInfo(len(pages) + 1, width, height))
        if not pages:
            raise DocumentDamaged("The document is damaged: it has no pages.")
        return DocumentInfo(self.kind, tuple(pages))

    def read(self, number: int) -> tuple[Image.Image, list[tuple[str, str]]]:
        """Return frame `number`, from 1, in RGB, and (code, detail) of what was done to it.

        Raises PageOutOfRange, PageTooLarge and DocumentDamaged.
        """
        if number < 1 or not self._seek(number):
            raise PageOutOfRange(f"Page {number} does not exist.")
        width, height = self._file.size
        if width * height > self._max_pixels:
            raise PageTooLarge(
                f"Page {number} is {width}x{height} = {width * height} pixels; "
                f"the limit is {self._max_pixels}."
            )
        return _with_damage(lambda: to_rgb(self._file))

    def _seek(self, number: int) -> bool:
        if number < self._at:
            # Pillow cannot go back in every animation
            self.close()
            self._open()
        self._at = number
        try:
            _with_damage(lambda: self._file.seek(number - 1 + self._first))
        except EOFError:
            return False
        return True


def _with_damage(work: Callable[[], T]) -> T:
    """Run `work`, whose exceptions become DocumentDamaged, but for EOFError and MemoryError."""
    try:
        return work()
    except (EOFError, MemoryError, DocumentDamaged):
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:120] if isinstance(error, OSError) else ""
        raise DocumentDamaged(
            f"The document is damaged: {text or 'a page cannot be decoded'}."
        ) from error
