"""PDFs that are damaged, or built to be costly: each with a name."""

from __future__ import annotations

import functools
import itertools
import random
import re
import zlib
from collections.abc import Callable, Iterator

import pikepdf

from tests.support.documents.drawn import draw_scan, pdf, prose, rewritten, scan, text_page


def plain() -> bytes:
    """Return a small PDF of three pages, its streams readable."""
    return pdf(text_page(1), text_page(2), text_page(3), pageCompression=0)


def _object(number: int, body: bytes) -> bytes:
    return b"%d 0 obj\n%s\nendobj\n" % (number, body)


def hand_written(*bodies: bytes) -> bytes:
    """Return a PDF of objects 1, 2, …, of which the first is its catalog."""
    parts = [b"%PDF-1.7\n", *(_object(number, body) for number, body in enumerate(bodies, 1))]
    places = [*itertools.accumulate(map(len, parts))]
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places[:-1])
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
    return b"".join(parts) + table + trailer % (len(bodies) + 1, places[-1])


def _page(content: bytes, more: bytes = b"", box: bytes = b"0 0 595 842") -> bytes:
    stream = b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), more, content)
    return hand_written(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [%s] /Contents 4 0 R /Resources << /Font << /F1 "
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>" % box,
        stream,
    )


def _bomb(megabytes: int) -> bytes:
    packed = zlib.compress(b"0 0 m\n" * (megabytes * 170_000), 1)
    return _page(packed, b"/Filter /FlateDecode")


def _nested_bomb() -> bytes:
    packed = zlib.compress(zlib.compress(bytes(300 << 20), 1), 9)
    return _page(packed, b"/Filter [/FlateDecode /FlateDecode]")


def _cycle() -> bytes:
    return hand_written(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 3 >>",
        b"<< /Type /Pages /Parent 2 0 R /Kids [2 0 R 3 0 R] /Count 2 >>",
    )


def _deep_tree() -> bytes:
    depth = 5000
    nodes = [
        b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (number + 1) for number in range(2, depth)
    ]
    return hand_written(
        b"<< /Type /Catalog /Pages 2 0 R >>", *nodes, b"<< /Type /Page /MediaBox [0 0 9 9] >>"
    )


def _form_in_itself() -> bytes:
    return hand_written(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /XObject << /X 5 0 R >> >> >>",
        b"<< /Length 5 >>\nstream\n/X Do\nendstream",
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 595 842] /Length 11 "
        b"/Resources << /XObject << /X 5 0 R >> >> >>\nstream\n/X Do /X Do\nendstream",
    )


def _many_objects() -> bytes:
    return hand_written(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
        *[b"<<>>"] * 1_000_000,
    )


def broken(change: str) -> bytes:
    data = plain()
    cases = {
        "without its table": data[: data.rindex(b"xref\n0")],
        "with a table that points elsewhere": re.sub(rb"startxref\n\d+", b"startxref\n17", data),
        "with junk before it": b"\x00\x01 junk\r\n" * 20 + data,
        "with junk behind it": data + b"\xff" * 5000,
        "without a trailer": data.replace(b"trailer", b"tr__ler"),
        "without ends of objects": data.replace(b"endobj", b""),
        "with wrong lengths": re.sub(rb"/Length \d+", b"/Length 7", data),
        "with line ends of a text transfer": data.replace(b"\n", b"\r\n"),
        "with a catalog that is lost": data.replace(b"/Type /Catalog", b"/Type /Catalo_"),
        "with pages that are lost": data.replace(b"/Kids [", b"/Kidz ["),
        "with a header alone": b"%PDF-1.7\n" + b"\xff\xfe" * 4000,
    }
    return cases[change]


BROKEN = (
    "without its table",
    "with a table that points elsewhere",
    "with junk before it",
    "with junk behind it",
    "without a trailer",
    "without ends of objects",
    "with wrong lengths",
    "with line ends of a text transfer",
    "with a catalog that is lost",
    "with pages that are lost",
    "with a header alone",
)
COSTLY: dict[str, Callable[[], bytes]] = {
    "a stream of 300 MB": lambda: _bomb(300),
    "a stream within a stream": _nested_bomb,
    "a page tree that is a circle": _cycle,
    "a page tree of 5,000 levels": _deep_tree,
    "a form that draws itself": _form_in_itself,
    "a million objects": _many_objects,
    "arrays in arrays": lambda: _page(b"[" * 500_000 + b"]" * 500_000),
    "dictionaries in dictionaries": lambda: _page(b"/A " + b"<</B " * 300_000),
    "saved states without end": lambda: _page(b"q " * 2_000_000),
    "a page of 1e9 points": lambda: _page(b"BT /F1 12 Tf (a) Tj ET", box=b"0 0 1e9 1e9"),
    "a page without width": lambda: _page(b"BT /F1 12 Tf (a) Tj ET", box=b"0 0 0 842"),
    "a page as a line": lambda: _page(b"0 0 m 9 9 l S", box=b"0 0 10000 1"),
    "a page of broken numbers": lambda: _page(b"nan inf m 1e400 -1e400 l S", box=b"nan 0 inf 842"),
    "millions of letters": lambda: _page(b"BT /F1 1 Tf (" + b"a" * 2_000_000 + b") Tj ET"),
    "letters as large as houses": lambda: _page(b"BT /F1 1e30 Tf (house) Tj ET"),
    "a count that lies": lambda: plain().replace(b"/Count 3", b"/Count 999"),
    "a negative count": lambda: plain().replace(b"/Count 3", b"/Count -3"),
    "patterns in tiny steps": lambda: _page(
        b"1 0 0 RG 0.0001 w " + b"0 0 m 595 842 l S " * 100_000
    ),
}


@functools.cache
def costly(kind: str) -> bytes:
    """Return one of COSTLY, which take a while to make."""
    return COSTLY[kind]()


def truncated() -> Iterator[bytes]:
    """Yield PDFs that end at many places, one of them with its table in front."""
    data = pdf(text_page(1), draw_scan(scan(prose(5), dpi=40)))
    for linearize in (False, True):
        whole = rewritten(data, linearize=linearize)
        yield from (whole[: len(whole) * part // 15] for part in range(1, 15))


def mutations(seed: int) -> Iterator[bytes]:
    """Yield PDFs with random damage, without end, always the same for a seed."""
    rnd = random.Random(seed)
    seeds = [plain(), pdf(text_page(4), draw_scan(scan(prose(5), dpi=40)))]
    seeds.append(rewritten(plain(), object_stream_mode=pikepdf.ObjectStreamMode.generate))
    while True:
        data = bytearray(rnd.choice(seeds))
        for _ in range(rnd.choice((1, 3, 10, 60))):
            _damage(rnd, data)
        yield bytes(data)


def _damage(rnd: random.Random, data: bytearray) -> None:
    place, size = rnd.randrange(9, len(data)), rnd.choice((1, 1, 2, 8, 64))
    match rnd.randrange(5):
        case 0:
            data[place : place + size] = rnd.randbytes(size)
        case 1:
            del data[place : place + size]
        case 2:
            data[place:place] = data[place : place + size] * rnd.choice((1, 2, 50))
        case 3:
            numbers = list(re.finditer(rb"\d+", data))
            start, end = rnd.choice(numbers).span()
            data[start:end] = str(rnd.choice((0, -1, 1, 2**31, 10**12, 3))).encode()
        case _:
            other = rnd.randrange(9, len(data))
            data[place : place + size] = data[other : other + size]
