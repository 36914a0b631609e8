"""The enhancement of images before the model reads them: its steps and their names."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from shared.excerpt import excerpt

#: Height in pixels of the smallest letters that a model reads well, unless it says otherwise; fonts
#: of about 12 pixels have them.
LETTER_HEIGHT = 7.0


class EnhanceStep(StrEnum):
    """An enhancement step; members are in the order in which the steps run."""

    #: Remove noise without blurring the letters.
    DENOISE = "denoise"
    #: Cut out a photographed page and undo its perspective.
    PERSPECTIVE = "perspective"
    #: Rotate the image so that lines of text are level.
    DESKEW = "deskew"
    #: Spread pale or unevenly lit text over the whole range of brightness.
    CONTRAST = "contrast"
    #: Shrink text that is too large for the model.
    DOWNSCALE = "downscale"
    #: Enlarge text that is too small to read.
    UPSCALE = "upscale"
    #: Make every pixel black or white.
    BINARIZE = "binarize"


def _parse_steps(value: Any) -> Any:
    """Accept a single step for a list of one; raise ValueError with the known steps."""
    if value is None or value in ("auto", "off"):
        return value
    steps = [value] if isinstance(value, str) else value
    if not isinstance(steps, list | tuple):
        raise ValueError("must be auto, off or a list of steps")  # noqa: TRY004
    for step in steps:
        if step not in list(EnhanceStep):
            known = ", ".join(EnhanceStep)
            raise ValueError(f"unknown step {excerpt(step)!r}; use {known}, or auto, or off")
    if len(set(steps)) < len(steps):
        raise ValueError("a step can be listed only once")
    return tuple(EnhanceStep(step) for step in steps)


#: "auto": the steps that the image needs by its measures; "off": none; or a list of steps.
Enhancement = Annotated[
    Literal["auto", "off"] | tuple[EnhanceStep, ...], BeforeValidator(_parse_steps)
]
