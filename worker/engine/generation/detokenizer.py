"""Turns generated ids into text that may be shown: whole characters, no part of a stop string."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

#: Stands for a letter or a digit that the model was not sure of.
UNCERTAIN = "[?]"


class TextStream:
    """The text of one answer as it grows.

    Lengths count characters of the model's own text, in which no character is marked as uncertain.
    """

    __slots__ = (
        *("_decoder", "_pending", "_stops", "_sure", "_tokenizer"),
        *("shown", "shown_length", "stopped"),
    )

    def __init__(self, tokenizer: Tokenizer, stops: tuple[str, ...]) -> None:
        """Show text up to the first of `stops`."""
        self._tokenizer = tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._stops = stops
        self._pending = ""
        #: Of each pending character, whether the model was sure of it.
        self._sure: list[bool] = []
        #: Everything that was returned so far.
        self.shown = ""
        #: Length of it.
        self.shown_length = 0
        #: A stop string appeared; nothing more is shown.
        self.stopped = False

    def decode(self, token: int) -> str:
        """Return the text that a token adds to those before it."""
        return self._decoder.step(self._tokenizer, token) or ""

    def push(self, text: str, *, sure: bool = True, hold_from: int | None = None) -> str:
        """Append decoded text; return what can be shown now, often nothing.

        Text from the length `hold_from` on stays pending.
        """
        if self.stopped:
            return ""
        self._pending += text
        self._sure += [sure] * len(text)
        stops = [at for stop in self._stops if (at := self._pending.find(stop)) >= 0]
        if stops:
            self.stopped = True
            return self._show(min(stops))
        length = len(self._pending) - self._possible_stop()
        if hold_from is not None:
            length = max(0, min(length, hold_from - self.shown_length))
        return self._show(length)

    def finish(self) -> str:
        """Return what is pending, now that no more tokens come."""
        return "" if self.stopped else self._show(len(self._pending))

    def rewind(self, tokens: list[int], length: int) -> None:
        """Go back to `tokens`, whose text has that length; what is shown stays."""
        pending = length - self.shown_length
        self._pending, self._sure = self._pending[:pending], self._sure[:pending]
        self._decoder = DecodeStream(skip_special_tokens=True)
        for token in tokens:
            self.decode(token)

    def _show(self, length: int) -> str:
        text = "".join(map(_marked, self._pending[:length], self._sure))
        self._pending, self._sure = self._pending[length:], self._sure[length:]
        self.shown_length += length
        self.shown += text
        return text

    def _possible_stop(self) -> int:
        """Return the length of the longest end of the pending text that begins a stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(self._pending)), 0, -1):
            if any(stop.startswith(self._pending[-length:]) for stop in self._stops):
                return length
        return 0


def _marked(character: str, sure: bool) -> str:
    return character if sure or not character.isalnum() else UNCERTAIN
