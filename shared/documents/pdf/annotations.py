"""What annotations say without letters on the page: ticked boxes, and texts without a picture."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from dataclasses import dataclass

from pypdfium2 import raw

#: Left, bottom, right and top in the page's own coordinates.
Rect = tuple[float, float, float, float]

#: Of an unset and a set button.
_SIGNS = {
    raw.FPDF_FORMFIELD_CHECKBOX: ("\u2610", "\u2611"),
    raw.FPDF_FORMFIELD_RADIOBUTTON: ("\u25cb", "\u25c9"),
}
_UNSEEN = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW
#: More annotations and letters than a page has room for.
_MOST_ANNOTATIONS, _MOST_CHARACTERS = 20_000, 20_000


@dataclass(frozen=True, slots=True)
class Sign:
    """A text that stands for an annotation."""

    text: str
    rect: Rect
    #: It stands for what is drawn there, and not beside it.
    instead: bool


def read_signs(page: raw.FPDF_PAGE, form: raw.FPDF_FORMHANDLE | None) -> tuple[Sign, ...]:
    """Return the state of the page's buttons, and its free texts that have no picture of theirs."""
    count = min(raw.FPDFPage_GetAnnotCount(page), _MOST_ANNOTATIONS)
    signs = (_read_sign(page, form, index) for index in range(count))
    return tuple(sign for sign in signs if sign)


def _read_sign(page: raw.FPDF_PAGE, form: raw.FPDF_FORMHANDLE | None, index: int) -> Sign | None:
    with _annotation(page, index) as annotation:
        if not annotation or raw.FPDFAnnot_GetFlags(annotation) & _UNSEEN:
            return None
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        if kind == raw.FPDF_ANNOT_WIDGET and form:
            return _read_button(form, annotation)
        if kind == raw.FPDF_ANNOT_FREETEXT and not raw.FPDFAnnot_HasKey(annotation, b"AP"):
            text = _read_contents(annotation)
            return Sign(text, _rect(annotation), instead=False) if text.strip() else None
        return None


@contextlib.contextmanager
def _annotation(page: raw.FPDF_PAGE, index: int) -> Iterator[raw.FPDF_ANNOTATION | None]:
    annotation = raw.FPDFPage_GetAnnot(page, index)
    try:
        yield annotation
    finally:
        if annotation:
            raw.FPDFPage_CloseAnnot(annotation)


def _read_button(form: raw.FPDF_FORMHANDLE, annotation: raw.FPDF_ANNOTATION) -> Sign | None:
    signs = _SIGNS.get(raw.FPDFAnnot_GetFormFieldType(form, annotation))
    if signs is None:
        return None
    text = signs[bool(raw.FPDFAnnot_IsChecked(form, annotation))]
    return Sign(text, _rect(annotation), instead=True)


def _rect(annotation: raw.FPDF_ANNOTATION) -> Rect:
    rect = raw.FS_RECTF()
    raw.FPDFAnnot_GetRect(annotation, rect)
    left, right = sorted((rect.left, rect.right))
    bottom, top = sorted((rect.bottom, rect.top))
    return left, bottom, right, top


def _read_contents(annotation: raw.FPDF_ANNOTATION) -> str:
    size = raw.FPDFAnnot_GetStringValue(annotation, b"Contents", None, 0)
    if not 2 < size <= 2 * _MOST_CHARACTERS:
        return ""
    buffer = (ctypes.c_ushort * (size // 2))()
    raw.FPDFAnnot_GetStringValue(annotation, b"Contents", buffer, size)
    return bytes(buffer).decode("utf-16-le", "replace").rstrip("\0")
