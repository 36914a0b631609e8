"""A question's images as the model is to see them: opened, and enhanced where that is asked for."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from PIL import Image

from shared.errors import InferenceFailed
from shared.jobs import Notice
from shared.jobs.enhancement import LETTER_HEIGHT, Enhancement
from worker.engine.api import ImageInput


class QuestionImages:
    """The images of one question; each is opened once, and enhanced once for each way asked for."""

    def __init__(self, pngs: Mapping[str, bytes], letter_height: float = LETTER_HEIGHT) -> None:
        """Take canonical image bytes by image id, and how low letters the model reads (pixels)."""
        self._pngs = pngs
        self._letter_height = letter_height
        self._opened: dict[str, Image.Image] = {}
        self._shown: dict[tuple[str, int, Enhancement], ImageInput] = {}
        self._notices: dict[str, list[Notice]] = {}

    def shown(
        self, ids: Sequence[str], max_pixels: int, enhance: Enhancement
    ) -> tuple[ImageInput, ...]:
        """Return images for the engine; raises InferenceFailed for one that is damaged."""
        return tuple(self._show(image_id, max_pixels, enhance) for image_id in ids)

    def notices(self, ids: Sequence[str]) -> list[Notice]:
        """Return what was done to these images."""
        return [notice for image_id in ids for notice in self._notices.get(image_id, ())]

    def _show(self, image_id: str, max_pixels: int, wish: Enhancement) -> ImageInput:
        key = (image_id, max_pixels, wish)
        if key not in self._shown:
            self._shown[key] = self._make(image_id, max_pixels, wish)
        return self._shown[key]

    def _make(self, image_id: str, max_pixels: int, wish: Enhancement) -> ImageInput:
        if image_id not in self._opened:
            self._opened[image_id] = open_png(self._pngs[image_id])
        image = self._opened[image_id]
        if wish == "off":
            return ImageInput(image_id, image, max_pixels)
        # OpenCV is imported only where an image is really enhanced
        from worker.enhance import enhance

        done = enhance(image, wish, max_pixels, self._letter_height)
        self._notices[image_id] = _told(image_id, done.report, done.skipped)
        return ImageInput(image_id, done.image, max_pixels, done.variant)


def _told(image_id: str, told: Sequence[str], left_out: Sequence[str]) -> list[Notice]:
    notices = []
    if told:
        detail = f"{image_id}: {'; '.join(told)}."
        notices.append(Notice(code="image_enhanced", detail=detail))
    if left_out:
        detail = f"{image_id}: {'; '.join(left_out)}."
        notices.append(Notice(code="enhance_step_left_out", detail=detail))
    return notices


def open_png(png: bytes) -> Image.Image:
    """Return the canonical image; our own PNG, so a failure is ours too."""
    try:
        image = Image.open(io.BytesIO(png), formats=["PNG"])
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise InferenceFailed("Image decode failed: the stored image is damaged.") from error
    return image
