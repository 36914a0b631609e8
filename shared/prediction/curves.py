"""What workers measure of themselves: curves of seconds over size, one for each stage of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Curve:
    """Seconds for `n` of something: `fixed` + `each`·n + `square`·n²."""

    fixed: float = 0.0
    each: float = 0.0
    square: float = 0.0

    def at(self, n: float) -> float:
        """Return the seconds for `n`."""
        return self.fixed + n * (self.each + n * self.square)

    def __bool__(self) -> bool:
        return bool(self.fixed or self.each or self.square)


UNKNOWN = Curve()


@dataclass(frozen=True, slots=True)
class Speed:
    """What one worker has measured of itself; a curve without seconds is unknown."""

    #: A job beside its engine's work, over the visual tokens of its images.
    prepare: Curve = UNKNOWN
    #: One image in the vision tower, over its visual tokens.
    encode: Curve = UNKNOWN
    #: One pass over a part of a prompt, over its tokens.
    prefill: Curve = UNKNOWN
    #: One token for each running answer, over the number of answers.
    step: Curve = UNKNOWN

    @classmethod
    def of(cls, told: Mapping[str, Sequence[float]]) -> Speed:
        """Return the speed that a heartbeat tells; parts that are not known are left out."""
        known = {name: Curve(*told[name][:3]) for name in cls.__dataclass_fields__ if name in told}
        return cls(**known)

    def as_dict(self) -> dict[str, list[float]]:
        """Return the form that a heartbeat carries."""
        curves = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: [round(part, 12) for part in (curve.fixed, curve.each, curve.square)]
            for name, curve in curves.items()
        }
