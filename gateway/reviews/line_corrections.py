"""Corrects lines of an answer, and with them the texts that they are part of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.large_input import with_pauses
from gateway.reviews.line_parts import line_with_part, with_text
from gateway.reviews.line_texts import EqualLines, LineText

#: A page or image of an output, as its member and the place there.
Home = tuple[str, int]
#: Members of an output whose texts are those of pages and images, and what a line names them by.
_UNITS = {"pages": "page", "images": "image"}


class CorrectedLines:
    """The lines of an output, which are corrected together with its texts."""

    def __init__(self, output: Mapping[str, Any]) -> None:
        self._output = output
        self.lines: list[dict[str, Any]] = list(output.get("lines") or ())
        self._homes = list(_find_homes(self.lines, output))
        texts = [line["text"] for line in self.lines]
        self._whole = LineText(str(output.get("text") or ""))
        self._in_whole = EqualLines((None, text) for text in with_pauses(texts))
        self._parts: dict[Home, LineText] = {}
        self._in_parts = EqualLines(with_pauses(zip(self._homes, texts, strict=True)))

    def correct(self, parts: Sequence[str], value: str) -> tuple[bool, bool]:
        """Correct a line or a part of it, named by what follows `lines` in its pointer.

        Returns whether the whole text, and its page's or image's, could be corrected with it.
        """
        number = int(parts[0])
        line = self.lines[number]
        if len(parts) == len(("number", "text")):
            self.lines[number] = with_text(line, value)
        else:
            changed = line_with_part(line, parts[1], int(parts[2]), value)
            self.lines[number] = changed
            if changed["text"] == line["text"] and changed != line:
                # it is not known where in the line it stands
                return False, False
        return self._carry(number, line["text"], self.lines[number]["text"])

    def output(self) -> dict[str, Any]:
        """Return the output with all that was corrected."""
        changed: dict[str, Any] = {**self._output, "text": str(self._whole)}
        if self.lines:
            changed["lines"] = self.lines
        for (name, at), text in self._parts.items():
            changed[name] = list(changed[name])
            changed[name][at] = changed[name][at] | {"text": str(text)}
        return changed

    def _carry(self, number: int, old: str, new: str) -> tuple[bool, bool]:
        in_whole = self._whole.replace(old, new, *self._in_whole.place(number, None, old))
        self._in_whole.change(number, None, old, new)
        home = self._homes[number]
        if home is None:
            return in_whole, False
        name, at = home
        if home not in self._parts:
            self._parts[home] = LineText(str(self._output[name][at].get("text") or ""))
        place = self._in_parts.place(number, home, old)
        self._in_parts.change(number, home, old, new)
        return in_whole, self._parts[home].replace(old, new, *place)


def _find_homes(
    lines: Sequence[Mapping[str, Any]], output: Mapping[str, Any]
) -> Iterator[Home | None]:
    """Yield the page or image of each line; one without a place stands where the last one does."""
    known = {
        (name, part[unit]): (name, at)
        for name, unit in _UNITS.items()
        for at, part in enumerate(output.get(name) or ())
    }
    home = next(iter(known.values()), None)
    for line in lines:
        for name, unit in _UNITS.items():
            home = known.get((name, line.get(unit)), home)
        yield home
