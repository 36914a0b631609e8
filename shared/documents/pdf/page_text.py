"""The text layer of a page, held against what the page shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from shared.documents.ink.blank import is_blank
from shared.documents.ink.figures import find_figures
from shared.documents.ink.mask import Grey, Mask, find_ink
from shared.documents.model import PageText, TextDoubt, TextLine
from shared.documents.pdf.characters import MAX_CHARACTERS, read_glyphs, to_upright
from shared.documents.pdf.file import PdfPage
from shared.documents.pdf.pictures import check_pictures
from shared.documents.pdf.rendering import ink_scale, render_grey
from shared.documents.pdf.signs import add_glyphs, outside_of, sign_glyphs
from shared.documents.pdf.text_objects import hide_text
from shared.documents.text.coverage import find_change, find_shown, share_outside
from shared.documents.text.doubles import without_doubles
from shared.documents.text.glyphs import UNKNOWN, Flags, Floats, Glyphs
from shared.documents.text.layout import read_layout
from shared.documents.text.ligatures import turn_ligatures
from shared.documents.text.plausibility import (
    doubt_codes,
    doubt_density,
    doubt_fonts,
    doubt_stacks,
    doubt_words,
)
from shared.documents.text.vertical import turn_vertical

#: Share of the writing that may be outside of all characters.
_MOST_OUTSIDE = 0.04
#: Share of characters that do not show, from which the text belongs to a picture of the page.
_MOST_HIDDEN = 0.5
#: Of scripts beyond Latin, Greek and Cyrillic, a machine may have no font.
_FIRST_FOREIGN = 0x530


@dataclass(frozen=True, slots=True)
class _Looks:
    """The picture of a page in grey, at `scale` pixels per point."""

    whole: Grey
    #: What its text changes, and the ink beside that, (height, width).
    text: Mask
    rest: Mask
    scale: float
    #: Which characters were made to be invisible, and whose font the file has not; (n,).
    invisible: Flags
    fontless: Flags

    @classmethod
    def of(cls, page: PdfPage, glyphs: Glyphs) -> _Looks:
        whole = render_grey(page)
        objects = hide_text(page)
        # letters for others are on every machine
        foreign = glyphs.codes >= _FIRST_FOREIGN
        fontless = _belong_to(objects.fontless, glyphs) & foreign
        invisible = _belong_to(objects.invisible, glyphs)
        textless, scale = render_grey(page), ink_scale(page)
        rest = find_ink(textless)
        _clear(rest, _sign_boxes(page) * scale)
        return cls(whole, find_change(whole, textless), rest, scale, invisible, fontless)


def _clear(mask: Mask, boxes: Floats) -> None:
    """Take away the ink in boxes and at their borders."""
    for x0, y0, x1, y1 in boxes.astype(int).tolist():
        mask[max(0, y0 - 2) : max(0, y1 + 3), max(0, x0 - 2) : max(0, x1 + 3)] = False


def _sign_boxes(page: PdfPage) -> Floats:
    """Return where signs stand for what is drawn there, (n, 4), on the upright page."""
    rects = [one.rect for one in page.signs if one.instead]
    return to_upright(np.array(rects, np.float64).reshape(-1, 4), page)


def _belong_to(objects: frozenset[int], glyphs: Glyphs) -> Flags:
    return np.isin(glyphs.owners, np.array([*objects], np.uint64))


def read_page_text(page: PdfPage) -> PageText:
    """Return the text layer of an open page, whose text is hidden from then on.

    Raises DocumentDamaged.
    """
    glyphs = _on_page(read_glyphs(page), page)
    if not glyphs.drawn.any() and not page.signs:
        blank = page.is_empty or _shows_nothing(page, render_grey(page))
        return PageText("", (), trusted=False, doubt=TextDoubt.NO_TEXT, ink_outside=0, blank=blank)
    looks = _Looks.of(page, glyphs)
    seen = find_shown(glyphs, looks.text, looks.scale) & ~looks.invisible
    glyphs = _with_blanks(glyphs, seen)
    fontless = glyphs.drawn & looks.fontless & ~seen
    return _judge(page, glyphs, seen | fontless, fontless, looks)


def _shows_nothing(page: PdfPage, picture: Grey) -> bool:
    """Tell whether a page is blank; raises DocumentDamaged if its picture cannot be decoded."""
    blank = is_blank(picture)
    if blank:
        check_pictures(page)
    return blank


def _on_page(glyphs: Glyphs, page: PdfPage) -> Glyphs:
    """Return the characters without those that are beyond the edge of what is seen of a page."""
    x0, y0, x1, y1 = glyphs.boxes.T
    within = (x1 > 0) & (y1 > 0) & (x0 < page.width) & (y0 < page.height)
    return glyphs.select(within | ~glyphs.drawn)


def _with_blanks(glyphs: Glyphs, seen: Flags) -> Glyphs:
    """Return the characters with a space for each that has no meaning and is not seen."""
    blanks = (glyphs.codes == UNKNOWN) & ~seen
    return replace(glyphs, codes=np.where(blanks, np.uint32(ord(" ")), glyphs.codes))


def _judge(page: PdfPage, glyphs: Glyphs, shown: Flags, fontless: Flags, looks: _Looks) -> PageText:
    hidden = (glyphs.drawn & ~shown).sum() / max(1, glyphs.drawn.sum())
    kept = glyphs if hidden > _MOST_HIDDEN else glyphs.select(shown | glyphs.spaces)
    kept = without_doubles(kept)
    text, lines = read_layout(
        _with_signs(page, turn_vertical(turn_ligatures(kept))), page.width, page.height
    )
    outside = share_outside(looks.rest, looks.text, _area(glyphs, fontless, looks.scale))
    doubt = _doubt_text(page, glyphs, text, lines)
    if hidden > _MOST_HIDDEN:
        doubt = doubt or TextDoubt.HIDDEN
    elif outside > _MOST_OUTSIDE:
        doubt = doubt or TextDoubt.INK_OUTSIDE
    return PageText(
        text,
        lines,
        trusted=doubt is None,
        doubt=doubt,
        ink_outside=round(outside, 4),
        figures=find_figures(looks.rest, looks.text, looks.scale),
        blank=not shown.any() and not page.signs and _shows_nothing(page, looks.whole),
        fontless=int(fontless.sum()),
    )


def _area(glyphs: Glyphs, chosen: Flags, scale: float) -> float:
    """Return the pixels of some characters' boxes."""
    boxes = glyphs.boxes[chosen] * scale
    return float(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum())


def _with_signs(page: PdfPage, glyphs: Glyphs) -> Glyphs:
    """Return the characters with what annotations say, in the place of what is drawn there."""
    if not page.signs:
        return glyphs
    codes, places = sign_glyphs(page.signs)
    boxes = to_upright(places, page)
    free = outside_of(glyphs.boxes, _sign_boxes(page))
    return add_glyphs(glyphs.select(free), codes, boxes)


def _doubt_text(
    page: PdfPage, glyphs: Glyphs, text: str, lines: tuple[TextLine, ...]
) -> TextDoubt | None:
    drawn = glyphs.select(glyphs.drawn)
    too_many = TextDoubt.IMPLAUSIBLE if len(drawn) >= MAX_CHARACTERS else None
    if page.signs and not len(drawn):
        return None
    return (
        doubt_codes(drawn.codes)
        or doubt_fonts(glyphs)
        or too_many
        or doubt_density(len(drawn), page.width, page.height)
        or doubt_stacks(lines)
        or doubt_words(text)
    )
