"""A result as one HTML file that needs nothing beside itself and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from gateway.results.contents.blocks import (
    Block,
    Cell,
    Grid,
    Page,
    PlacedCell,
    Prose,
    ResultContent,
    Table,
)
from gateway.results.words import Language, say
from gateway.results.writers.safe_text import xml_text

_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
.text { margin: 1rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; }
th, td { padding: .3rem .6rem; border: 1px solid #8888; text-align: start; vertical-align: top; }
th, td { white-space: pre-wrap; }
th { background: #8882; }
.note { padding: .4rem .8rem; border-inline-start: 4px solid #c70; background: #c701; }
section { margin-top: 2rem; border-top: 1px solid #8888; }
"""
_LANGUAGE = {"en": "en", "zh": "zh-Hans"}


def write_html(content: ResultContent, language: Language) -> bytes:
    """Return the page; raises DoesNotFit."""
    return "".join(_parts(content, language)).encode("utf-8", "replace")


def _parts(content: ResultContent, language: Language) -> Iterator[str]:
    title = _safe(content.title)
    yield f'<!doctype html>\n<html lang="{_LANGUAGE[language]}">\n<head>\n<meta charset="utf-8">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    yield f'<h1 dir="auto">{title}</h1>\n'
    yield from map(_note, content.notes)
    yield from _fields(content, language)
    for page in content.pages:
        yield from _page(page, language)
    yield "</body>\n</html>\n"


def _page(page: Page, language: Language) -> Iterator[str]:
    if page.number is None:
        yield from (part for block in page.blocks for part in _block(block))
        return
    heading = say(page.unit, language, number=page.number)
    yield f'<section id="{page.unit}-{page.number}">\n<h2>{heading}</h2>\n'
    if page.is_gap:
        yield _note(say("gap", language))
    yield from map(_note, page.warnings)
    yield from (part for block in page.blocks for part in _block(block))
    yield "</section>\n"


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Prose):
        yield f'<div class="text" dir="auto">{_safe(block.text)}</div>\n'
        return
    yield f'<div class="wide">{table_html(block)}</div>\n'


def table_html(table: Table) -> str:
    """Return a table with its spans; raises DoesNotFit."""
    rows = (f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in Grid.of(table).placed)
    return f"<table>\n{''.join(rows)}</table>"


def _cell(at: PlacedCell) -> str:
    tag = "th" if at.cell.is_header else "td"
    spans = _span("colspan", at.cell.columns) + _span("rowspan", at.cell.rows)
    return f'<{tag} dir="auto"{spans}>{_safe(at.cell.text)}</{tag}>'


def _span(name: str, count: int) -> str:
    return f' {name}="{count}"' if count > 1 else ""


def _fields(content: ResultContent, language: Language) -> Iterator[str]:
    rows = [(name, value) for name, values in content.fields.items() for value in values]
    if rows:
        yield f"<h2>{say('fields', language)}</h2>\n<table>\n"
        for name, value in rows:
            yield f"<tr>{_cell(PlacedCell(0, 0, Cell(name, is_header=True)))}"
            yield f"{_cell(PlacedCell(0, 1, Cell(value)))}</tr>\n"
        yield "</table>\n"


def _note(sentence: str) -> str:
    return f'<p class="note">{_safe(sentence)}</p>\n'


def _safe(text: str) -> str:
    return escape(xml_text(text))
