"""The text layer of a page, held against what the page shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.documents.ink.blank import is_blank
from shared.documents.ink.figures import find_figures
from shared.documents.ink.mask import Grey, find_ink
from shared.documents.model import PageText, TextDoubt, TextLine
from shared.documents.pdf.characters import MAX_CHARACTERS, belongs_to, read_glyphs
from shared.documents.pdf.file import PdfPage
from shared.documents.pdf.rendering import hide_text, ink_scale, render_grey
from shared.documents.text.coverage import find_shown, share_outside
from shared.documents.text.glyphs import Flags, Glyphs
from shared.documents.text.layout import read_layout
from shared.documents.text.plausibility import (
    doubt_codes,
    doubt_density,
    doubt_stacks,
    doubt_words,
)

#: Share of the writing that may be outside of all characters.
_MOST_OUTSIDE = 0.04
#: Share of characters that do not show, from which the text belongs to a picture of the page.
_MOST_HIDDEN = 0.5


@dataclass(frozen=True, slots=True)
class _Looks:
    """The page as it is and without its text, in grey, at `scale` pixels per point."""

    whole: Grey
    textless: Grey
    scale: float
    #: Which characters were made to be invisible, (n,).
    invisible: Flags

    @classmethod
    def of(cls, page: PdfPage, characters: int) -> _Looks:
        whole = render_grey(page)
        hidden = hide_text(page)
        invisible = belongs_to(page, hidden) if hidden else np.zeros(characters, bool)
        return cls(whole, render_grey(page), ink_scale(page), invisible)


def read_page_text(page: PdfPage) -> PageText:
    """Return the text layer of an open page, whose text is hidden from then on.

    Raises DocumentDamaged.
    """
    glyphs = read_glyphs(page)
    if not glyphs.drawn.any():
        blank = page.is_empty or is_blank(render_grey(page))
        return PageText("", (), trusted=False, doubt=TextDoubt.NO_TEXT, ink_outside=0, blank=blank)
    looks = _Looks.of(page, len(glyphs))
    shown = find_shown(glyphs, looks.whole, looks.textless, looks.scale) & ~looks.invisible
    return _judge(page, glyphs, shown, looks)


def _judge(page: PdfPage, glyphs: Glyphs, shown: Flags, looks: _Looks) -> PageText:
    drawn = glyphs.drawn
    hidden = 1 - shown.sum() / drawn.sum()
    kept = glyphs if hidden > _MOST_HIDDEN else glyphs.select(shown | glyphs.spaces)
    text, lines = read_layout(kept, page.width, page.height)
    outside = share_outside(looks.whole, looks.textless)
    doubt = _doubt_text(page, glyphs.select(drawn), text, lines)
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
        figures=find_figures(find_ink(looks.textless), looks.whole != looks.textless, looks.scale),
        blank=bool(not shown.any()) and is_blank(looks.whole),
    )


def _doubt_text(
    page: PdfPage, drawn: Glyphs, text: str, lines: tuple[TextLine, ...]
) -> TextDoubt | None:
    too_many = TextDoubt.IMPLAUSIBLE if len(drawn) >= MAX_CHARACTERS else None
    return (
        doubt_codes(drawn.codes)
        or too_many
        or doubt_density(len(drawn), page.width, page.height)
        or doubt_stacks(lines)
        or doubt_words(text)
    )
