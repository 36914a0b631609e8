"""Cuts a growing text into pieces whose number and place depend on the text alone.

So a stream's events have the same numbers from every gateway, in whatever pieces the text came.
"""

from __future__ import annotations

import re

from gateway.large_input import with_pauses

#: A word with the spaces before it, a sign of a script without spaces, or spaces alone.
_SEGMENT = re.compile(
    r"\s{0,16}[\u2e80-\U0010ffff]|\s{0,16}[^\s\u2e80-\U0010ffff]{1,16}|\s{1,16}", re.DOTALL
)


class SegmentedText:
    """A text that grows, and the segments of it that were taken."""

    def __init__(self) -> None:
        #: The text of all segments that were taken.
        self.taken = ""

    def take(self, text: str, *, whole: bool = False) -> list[str]:
        """Return the segments that `text` adds; what may yet grow is kept back unless `whole`.

        Raises ValueError where it is not what was taken before.
        """
        begin = len(self.taken)
        if len(text) < begin and not whole and self.taken.startswith(text):
            return []
        if not text.startswith(self.taken):
            raise ValueError("the text has changed")
        segments = [match[0] for match in with_pauses(_SEGMENT.finditer(text, begin))]
        if not whole:
            segments = segments[:-1]
        self.taken += "".join(segments)
        return segments
