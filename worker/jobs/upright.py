"""Turns images upright whose text is read; callers are told, and places stay those of the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PIL.Image import Image

from shared.catalog.presets import Preset
from shared.documents.picture import (
    UNKNOWN,
    judge_picture_turn,
    turn_notice,
    turn_picture,
    unknown_notice,
)
from shared.jobs import JobInput, Notice, TilingTask
from worker.pipeline.images import open_image

Box = tuple[int, int, int, int]
_IMAGE_TURNED = "image_turned"

#: Returns the clockwise degrees by which to turn an image upright; None if unsure.
TurnFinder = Callable[[Image], int | None]


@dataclass(frozen=True, slots=True)
class Turn:
    """How a stored image of this width and height was turned clockwise: by 0 to 270 degrees."""

    degrees: int
    width: int
    height: int
    #: False where it could not be told how it lies.
    sure: bool = True

    def turn_back(self, box: Box) -> Box:
        """Return a box of the turned image as one of the stored image."""
        left, top, right, bottom = box
        if self.degrees == 90:
            return top, self.height - right, bottom, self.height - left
        if self.degrees == 180:
            return self.width - right, self.height - bottom, self.width - left, self.height - top
        if self.degrees == 270:
            return self.width - bottom, left, self.width - top, right
        return box


class Upright:
    """Finds which images of a job are to be turned, and turns them."""

    def __init__(
        self, reading_presets: frozenset[str], find_turn: TurnFinder | None = None
    ) -> None:
        """`reading_presets` are those for which the text of the image is read.

        `find_turn` is asked where the ink alone does not tell.
        """
        self._presets = reading_presets
        self._find_turn = find_turn

    @classmethod
    def of(cls, presets: Mapping[str, Preset], find_turn: TurnFinder | None = None) -> Upright:
        """Return what turns images for these presets."""
        names = frozenset(preset.name for preset in presets.values() if preset.reads)
        return cls(names, find_turn)

    def reads(self, job: JobInput) -> bool:
        """Tell whether the text of a job's images is read."""
        if job.encode_only or job.document:
            return False
        tiled = job.tiling is not None and job.tiling.task is TilingTask.READ
        return tiled or job.find is not None or job.preset in self._presets

    def turn(self, image: Image, *, look: bool = True) -> tuple[Image, Turn]:
        """Return an image as its writing stands upright; as it is where that is not sure.

        Without a `look` only the ink tells.
        """
        degrees = judge_picture_turn(image)
        if degrees is None and look and self._find_turn is not None:
            degrees = self._find_turn(image)
        turn = Turn(degrees or 0, *image.size, sure=degrees is not None)
        return (turn_picture(image, turn.degrees) if turn.degrees else image), turn

    def turn_all(
        self, job: JobInput, pngs: Mapping[str, bytes | Image | None]
    ) -> tuple[dict[str, Image], dict[str, str], list[Notice]]:
        """Return those of a job's images that were turned, a name of each change, and notices."""
        turned, variants, notices = dict[str, Image](), dict[str, str](), list[Notice]()
        # the second reader sees by itself how an image lies
        alone = job.reader == "second"
        for number, name in enumerate(job.images):
            stored = pngs.get(name)
            if not stored or not self.reads(job):
                continue
            image, turn = self.turn(open_image(stored), look=not alone)
            if turn.degrees:
                turned[name], variants[name] = image, f"turn{turn.degrees}"
                notices.append(turned_notice(number, turn.degrees))
            elif not (turn.sure or alone or job.find):
                notices.append(doubtful_notice(number))
        return turned, variants, notices


def degrees_of(variant: str | None) -> int:
    """Return by how much an image was turned clockwise whose change has this name."""
    return int((variant or "turn0").removeprefix("turn"))


def turned_notice(number: int, degrees: int) -> Notice:
    """Return what callers are told of a turned image; `number` counts from 0."""
    _, detail = turn_notice(degrees)
    return Notice(code=_IMAGE_TURNED, detail=f"Image {number + 1}: {detail}")


def doubtful_notice(number: int) -> Notice:
    """Return what callers are told of an image that may lie on its side; counted from 0."""
    code, detail = unknown_notice()
    return Notice(code=code, detail=f"Image {number + 1}: {detail}")


def of_page(notices: Sequence[Notice]) -> list[Notice]:
    """Return notices about the picture of a page; how it lies is told once, of the page."""
    code, _ = turn_notice(0)
    names = {_IMAGE_TURNED: code, UNKNOWN: UNKNOWN}
    about = [notice for notice in notices if notice.code in names]
    others = [notice for notice in notices if notice.code not in names]
    first = {names[one.code]: one.detail.partition(": ")[2] for one in reversed(about)}
    return [*others, *(Notice(code=code, detail=detail) for code, detail in first.items())]
