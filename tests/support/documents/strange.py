"""PDFs that follow the specification in rare ways, written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from pikepdf import Array, Dictionary, Name, Pdf, String
from reportlab.pdfgen.canvas import Canvas

from tests.support.documents.damaged import hand_written
from tests.support.documents.drawn import pdf, rewritten, text_page, write

_BOX = b"[-25 -254 1000 880]"


def foreign(
    text: str, cmap: str, codec: str, ordering: str, *, vertical: bool = False, more: str = ""
) -> bytes:
    """Return two rows, or two columns, of a text whose font is not in the file.

    `more` is what else the page draws, and `codec` encodes as the predefined CMap does.
    """
    code = text.encode(codec).hex().encode()
    step = b"-30 0" if vertical else b"0 -30"
    start = b"500 780" if vertical else b"60 700"
    content = b"BT /F1 14 Tf %s Td <%s> Tj %s Td <%s> Tj ET " % (start, code, step, code)
    content += more.encode()
    fonts = (
        b"/F1 << /Type /Font /Subtype /Type0 /BaseFont /Foreign /Encoding /%s "
        b"/DescendantFonts [5 0 R] >>" % cmap.encode()
    )
    descendant = (
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Foreign /CIDSystemInfo << /Registry "
        b"(Adobe) /Ordering (%s) /Supplement 2 >> /DW 1000 /FontDescriptor 6 0 R >>"
        % ordering.encode()
    )
    descriptor = (
        b"<< /Type /FontDescriptor /FontName /Foreign /Flags 6 /FontBBox %s /ItalicAngle 0 "
        b"/Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>" % _BOX
    )
    return hand_written(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources "
        b"<< /Font << %s >> >> >>" % fonts,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        descendant,
        descriptor,
    )


def filled_form() -> bytes:
    """Return a form with two boxes, of which the first is ticked, and two buttons."""

    def draw(canvas: Canvas) -> None:
        form = canvas.acroForm
        for row, label in enumerate(("Agree", "Refuse", "Size")):
            canvas.drawString(60, 700 - 40 * row, label)
        form.checkbox(name="yes", x=150, y=695, checked=True)
        form.checkbox(name="no", x=150, y=655, checked=False)
        form.radio(name="size", x=150, y=615, value="S", selected=False)
        form.radio(name="size", x=180, y=615, value="L", selected=True)

    return pdf(draw)


def with_remarks() -> bytes:
    """Return a page with a text box without a picture, a stamp, a hidden stamp and a note."""

    def add(document: Pdf) -> None:
        font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)

        def stamp(words: bytes, left: int, flags: int) -> Dictionary:
            form = document.make_stream(b"BT /H 20 Tf 10 10 Td (%s) Tj ET" % words)
            form.Type, form.Subtype, form.BBox = Name.XObject, Name.Form, [0, 0, 260, 40]
            form.Resources = Dictionary(Font=Dictionary(H=font))
            return Dictionary(
                Type=Name.Annot,
                Subtype=Name.Stamp,
                Rect=[left, 20, left + 260, 60],
                F=flags,
                AP=Dictionary(N=form),
            )

        remark = Dictionary(
            Type=Name.Annot,
            Subtype=Name.FreeText,
            Rect=[60, 100, 400, 140],
            Contents=String("Approved by 港口 office\rin May"),
            DA=String("/Helv 14 Tf"),
            F=4,
        )
        note = Dictionary(
            Type=Name.Annot, Subtype=Name.Text, Rect=[450, 780, 470, 800], Contents=String("Unseen")
        )
        kinds = [remark, note, stamp(b"PAID IN FULL", 60, 4), stamp(b"REJECTED", 320, 2)]
        document.pages[0].Annots = Array([document.make_indirect(one) for one in kinds])

    return rewritten(pdf(text_page(1, 10)), add)


def dynamic_form() -> bytes:
    """Return what a reader without XFA shows of a form that a program makes."""

    def add(document: Pdf) -> None:
        xml = b"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'/>"
        document.Root.AcroForm = Dictionary(Fields=Array([]), XFA=document.make_stream(xml))
        document.Root.NeedsRendering = True

    return rewritten(pdf(lambda canvas: write(canvas, ["Please wait..."])), add)


def portfolio(names: Sequence[str] = ("inner.pdf",), *, collection: bool = True) -> bytes:
    """Return a PDF that carries others, whose page is their cover if they are a collection."""

    def add(document: Pdf) -> None:
        for name in names:
            document.attachments[name] = pdf(text_page(3))
        if collection:
            document.Root.Collection = Dictionary(Type=Name.Collection, View=Name.D)

    return rewritten(pdf(lambda canvas: write(canvas, ["Open this in another program."])), add)
