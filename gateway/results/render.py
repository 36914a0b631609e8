"""Writes a result in one of the forms that take work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.results.contents.blocks import ResultContent
from gateway.results.contents.reading import read_content
from gateway.results.forms import ResultForm
from gateway.results.words import Language

Write = Callable[[ResultContent, Language], bytes]


def render(form: ResultForm, output: Mapping[str, Any], title: str, language: Language) -> bytes:
    """Return a job's output in a form other than text, Markdown and JSON; raises DoesNotFit."""
    return _writer(form)(read_content(output, title, language), language)


def _writer(form: ResultForm) -> Write:
    """Return what writes a form; its library is loaded only now."""
    if form is ResultForm.HTML:
        from gateway.results.writers.html_page import write_html

        return write_html
    if form is ResultForm.CSV:
        from gateway.results.writers.csv_file import write_csv

        return write_csv
    if form is ResultForm.XLSX:
        from gateway.results.writers.xlsx_file import write_xlsx

        return write_xlsx
    from gateway.results.writers.docx_file import write_docx

    return write_docx
