"""The pages and images of a result, each with the lines that were read on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self


class ScanForm(StrEnum):
    """A form of a result that shows where its text stands."""

    PDF = "pdf"
    HOCR = "hocr"
    SVG = "svg"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page or an image, with its lines and objects as `output` has them."""

    unit: Literal["page", "image"]
    #: From 1.
    number: int
    #: In the unit of its boxes: pixels, or points of a PDF.
    width: float
    height: float
    #: Its text comes from a reader, not from the file itself.
    is_read: bool = True
    #: Its boxes are points of a PDF, and no pixels.
    has_points: bool = False
    lines: Sequence[Mapping[str, Any]] = field(default_factory=list)
    objects: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @property
    def boxes(self) -> list[Sequence[float]]:
        """Return all places on it."""
        return [one["box"] for one in (*self.lines, *self.objects) if one.get("box")]

    def as_dict(self) -> dict[str, Any]:
        """Return it for `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return what `as_dict` gave."""
        return cls(**fields)
