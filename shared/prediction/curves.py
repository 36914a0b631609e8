"""Measured speed of a worker: a curve of seconds over size for each stage of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Curve:
    """Seconds as a function of a size n: `fixed` + `each`·n + `square`·n²."""

    fixed: float = 0.0
    each: float = 0.0
    square: float = 0.0

    def at(self, n: float) -> float:
        """Return the seconds for a size of `n`."""
        return self.fixed + n * (self.each + n * self.square)

    def __bool__(self) -> bool:
        return bool(self.fixed or self.each or self.square)


UNKNOWN = Curve()


@dataclass(frozen=True, slots=True)
class Speed:
    """The curves that one worker has measured; an empty one is unknown."""

    #: A job outside the engine, over the visual tokens of its images.
    prepare: Curve = UNKNOWN
    #: One image in the vision tower, over its visual tokens.
    encode: Curve = UNKNOWN
    #: One prefill pass, over its tokens.
    prefill: Curve = UNKNOWN
    #: One decoding step, over the number of answers that get a token from it.
    step: Curve = UNKNOWN
    #: One image in the second reader, over its pixels in units of 1,024.
    read: Curve = UNKNOWN

    @classmethod
    def parse(cls, curves: Mapping[str, Sequence[float]]) -> Speed:
        """Return the speed from a heartbeat's `speed`; unknown names are left out."""
        known = [name for name in cls.__dataclass_fields__ if name in curves]
        return cls(**{name: Curve(*curves[name][:3]) for name in known})

    def as_dict(self) -> dict[str, list[float]]:
        """Return the form that a heartbeat carries: coefficients by name."""
        curves = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: [round(part, 12) for part in (curve.fixed, curve.each, curve.square)]
            for name, curve in curves.items()
        }
