"""Writes a result in one of the forms that show where its text stands."""

from __future__ import annotations

from gateway.results.scans.frames import ScanOrder
from gateway.results.scans.sheets import ScanForm


def render_scan(order: ScanOrder) -> bytes:
    """Return the file; raises DoesNotFit. The library of a form is loaded only now."""
    if order.form is ScanForm.HOCR:
        from gateway.results.writers.hocr_page import write_hocr

        return write_hocr(order.sheets, order.title, order.language)
    if order.form is ScanForm.SVG:
        from gateway.results.writers.svg_overlay import write_svg

        return write_svg(order.sheets[0], next(order.pictures()), order.title, order.language)
    from gateway.results.writers.pdf_file import add_layer, write_pdf

    if order.is_file:
        return add_layer(next(order.pictures()), order.sheets)
    return write_pdf(order.sheets, order.pictures(), order.title)
