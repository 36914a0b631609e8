"""PDFs whose letters have no table of what they mean, or a wrong one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pikepdf import Array, Dictionary, Name, Object, Pdf
from reportlab.pdfbase.ttfonts import TTFontFile

from tests.support.documents.drawn import VERA, pdf, rewritten

_START = "BT /F1 11 Tf 14 TL 60 770 Td"


def numbered_glyphs(
    lines: Sequence[str], meaning: Callable[[str], str] | None = None, heading: str = ""
) -> bytes:
    """Return a page whose codes are the numbers of glyphs in a font that the file has.

    `meaning` is what a table says of a letter; None for a font without one. The `heading` is in
    Helvetica, which needs none.
    """
    font = TTFontFile(VERA)
    rows = [_encode(font, line) for line in lines]

    def draw(document: Pdf) -> None:
        page = document.pages[0]
        letters = sorted(set("".join(lines)))
        fonts = Dictionary(F1=_glyph_font(document, font), F2=_helvetica())
        if meaning:
            pairs = [(font.charToGlyph[ord(letter)], meaning(letter)) for letter in letters]
            fonts.F1.ToUnicode = document.make_stream(_table(pairs))
        page.Resources = Dictionary(Font=fonts)
        text = " ".join(f"<{row}> Tj T*" for row in rows)
        head = f"BT /F2 11 Tf 60 800 Td ({heading}) Tj ET " if heading else ""
        page.Contents = document.make_stream(f"{head}{_START} {text} ET".encode())

    return rewritten(pdf(lambda _: None), draw)


def _encode(font: TTFontFile, text: str) -> str:
    return "".join(f"{font.charToGlyph[ord(letter)]:04X}" for letter in text)


def _helvetica() -> Dictionary:
    return Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)


def _glyph_font(document: Pdf, font: TTFontFile) -> Object:
    file = document.make_stream(Path(VERA).read_bytes())
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=Name("/AAAAAA+Vera"),
        Flags=4,
        FontBBox=[int(side) for side in font.bbox],
        ItalicAngle=0,
        Ascent=int(font.ascent),
        Descent=int(font.descent),
        CapHeight=int(font.capHeight),
        StemV=80,
        FontFile2=file,
    )
    widths = [Array([font.charToGlyph[c], [int(w)]]) for c, w in font.charWidths.items() if c < 383]
    descendant = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType2,
        BaseFont=Name("/AAAAAA+Vera"),
        CIDSystemInfo=Dictionary(Registry="Adobe", Ordering="Identity", Supplement=0),
        CIDToGIDMap=Name.Identity,
        DW=600,
        W=Array([part for pair in widths for part in pair]),
        FontDescriptor=document.make_indirect(descriptor),
    )
    return document.make_indirect(
        Dictionary(
            Type=Name.Font,
            Subtype=Name.Type0,
            BaseFont=Name("/AAAAAA+Vera"),
            Encoding=Name("/Identity-H"),
            DescendantFonts=Array([document.make_indirect(descendant)]),
        )
    )


def _table(pairs: Sequence[tuple[int, str]]) -> bytes:
    rows = "\n".join(f"<{code:04X}> <{text.encode('utf-16-be').hex()}>" for code, text in pairs)
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /T def\n"
        "/CMapType 2 def 1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
        f"{len(pairs)} beginbfchar\n{rows}\nendbfchar\nendcmap end end"
    ).encode()


def drawn_letters(
    lines: Sequence[str], code: Callable[[str], int], name: Callable[[str], str] | None
) -> bytes:
    """Return a page in a font whose letters are drawings (Type 3), without a table.

    `code` is what stands for a letter in the file, and `name` what its drawing is called.
    """
    letters = sorted(set("".join(lines)) - {" "})

    def draw(document: Pdf) -> None:
        names = {letter: name(letter) if name else f"a{code(letter)}" for letter in letters}
        drawings = {
            f"/{names[letter]}": document.make_stream(_drawing(letter)) for letter in letters
        }
        named = ((code(letter), Name(f"/{names[letter]}")) for letter in letters)
        font = Dictionary(
            Type=Name.Font,
            Subtype=Name.Type3,
            FontBBox=[0, -200, 600, 800],
            FontMatrix=[0.001, 0, 0, 0.001, 0, 0],
            CharProcs=Dictionary(drawings),
            Encoding=Dictionary(
                Type=Name.Encoding, Differences=Array([part for pair in named for part in pair])
            ),
            FirstChar=0,
            LastChar=255,
            Widths=Array([600] * 256),
            Resources=Dictionary(),
        )
        page = document.pages[0]
        page.Resources = Dictionary(Font=Dictionary(F1=document.make_indirect(font)))
        rows = [
            "".join(f"{code(letter) if letter != ' ' else 32:02X}" for letter in line)
            for line in lines
        ]
        text = " ".join(f"<{row}> Tj T*" for row in rows)
        page.Contents = document.make_stream(f"{_START} {text} ET".encode())

    return rewritten(pdf(lambda _: None), draw)


def _drawing(letter: str) -> bytes:
    """Return strokes that differ from letter to letter; nobody has to read them."""
    number = ord(letter)
    bars = [f"{60 + 90 * bit} {0 if number >> bit & 1 else 300} 50 400 re" for bit in range(6)]
    return f"600 0 0 0 600 700 d1 {' '.join(bars)} f".encode()
