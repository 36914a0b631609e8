"""The lines of a page with their places on it: points of a PDF, pixels of a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from shared.documents.model import PageInfo, PageText, RenderedPage
from shared.documents.model import TextLine as LayerLine
from shared.jobs import JobInput, TextLine
from shared.jobs.answers.lines import Box, Boxes, Corner, Corners, PlacedText
from worker.jobs.placing import place_answer
from worker.places.geometry import map_rows, turn_back
from worker.places.seen import SeenImage, seen_lines

#: Digits behind the point.
_DIGITS = 1


def place_page(
    job: JobInput,
    text: str,
    known: Sequence[TextLine],
    seen: Sequence[SeenImage],
    page: PageInfo,
    rendered: RenderedPage,
) -> tuple[TextLine, ...]:
    """Return the lines of a page that was read, from what was `seen` in its picture.

    `known` are lines without places, as the model has them.
    """
    back = way_back(page, rendered)
    images = [replace(one, rows=map_rows(one.rows, back)) for one in seen]
    lines = place_answer(job, text, known, images, _DIGITS)
    return tuple(line.model_copy(update={"image": None, "page": page.number}) for line in lines)


def seen_page_lines(
    seen: Sequence[SeenImage], page: PageInfo, rendered: RenderedPage
) -> tuple[TextLine, ...]:
    """Return what was seen in the picture of a page as lines with places on the page."""
    back = way_back(page, rendered)
    images = [replace(one, rows=map_rows(one.rows, back)) for one in seen]
    return tuple(
        line.model_copy(update={"image": None, "page": page.number})
        for line in seen_lines(images, _DIGITS)
    )


def way_back(page: PageInfo, rendered: RenderedPage) -> Callable[[Corner], Corner]:
    """Return what maps a place in the picture of a page to one on the page as it is filed."""
    width, height = rendered.width, rendered.height
    if rendered.turned % 180:
        width, height = height, width
    page_width, page_height = page.width, page.height
    if (page_width > page_height) != (width > height) and page_width != page_height:
        # the file of a picture may ask for a turn as well
        page_width, page_height = page_height, page_width

    def back(place: Corner) -> Corner:
        left, top = turn_back(place, rendered.turned % 360, width, height)
        return left / width * page_width, top / height * page_height

    return back


def text_layer_lines(boxes: Boxes, text: PageText, number: int) -> tuple[TextLine, ...]:
    """Return the lines of a page's own text, which has its places; () unless they are wanted."""
    if boxes == "none":
        return ()
    return tuple(
        _layer_line(line, number, boxes) for line in text.lines if any(map(str.isalnum, line.text))
    )


def _layer_line(line: LayerLine, number: int, boxes: Boxes) -> TextLine:
    words = tuple(
        PlacedText(text=word.text, box=_round(word.box), corners=_corners(word.box, line.rotation))
        for word in line.words
    )
    box = _round(line.box)
    return TextLine(
        text=line.text,
        confidence=None,
        box=box,
        polygon=_corners(box, line.rotation),
        page=number,
        words=words if boxes == "word" else None,
    )


def _round(box: Box) -> Box:
    left, top, right, bottom = (round(length, _DIGITS) for length in box)
    return left, top, right, bottom


def _corners(box: Box, rotation: int) -> Corners:
    """Return the corners of a box as a text runs that is turned so, clockwise."""
    left, top, right, bottom = box
    corners: list[Corner] = [(left, top), (right, top), (right, bottom), (left, bottom)]
    turns = rotation // 90
    first, second, third, fourth = corners[turns:] + corners[:turns]
    return first, second, third, fourth
