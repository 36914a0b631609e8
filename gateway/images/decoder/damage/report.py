"""What is known of the damage of a file that its decoder has drawn all the same."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.errors import ImageDecodeFailed, ImageTruncated

#: A picture that lacks more than this part of its pixels is refused.
_MOST_LOST = 0.5
_STDERR = 2
_MOST_TEXT_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Damage:
    """One kind of damage."""

    #: In words, as the decoder's library gives it.
    text: str
    #: The part of the picture that may be wrong, 0 to 1, if it can be known.
    part: float | None = None
    #: Data end too early.
    is_cut: bool = False

    def notice(self) -> tuple[str, str]:
        """Return (code, detail); raise ImageTruncated or ImageDecodeFailed if most is lost."""
        share = "" if self.part is None else f" About {self.part:.0%} of the picture may be wrong."
        if self.part is not None and self.part > _MOST_LOST:
            if self.is_cut:
                raise ImageTruncated(f"The image data end too early: {self.text}.{share}")
            raise ImageDecodeFailed(f"Image decode failed: {self.text}.{share}")
        return "image_damaged", f"The file is damaged: {self.text}.{share}"


@contextmanager
def captured_errors() -> Iterator[list[str]]:
    """Collect the lines that C libraries write to the standard error within the block."""
    lines: list[str] = []
    with tempfile.TemporaryFile() as output:
        kept = os.dup(_STDERR)
        os.dup2(output.fileno(), _STDERR)
        try:
            yield lines
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
            output.seek(0)
            lines += output.read(_MOST_TEXT_BYTES).decode("ascii", "replace").splitlines()
