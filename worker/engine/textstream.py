"""From generated ids to text that may be shown: whole characters, never a part of a stop string."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream


class TextStream:
    """The text of one answer as it grows."""

    __slots__ = ("_decoder", "_held", "_stops", "_tokenizer", "shown", "stopped")

    def __init__(self, tokenizer: Tokenizer, stops: tuple[str, ...]) -> None:
        """Show text up to the first of `stops`."""
        self._tokenizer = tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._stops = stops
        self._held = ""
        #: Everything that was returned so far.
        self.shown = ""
        #: Whether a stop string appeared; nothing more is shown then.
        self.stopped = False

    def push(self, token: int) -> str:
        """Take a token and return the text that it makes certain, often none."""
        if self.stopped:
            return ""
        self._held += self._decoder.step(self._tokenizer, token) or ""
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._show(min(found))
        return self._show(len(self._held) - self._possible_stop())

    def finish(self) -> str:
        """Return what was held back, now that no more tokens come."""
        return "" if self.stopped else self._show(len(self._held))

    def _show(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        self.shown += text
        return text

    def _possible_stop(self) -> int:
        """Length of the longest end of the held text that a stop string begins with."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0
