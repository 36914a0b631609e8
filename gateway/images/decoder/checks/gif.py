"""The checks of a GIF: its blocks up to the first picture, which alone is handed on."""

from __future__ import annotations

from gateway.images.decoder.checks.checked_file import CheckedFile, damage_error
from gateway.images.formats import DecodeLimits
from shared.errors import ImageDecodeFailed, ImageTruncated

#: Extensions before a picture, and sub-blocks (of up to 255 bytes) that are read of a file; for
#: each a decoder takes a step of its own.
MAX_EXTENSIONS = 1_000
MAX_SUB_BLOCKS = 200_000

_HEADER_BYTES, _DESCRIPTOR_BYTES = 13, 10
_EXTENSION, _PICTURE, _TRAILER = 0x21, 0x2C, 0x3B
#: Bytes between blocks that belong to none; decoders skip them.
_MAX_STRAY_BYTES = 1_000


def check_gif(data: bytes, _limits: DecodeLimits) -> CheckedFile:
    """Cut the file behind its first picture; raises ImageTruncated and ImageDecodeFailed."""
    if len(data) < _HEADER_BYTES:
        raise ImageTruncated
    walk = _Walk(data, _HEADER_BYTES + _palette_bytes(data[10]))
    if not walk.find_picture():
        raise damage_error("the GIF file has no picture")
    walk.skip_picture()
    end = walk.at
    if end > len(data):
        # the decoder says how much of it is missing
        return CheckedFile(data)
    return CheckedFile(data[:end] + bytes((_TRAILER,)), animated=walk.has_another_picture())


def _palette_bytes(flags: int) -> int:
    """Return the bytes of the palette that a byte of flags announces."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


class _Walk:
    """Goes through the blocks of a GIF; `at` may come to stand behind the end of a cut file."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at
        self._sub_blocks = 0

    def find_picture(self) -> bool:
        """Go to the next picture; return whether there is one."""
        extensions = strays = 0
        while self.at < len(self._data) and self._data[self.at] != _TRAILER:
            if self._data[self.at] == _PICTURE:
                return True
            if self._data[self.at] == _EXTENSION:
                extensions += 1
                self.at += 2
                self._skip_sub_blocks()
            else:
                strays += 1
                self.at += 1
            if extensions > MAX_EXTENSIONS or strays > _MAX_STRAY_BYTES:
                raise damage_error(
                    f"the GIF has more than {MAX_EXTENSIONS} blocks before a picture"
                )
        return False

    def skip_picture(self) -> None:
        """Go behind the picture that begins here."""
        flags = self._data[self.at + 9 : self.at + 10]
        # with the byte that says how long the first codes are
        self.at += _DESCRIPTOR_BYTES + _palette_bytes(flags[0] if flags else 0) + 1
        self._skip_sub_blocks()

    def has_another_picture(self) -> bool:
        """Tell whether a further picture follows, as far as may be looked."""
        try:
            return self.find_picture()
        except ImageDecodeFailed:
            return False

    def _skip_sub_blocks(self) -> None:
        data, at, size = self._data, self.at, len(self._data)
        while at < size and data[at]:
            at += 1 + data[at]
            self._sub_blocks += 1
            if self._sub_blocks > MAX_SUB_BLOCKS:
                raise damage_error(f"the GIF has more than {MAX_SUB_BLOCKS} blocks of data")
        self.at = at + 1
