"""The images of one question as the engine gets them: opened, and enhanced on request."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from PIL import Image

from shared.errors import InferenceFailed
from shared.jobs import Notice
from shared.jobs.parameters.enhancement import LETTER_HEIGHT, Enhancement
from worker.engine.api import ImageInput, ModelInfo
from worker.pipeline.looks import leave_out_blanks


class QuestionImages:
    """The images of one question; each is opened once, and enhanced once for each `Enhancement`."""

    def __init__(
        self,
        pngs: Mapping[str, bytes | Image.Image],
        letter_height: float = LETTER_HEIGHT,
        tallest_letters: float | None = None,
        *,
        variants: Mapping[str, str] | None = None,
        file_ids: Mapping[str, str] | None = None,
    ) -> None:
        """`pngs` are canonical images by id, as PNG or opened.

        The model reads letters of `letter_height` to `tallest_letters` pixels. `variants` name what
        was done to some images, `file_ids` the stored file of each that was drawn from one.
        """
        self._pngs = pngs
        self._variants = variants or {}
        self._letter_height = letter_height
        self._tallest_letters = tallest_letters
        self._file_ids = file_ids or {}
        self._opened: dict[str, Image.Image] = {}
        self._inputs: dict[tuple[str, int, Enhancement], ImageInput] = {}
        self._notices: dict[str, list[Notice]] = {}

    def inputs(
        self, ids: Sequence[str], max_pixels: int, enhance: Enhancement
    ) -> tuple[ImageInput, ...]:
        """Return RGB images for the engine; raises InferenceFailed for a damaged one."""
        return tuple(self._input(image_id, max_pixels, enhance) for image_id in ids)

    def leave_out_blanks(
        self, image_id: str, max_pixels: int, enhance: Enhancement, info: ModelInfo
    ) -> None:
        """Show an image without margins and wide blank bands from now on, where that saves much."""
        tight = leave_out_blanks(self._input(image_id, max_pixels, enhance), info)
        if tight is not None:
            self._inputs[image_id, max_pixels, enhance] = tight.source
            self._notices.setdefault(image_id, []).append(tight.notice)

    def notices(self, ids: Sequence[str]) -> list[Notice]:
        """Return what was done to these images."""
        return [notice for image_id in ids for notice in self._notices.get(image_id, ())]

    def _input(self, image_id: str, max_pixels: int, enhance: Enhancement) -> ImageInput:
        key = (image_id, max_pixels, enhance)
        if key not in self._inputs:
            self._inputs[key] = self._make_input(image_id, max_pixels, enhance)
        return self._inputs[key]

    def _make_input(self, image_id: str, max_pixels: int, enhance: Enhancement) -> ImageInput:
        if image_id not in self._opened:
            self._opened[image_id] = open_image(self._pngs[image_id])
        image, file_id = self._opened[image_id], self._file_ids.get(image_id, "")
        variant = self._variants.get(image_id, "")
        if enhance == "off":
            return ImageInput(image_id, image, max_pixels, variant, file_id)
        # OpenCV is imported only where an image is really enhanced
        from worker.enhance import enhance as enhance_image

        letters = self._letter_height, self._tallest_letters
        enhanced = enhance_image(image, enhance, max_pixels, *letters)
        self._notices[image_id] = enhancement_notices(image_id, enhanced.report, enhanced.skipped)
        variant += enhanced.variant
        return ImageInput(image_id, enhanced.image, max_pixels, variant, file_id)


def enhancement_notices(
    image_id: str, steps: Sequence[str], left_out: Sequence[str]
) -> list[Notice]:
    """Return what callers are to know of an image's enhancement."""
    notices = []
    if steps:
        detail = f"{image_id}: {'; '.join(steps)}."
        notices.append(Notice(code="image_enhanced", detail=detail))
    if left_out:
        detail = f"{image_id}: {'; '.join(left_out)}."
        notices.append(Notice(code="enhance_step_left_out", detail=detail))
    return notices


def open_image(stored: bytes | Image.Image) -> Image.Image:
    """Return an image that is stored as PNG or open already; raises as `open_png`."""
    return open_png(stored) if isinstance(stored, bytes) else stored


def open_png(png: bytes) -> Image.Image:
    """Return a stored canonical image; raises InferenceFailed when it is damaged."""
    try:
        image = Image.open(io.BytesIO(png), formats=["PNG"])
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise InferenceFailed("Image decode failed: the stored image is damaged.") from error
    return image
