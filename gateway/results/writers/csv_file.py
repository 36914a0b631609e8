"""A result as CSV: its tables, or its lines where it has none."""

from __future__ import annotations

import csv
import io

from gateway.results.contents.blocks import Grid, ResultContent
from gateway.results.contents.titled_tables import text_table, titled_tables
from gateway.results.words import Language
from gateway.results.writers.safe_text import is_formula

#: Tells spreadsheets that the file is UTF-8.
_MARK = "\ufeff"


def write_csv(content: ResultContent, language: Language) -> bytes:
    """Return the tables as CSV; raises DoesNotFit.

    Of several tables each follows a row with its name, and an empty row keeps them apart. What a
    span covers is empty. A cell that a spreadsheet would compute begins with an apostrophe.
    """
    tables = titled_tables(content, language) or [text_table(content, language)]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    for number, titled in enumerate(tables):
        if number:
            out.write("\r\n")
        if len(tables) > 1:
            writer.writerow([titled.title])
        writer.writerows(map(_row, Grid.of(titled.table).text_rows()))
    return (_MARK + out.getvalue()).encode("utf-8", "replace")


def _row(texts: list[str]) -> list[str]:
    return [f"'{text}" if is_formula(text) else text.replace("\0", "\ufffd") for text in texts]
