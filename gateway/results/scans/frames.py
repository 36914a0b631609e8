"""What gateway and child write to each other about a scan: lines of JSON, then its pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from gateway.results.scans.sheets import ScanForm, Sheet
from gateway.results.words import Language

_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class ScanOrder:
    """What a child is to write, and what it is drawn on."""

    form: ScanForm
    title: str
    language: Language
    sheets: Sequence[Sheet]
    #: Yields a PNG for each sheet, or the PDF that all of them are pages of, or nothing.
    pictures: Callable[[], Iterator[bytes]]
    #: `pictures` yields that PDF.
    is_file: bool = False


def scan_parts(order: ScanOrder) -> Iterator[bytes]:
    """Yield the bytes of an order, a sheet or a picture at a time; raises what pictures raise."""
    yield _line(
        {
            "form": order.form.value,
            "title": order.title,
            "language": order.language,
            "sheets": len(order.sheets),
            "is_file": order.is_file,
        }
    )
    for sheet in order.sheets:
        yield _line(sheet.as_dict())
    for picture in order.pictures():
        yield len(picture).to_bytes(_LENGTH_BYTES, "big")
        yield picture


def read_scan(stream: BinaryIO) -> ScanOrder:
    """Return the order that a stream holds; its pictures are read as they are asked for."""
    head = json.loads(stream.readline())
    sheets = [Sheet.from_dict(json.loads(stream.readline())) for _ in range(head["sheets"])]

    def pictures() -> Iterator[bytes]:
        while length := stream.read(_LENGTH_BYTES):
            yield stream.read(int.from_bytes(length, "big"))

    form = ScanForm(head["form"])
    return ScanOrder(form, head["title"], head["language"], sheets, pictures, head["is_file"])


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"
