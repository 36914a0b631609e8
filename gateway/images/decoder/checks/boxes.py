"""The checks of AVIF and HEIC files: whether their boxes are whole."""

from __future__ import annotations

from gateway.images.decoder.checks.checked_file import damage_error
from shared.errors import ImageTruncated

#: At the top of a file; encoders write fewer than ten.
MAX_BOXES = 1_000


def check_boxes(data: bytes, name: str) -> None:
    """Raise ImageTruncated or ImageDecodeFailed if the boxes at the top do not fit the file."""
    at = 0
    for _ in range(MAX_BOXES):
        if at + 8 > len(data):
            break
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length == 0:
            return
        if length < 8:
            raise damage_error(f"a box of the {name} file has an invalid length")
        at += length
    else:
        raise damage_error(f"the {name} file has more than {MAX_BOXES} boxes")
    if at > len(data):
        raise ImageTruncated(f"The {name} file is truncated at byte {len(data)} of {at}.")


_CODED_COLOURS = b"colrnclx"
#: Properties stand before the pixels, in the first part of a file.
_PROPERTIES_BYTES = 1 << 20


def read_colour_code(data: bytes) -> tuple[int, int] | None:
    """Return the code points of H.273 for primaries and transfer in an AVIF or HEIC file."""
    at = data.find(_CODED_COLOURS, 0, _PROPERTIES_BYTES)
    if at < 0 or at + 14 > len(data):
        return None
    codes = data[at + 8 : at + 12]
    return int.from_bytes(codes[:2], "big"), int.from_bytes(codes[2:], "big")
