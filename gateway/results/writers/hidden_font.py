"""A font whose letters show nothing, for text that lies on a scan to be searched and copied.

Every character has the same empty glyph and the same width; what it is called is told by a table of
the file. So each script can be written, and the font takes a kilobyte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import pikepdf
from pikepdf import Array, Dictionary, Name

#: Widths of a character, in thousandths of the font's size.
WIDTH = 500
_UNITS = 1000
_AT_ONCE = 100
_MAGIC = 0x5F0F3CF5
_CODES = 1 << 16
_NAME = "/SightlineHidden"


class HiddenFont:
    """The font of one file; `finish` it once everything is written."""

    def __init__(self, pdf: pikepdf.Pdf) -> None:
        self._pdf = pdf
        self._codes: dict[str, int] = {}
        self.object = pdf.make_indirect(
            Dictionary(
                Type=Name.Font,
                Subtype=Name.Type0,
                BaseFont=Name(_NAME),
                Encoding=Name("/Identity-H"),
            )
        )

    def encode(self, text: str) -> str:
        """Return the codes of a text in hexadecimal, four digits each."""
        return "".join(f"{self._code(char):04X}" for char in text)

    def _code(self, char: str) -> int:
        if char not in self._codes and len(self._codes) >= _CODES - 1:
            return 0
        return self._codes.setdefault(char, len(self._codes) + 1)

    def finish(self) -> None:
        """Write the font and what its codes mean."""
        pdf = self._pdf
        descriptor = Dictionary(
            Type=Name.FontDescriptor,
            FontName=Name(_NAME),
            Flags=4,
            FontBBox=Array([0, 0, WIDTH, _UNITS]),
            ItalicAngle=0,
            Ascent=_UNITS,
            # the text lies in its box from the bottom to the top
            Descent=-1,
            CapHeight=_UNITS,
            StemV=80,
            FontFile2=pdf.make_stream(_font_file()),
        )
        glyphs = pdf.make_stream(b"\0\1" * _CODES)
        self.object.DescendantFonts = Array(
            [
                pdf.make_indirect(
                    Dictionary(
                        Type=Name.Font,
                        Subtype=Name.CIDFontType2,
                        BaseFont=Name(_NAME),
                        CIDSystemInfo=Dictionary(
                            Registry="Adobe", Ordering="Identity", Supplement=0
                        ),
                        CIDToGIDMap=glyphs,
                        DW=WIDTH,
                        FontDescriptor=pdf.make_indirect(descriptor),
                    )
                )
            ]
        )
        self.object.ToUnicode = pdf.make_stream("\n".join(_meanings(list(self._codes))).encode())


def _meanings(chars: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a table that tells the character of each code."""
    yield "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap"
    yield "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def"
    yield "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def"
    yield "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange"
    for first in range(0, len(chars), _AT_ONCE):
        some = chars[first : first + _AT_ONCE]
        yield f"{len(some)} beginbfchar"
        for code, char in enumerate(some, start=first + 1):
            yield f"<{code:04X}> <{char.encode('utf-16-be').hex().upper()}>"
        yield "endbfchar"
    yield "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"


def _font_file() -> bytes:
    """Return a TrueType font of two glyphs: an empty one, and a stroke without any width.

    That stroke tells how tall and wide a letter is to programs that measure glyphs.
    """
    box = (0, 0, WIDTH, _UNITS)
    head = struct.pack(
        ">IIIIHHQQhhhhHHhhh", 1 << 16, 1 << 16, 0, _MAGIC, 0, _UNITS, 0, 0, *box, 0, 8, 2, 0, 0
    )
    hhea = struct.pack(">IhhhHhhhhhhhhhhhH", 1 << 16, _UNITS, 0, 0, WIDTH, *(0,) * 11, 2)
    maxp = struct.pack(">IHHH11H", 1 << 16, 2, 2, 1, *(0,) * 11)
    stroke = struct.pack(">hhhhhHHBBhhhh", 1, *box, 1, 0, 1, 1, 0, WIDTH, 0, _UNITS)
    tables = {
        b"glyf": stroke,
        b"head": head,
        b"hhea": hhea,
        b"hmtx": struct.pack(">HhHh", WIDTH, 0, WIDTH, 0),
        b"loca": struct.pack(">HHH", 0, 0, len(stroke) // 2),
        b"maxp": maxp,
    }
    return _join_tables(tables)


def _join_tables(tables: dict[bytes, bytes]) -> bytes:
    """Return a font file of tables that are sorted by their names."""
    count = len(tables)
    power = count.bit_length() - 1
    directory = struct.pack(
        ">IHHHH", 1 << 16, count, 16 << power, power, (count - (1 << power)) * 16
    )
    at = len(directory) + 16 * count
    body = b""
    for name, data in tables.items():
        padded = data + b"\0" * (-len(data) % 4)
        directory += struct.pack(">4sIII", name, _checksum(padded), at + len(body), len(data))
        body += padded
    whole = bytearray(directory + body)
    adjustment = (0xB1B0AFBA - _checksum(bytes(whole))) & 0xFFFFFFFF
    struct.pack_into(">I", whole, whole.index(_MAGIC.to_bytes(4, "big")) - 4, adjustment)
    return bytes(whole)


def _checksum(data: bytes) -> int:
    return sum(struct.unpack(f">{len(data) // 4}I", data)) & 0xFFFFFFFF
