"""From generated ids to text that may be shown: whole characters, never a part of a stop string."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

#: Stands for a letter or a digit that the model was not sure of.
UNCERTAIN = "[?]"


class TextStream:
    """The text of one answer as it grows."""

    __slots__ = ("_decoder", "_held", "_stops", "_sure", "_tokenizer", "shown", "stopped", "taken")

    def __init__(self, tokenizer: Tokenizer, stops: tuple[str, ...]) -> None:
        """Show text up to the first of `stops`."""
        self._tokenizer = tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._stops = stops
        self._held = ""
        #: For each character that is held, whether the model was sure of it.
        self._sure: list[bool] = []
        #: Everything that was returned so far.
        self.shown = ""
        #: Characters of the model's own text that were returned so far, without marks.
        self.taken = 0
        #: Whether a stop string appeared; nothing more is shown then.
        self.stopped = False

    def decode(self, token: int) -> str:
        """Return the text that a token adds to those before it."""
        return self._decoder.step(self._tokenizer, token) or ""

    def push(self, text: str, *, sure: bool = True, hold_from: int | None = None) -> str:
        """Take decoded text and return what becomes certain, often nothing.

        What stands behind `hold_from` characters of the model's own text stays held.
        """
        if self.stopped:
            return ""
        self._held += text
        self._sure += [sure] * len(text)
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._show(min(found))
        length = len(self._held) - self._possible_stop()
        if hold_from is not None:
            length = max(0, min(length, hold_from - self.taken))
        return self._show(length)

    def finish(self) -> str:
        """Return what was held back, now that no more tokens come."""
        return "" if self.stopped else self._show(len(self._held))

    def rewind(self, tokens: list[int], length: int) -> None:
        """Go on behind `tokens`, whose text has `length` characters; what is shown stays."""
        kept = length - self.taken
        self._held, self._sure = self._held[:kept], self._sure[:kept]
        self._decoder = DecodeStream(skip_special_tokens=True)
        for token in tokens:
            self.decode(token)

    def _show(self, length: int) -> str:
        text = "".join(map(_marked, self._held[:length], self._sure))
        self._held, self._sure = self._held[length:], self._sure[length:]
        self.taken += length
        self.shown += text
        return text

    def _possible_stop(self) -> int:
        """Length of the longest end of the held text that a stop string begins with."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0


def _marked(character: str, sure: bool) -> str:
    return character if sure or not character.isalnum() else UNCERTAIN
