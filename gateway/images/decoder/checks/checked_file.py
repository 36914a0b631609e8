"""A file that was checked before its decoder sees it, and how a damaged one is refused."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import ImageDecodeFailed

#: No valid colour profile or EXIF block is larger.
MAX_METADATA_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file that may be handed to its decoder."""

    data: bytes
    #: Can be decoded at a fraction of its size.
    reducible: bool = False
    animated: bool = False
    #: Code points of H.273 for primaries and transfer, if the file names them.
    colour_code: tuple[int, int] | None = None
    #: (code, detail) of what was dropped, though it changes how the image looks.
    notices: tuple[tuple[str, str], ...] = ()


def damage_error(why: str) -> ImageDecodeFailed:
    """Return the refusal of a file that breaks its format's rules."""
    return ImageDecodeFailed(f"Image decode failed: {why}.")
