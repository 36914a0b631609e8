"""The words for what may be done to an image before a model reads it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

#: Height in pixels of the lowest letters that a model reads well unless it says otherwise: those
#: of fonts of about 12 pixels.
LETTER_HEIGHT = 7.0


class EnhanceStep(StrEnum):
    """An enhancement step; members are in the order in which the steps run."""

    #: Smooth the grain without blurring the letters.
    DENOISE = "denoise"
    #: Cut out a photographed page and look at it straight from above.
    PERSPECTIVE = "perspective"
    #: Turn the image so that lines of text are level.
    DESKEW = "deskew"
    #: Spread pale or unevenly lit text over the whole range of brightness.
    CONTRAST = "contrast"
    #: Enlarge text that is too small to read.
    UPSCALE = "upscale"
    #: Black on white and nothing between.
    BINARIZE = "binarize"


def _known(value: Any) -> Any:
    """Take one step for a list of one, and say which steps there are."""
    if value is None or value in ("auto", "off"):
        return value
    steps = [value] if isinstance(value, str) else value
    if not isinstance(steps, list | tuple):
        raise ValueError("must be auto, off or a list of steps")  # noqa: TRY004
    for step in steps:
        if step not in list(EnhanceStep):
            known = ", ".join(EnhanceStep)
            raise ValueError(f"unknown step {step!r}; use {known}, or auto, or off")
    if len(set(steps)) < len(steps):
        raise ValueError("a step can be listed only once")
    return tuple(EnhanceStep(step) for step in steps)


#: "auto" takes the steps that the measured image calls for, "off" none; or the steps themselves.
Enhancement = Annotated[Literal["auto", "off"] | tuple[EnhanceStep, ...], BeforeValidator(_known)]
