"""An answer as its reviewers have corrected it, for those who ask for it; it is stored nowhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.large_input import give_way
from gateway.reviews.line_corrections import CorrectedLines
from shared.jobs.answers.review import Correction
from shared.json_pointer import follow, replace_at, split_pointer

#: What a form of a result is made of: the whole output, its text, its pages or images, its lines.
Side = Literal["output", "text", "parts", "lines"]
#: Members of an output, the narrower ones first: what is corrected as a whole wins over its parts.
_ORDER = ("lines", "objects", "tiles", "images", "pages", "fields", "json", "text")


@dataclass(slots=True)
class CorrectedOutput:
    """An output with its corrections, and which of them each side of it shows."""

    output: dict[str, Any]
    #: Pointers of the corrections.
    shown: dict[Side, set[str]] = field(
        default_factory=lambda: {"output": set(), "text": set(), "parts": set(), "lines": set()}
    )

    @property
    def is_whole_text(self) -> bool:
        """Tell whether the text was corrected as a whole: pages and images no longer say it."""
        return "/text" in self.shown["text"]

    def add(self, pointer: str, *sides: Side) -> None:
        """Note which sides show a correction."""
        for side in sides:
            self.shown[side].add(pointer)


def correct_output(output: Mapping[str, Any], corrections: Sequence[Correction]) -> CorrectedOutput:
    """Return an output with all corrections that it can show, of each kind the oldest first."""
    split = [(split_pointer(one.pointer), one) for one in corrections]
    # a newer gateway may have stored others
    placed = [(parts, one) for parts, one in split if parts and parts[0] in _ORDER]
    placed.sort(key=lambda pair: (_ORDER.index(pair[0][0]), pair[1].at_ms))
    of_lines = [pair for pair in placed if pair[0][0] == "lines"]
    corrected = _correct_lines(output, of_lines)
    is_json = _is_json_text(output)
    for parts, correction in placed[len(of_lines) :]:
        give_way()
        _correct_part(corrected, parts, correction, is_json=is_json)
    return corrected


def _correct_lines(
    output: Mapping[str, Any], placed: Sequence[tuple[list[str], Correction]]
) -> CorrectedOutput:
    if not placed:
        return CorrectedOutput(dict(output))
    lines = CorrectedLines(output)
    corrected = CorrectedOutput({})
    for parts, correction in placed:
        give_way()
        in_text, in_part = lines.correct(parts[1:], correction.value)
        corrected.add(correction.pointer, "output", "lines")
        if in_text:
            corrected.add(correction.pointer, "text")
        if in_part:
            corrected.add(correction.pointer, "parts")
    corrected.output = lines.output()
    return corrected


def _correct_part(
    corrected: CorrectedOutput, parts: list[str], correction: Correction, *, is_json: bool
) -> None:
    pointer, value = correction.pointer, correction.value
    try:
        before = follow(corrected.output, parts)
    except LookupError:
        # something that it is part of was corrected as a whole
        return
    corrected.output = replace_at(corrected.output, parts, value)
    corrected.add(pointer, "output")
    match parts[0]:
        case "text":
            kept = {known for known in corrected.shown["text"] if known.startswith("/fields/")}
            corrected.shown["text"] = {*kept, pointer}
        case "fields":
            corrected.add(pointer, "text", "parts")
        case "json" if is_json:
            text = json.dumps(corrected.output["json"], ensure_ascii=False)
            corrected.output["text"] = text
            corrected.add(pointer, "text", "parts")
        case "pages" | "images" | "tiles":
            if parts[0] != "tiles":
                corrected.add(pointer, "parts")
            if _carry(corrected.output, before, value):
                corrected.add(pointer, "text")


def _carry(output: dict[str, Any], before: Any, value: str) -> bool:
    """Replace in the whole text what a part of it said; return whether it stands there once."""
    if not before or output["text"].count(before) != 1:
        return False
    output["text"] = output["text"].replace(before, value)
    return True


def _is_json_text(output: Mapping[str, Any]) -> bool:
    """Tell whether the text is nothing but the JSON of the answer."""
    try:
        return bool(output.get("json") is not None and json.loads(output["text"]) == output["json"])
    except ValueError:
        return False
