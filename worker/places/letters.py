"""The letters by which texts are compared: no blanks, and no marks of Markdown or HTML."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

#: A tag of HTML, a character that could not be read, or one that only gives form.
_FORM = re.compile(
    r"(?P<none></?[a-zA-Z][^<>]*>|[\s|*#_`>\\]+)|(?P<unsure>\[\?\])|(?P<one>.)", re.DOTALL
)
#: Stands for a letter that could not be read; it is like no other.
_UNSURE = "\ufffd"


@dataclass(frozen=True, slots=True)
class Letters:
    """The letters of a text."""

    text: str
    #: For each of them its place in the original text.
    origins: tuple[int, ...]

    def within(self, start: int, stop: int) -> range:
        """Return the numbers of the letters from `start` to `stop` in the original, excluded."""
        numbers = [n for n, origin in enumerate(self.origins) if start <= origin < stop]
        return range(numbers[0], numbers[-1] + 1) if numbers else range(0)


def letters_of(text: str) -> Letters:
    """Return what counts of a text when it is compared."""
    letters: list[str] = []
    origins: list[int] = []
    for match in _FORM.finditer(text):
        if match["none"] is not None:
            continue
        plain = _UNSURE if match["unsure"] else unicodedata.normalize("NFKC", match[0])
        plain = "".join(plain.split())
        letters.append(plain)
        origins += [match.start()] * len(plain)
    return Letters("".join(letters), tuple(origins))
