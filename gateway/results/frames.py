"""What gateway and rendering child write to each other: lines of JSON, then raw bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from gateway.results.forms import ResultForm
from gateway.results.words import Language


@dataclass(frozen=True, slots=True)
class RenderOrder:
    """What a child is to render."""

    form: ResultForm
    output: Mapping[str, Any]
    title: str
    language: Language


#: The members of an output that no form shows, and that may be large.
_UNUSED = ("text", "pages", "tiles", "lines", "json", "evidence", "objects")


def order_parts(order: RenderOrder) -> Iterator[bytes]:
    """Yield the bytes of an order, a page at a time."""
    pages = order.output.get("pages") or []
    head = {
        "form": order.form.value,
        "title": order.title,
        "language": order.language,
        "output": {key: value for key, value in order.output.items() if key not in _UNUSED},
        "pages": len(pages),
    }
    yield _line(head)
    for page in pages:
        yield _line({key: value for key, value in page.items() if key not in ("tiles", "lines")})
    # pages hold all the text that there is
    yield b"" if pages else order.output["text"].encode("utf-8", "replace")


def read_order(stream: BinaryIO) -> RenderOrder:
    """Return the order that a stream holds."""
    head = json.loads(stream.readline())
    pages = [json.loads(stream.readline()) for _ in range(head["pages"])]
    text = stream.read().decode("utf-8")
    output = head["output"] | {"text": text, "pages": pages or None}
    return RenderOrder(ResultForm(head["form"]), output, head["title"], head["language"])


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def write_body(stream: BinaryIO, body: bytes) -> None:
    """Write a rendered result."""
    stream.write(b"{}\n")
    stream.write(body)


def write_refusal(stream: BinaryIO, detail: str) -> None:
    """Write why a result cannot be rendered."""
    stream.write(_line({"refusal": detail}))


def split_reply(reply: bytes) -> tuple[str | None, bytes]:
    """Return why there is no result, or None, and the result; raises ValueError for a torn one."""
    head, newline, body = reply.partition(b"\n")
    if not newline:
        raise ValueError("the reply has no first line")
    return json.loads(head).get("refusal"), body
