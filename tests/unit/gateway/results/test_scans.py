"""Searchable PDFs, hOCR and overlays, opened again by programs that did not write them."""

from __future__ import annotations

import io
import math
import re
import shutil
import subprocess
from xml.etree import ElementTree as ET

import pikepdf
import pypdfium2
import pytest
from PIL import Image

from gateway.results.contents.blocks import DoesNotFit
from gateway.results.renderer import Renderer
from gateway.results.scans.frames import ScanOrder
from gateway.results.scans.sheets import ScanForm, Sheet
from gateway.results.writers.pdf_file import add_layer, write_pdf
from shared.documents.open_document import PdfDocument
from shared.documents.pdf.file import PdfFile
from shared.errors import ImageNotFound
from tests.support.documents.drawn import pdf, rotated
from tests.support.images.image_bytes import saved

WIDTH, HEIGHT = 900, 1200
#: Points of a pixel on such a page.
SCALE = 595 / WIDTH
WITHIN_PX = 5


def png(width=WIDTH, height=HEIGHT):
    return saved(Image.new("RGB", (width, height), "white"), "PNG")


def placed(text, *, at=(100, 100), degrees=0, height=24, boxes="word"):
    """Return a line that begins at a place and runs in a direction, clockwise from the right."""
    along = (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))

    def corner(right, down):
        x, y = along[0] * right - along[1] * down, along[1] * right + along[0] * down
        return [at[0] + x, at[1] + y]

    def quad(start, stop):
        return [corner(start, 0), corner(stop, 0), corner(stop, height), corner(start, height)]

    spans = [(m.start() * 14, m.end() * 14) for m in re.finditer(r"\S+", text)]
    polygon = quad(0, len(text) * 14)
    line = {"text": text, "confidence": 0.9, "box": around(polygon), "polygon": polygon}
    if boxes == "word":
        words = zip(text.split(), spans, strict=True)
        line["words"] = [{"text": word, "box": around(quad(*span))} for word, span in words]
    return line


def around(corners):
    xs, ys = zip(*corners, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def found_by_pdfium(file, word, page=0):
    """Return the box of a word on a page, in points from the top left."""
    with pypdfium2.PdfDocument(file) as document:
        sheet = document[page]
        text = sheet.get_textpage()
        at = text.search(word, match_case=True, match_whole_word=True).get_next()
        if at is None:
            return None
        boxes = [text.get_charbox(at[0] + n) for n in range(at[1])]
        lefts, bottoms, rights, tops = zip(*boxes, strict=True)
        height = sheet.get_height()
        return min(lefts), height - max(tops), max(rights), height - min(bottoms)


def found_by_poppler(file, word):
    out = subprocess.run(
        ["pdftotext", "-bbox", "-", "-"], input=file, capture_output=True, check=True
    ).stdout.decode()
    for entry in re.finditer(r'xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)<', out):
        if entry[5] == word:
            return tuple(float(entry[n]) for n in range(1, 5))
    return None


FINDERS = [found_by_pdfium] + ([found_by_poppler] if shutil.which("pdftotext") else [])
LINES = [
    placed("Invoice 2041 of May", at=(80, 60)),
    placed("beside another column", at=(500, 60)),
    placed("Slanted down with seven", at=(80, 150), degrees=7),
    placed("Climbing up by five", at=(80, 500), degrees=-5),
    placed("sideways it reads", at=(700, 500), degrees=90),
    placed("upwards once more", at=(600, 1000), degrees=270),
    placed("headlong turned", at=(500, 1100), degrees=180),
    placed("发票号码 二零四一年", at=(80, 700)),
    placed("עברית и кириллица", at=(80, 760)),
]


@pytest.mark.parametrize("find", FINDERS)
def test_every_word_is_found_where_it_stands(find):
    file = write_pdf([Sheet("image", 1, WIDTH, HEIGHT, lines=LINES)], iter([png()]), "a.png")
    words = [word for line in LINES for word in line["words"] if "ע" not in word["text"]]
    for word in words:
        box = find(file, word["text"])
        assert box, word
        exact = [edge * SCALE for edge in word["box"]]
        assert all(abs(a - b) < WITHIN_PX * SCALE for a, b in zip(box, exact, strict=True)), word
    # the font and what its codes mean, beside an empty picture
    assert len(file) < 12_000


def test_a_stamp_across_a_page_is_found_as_it_runs():
    line = placed("Copy of nothing", at=(300, 600), degrees=40)
    file = write_pdf([Sheet("image", 1, WIDTH, HEIGHT, lines=[line])], iter([png()]), "a.png")
    for word in line["words"]:
        exact = [edge * SCALE for edge in word["box"]]
        box = found_by_pdfium(file, word["text"])
        assert all(abs(a - b) < WITHIN_PX * SCALE for a, b in zip(box, exact, strict=True)), word


def test_a_line_without_words_is_spread_and_one_without_a_place_is_found():
    spread = placed("Total of all iiiiii MMMMMM", at=(80, 60), boxes="line")
    paragraph = {"text": " ".join(f"word{n}" for n in range(60)), "confidence": None}
    paragraph |= {"box": [80, 200, 620, 360]}
    paragraph |= {"polygon": [[80, 200], [620, 200], [620, 360], [80, 360]]}
    row = {"text": "| **Tea** | a \\| b | <b>3&amp;4</b> |", "confidence": None}
    row |= {"box": [80, 500, 700, 530], "polygon": [[80, 500], [700, 500], [700, 530], [80, 530]]}
    row["cells"] = [
        {"text": "**Tea**", "box": [80, 500, 140, 530]},
        {"text": "a \\| b", "box": [300, 500, 380, 530]},
        {"text": "<b>3&amp;4</b>", "box": None},
    ]
    unsure = {"text": "Nobody knows", "confidence": None, "box": None, "polygon": None}
    hostile = {"text": "\ud800 ( ) \\ <> \x00", "confidence": None, "box": None}
    lines = [spread, paragraph, row, unsure, hostile]
    file = write_pdf([Sheet("image", 1, WIDTH, HEIGHT, lines=lines)], iter([png()]), "\ud800.png")
    text = pypdfium2.PdfDocument(file)[0].get_textpage().get_text_bounded()
    for words in ("Total of all iiiiii MMMMMM", "Tea", "a | b 3&4", "Nobody knows"):
        assert words in text
    assert "**" not in text
    narrow, wide = (found_by_pdfium(file, word) for word in ("iiiiii", "MMMMMM"))
    assert (wide[2] - wide[0]) > 2 * (narrow[2] - narrow[0])
    tall = {round(found_by_pdfium(file, f"word{n}")[1]) for n in range(10, 60, 4)}
    assert len(tall) > 3, "a paragraph has rows"
    below = found_by_pdfium(file, "Nobody")
    assert 530 < below[1] / SCALE < 560


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_page_that_is_turned_and_cropped_has_its_text_where_it_was_seen(degrees):
    def draw(canvas):
        canvas.drawString(150, 600, "Anchor")

    def crop(document):
        (page,) = document.pages
        page.obj.MediaBox = [20, 30, 595, 842]
        page.obj.CropBox = [100, 120, 500, 800]
        # what a page has of its own is taken from the node above it as well
        document.Root.Pages.Resources = page.obj.Resources
        document.Root.Pages.Rotate = degrees
        del page.obj.Resources, page.obj.Rotate

    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(rotated(pdf(draw), 0))) as document:
        crop(document)
        document.save(out)
    file = out.getvalue()
    document = PdfDocument(PdfFile(file), file, password_given=False)
    (seen,) = document.page_text(1).lines
    (info,) = document.inspect(5, 5).pages
    box = list(seen.box)
    corners = [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]]
    turns = seen.rotation // 90
    line = {"text": "Buoy", "confidence": 1, "box": box}
    line["polygon"] = corners[turns:] + corners[:turns]
    layered = add_layer(
        file, [Sheet("page", 1, info.width, info.height, has_points=True, lines=[line])]
    )
    anchor, buoy = (found_by_pdfium(layered, word) for word in ("Anchor", "Buoy"))
    assert all(abs(a - b) < 4 for a, b in zip(anchor, buoy, strict=True)), (anchor, buoy)


def test_only_pages_that_were_read_change_and_lose_an_older_layer():
    def scanned(canvas):
        text = canvas.beginText(60, 700)
        text.setTextRenderMode(3)
        text.textLine("Misread of old")
        text.setTextRenderMode(0)
        text.textLine("Seen stamp")
        canvas.drawText(text)

    def born(canvas):
        canvas.bookmarkPage("here")
        canvas.addOutlineEntry("Chapter", "here")
        canvas.drawString(60, 700, "Born digital")

    file = pdf(scanned, born, scanned)
    line = placed("Well read", at=(60, 100))
    sheets = [
        Sheet("page", number, 595, 842, is_read=number != 2, has_points=True, lines=[line])
        for number in (1, 2, 3)
    ]
    whole = add_layer(file, sheets)
    assert found_by_pdfium(whole, "Well")
    assert found_by_pdfium(whole, "stamp")
    assert not found_by_pdfium(whole, "Misread")
    assert not found_by_pdfium(whole, "Well", page=1)
    with pikepdf.open(io.BytesIO(whole)) as new, pikepdf.open(io.BytesIO(file)) as old:
        assert new.pages[1].obj.Contents.read_bytes() == old.pages[1].obj.Contents.read_bytes()
        with new.open_outline() as outline:
            assert [item.title for item in outline.root] == ["Chapter"]
    some = add_layer(file, [sheets[2], sheets[1]])
    assert len(pypdfium2.PdfDocument(some)) == 2
    assert found_by_pdfium(some, "Well")
    assert found_by_pdfium(some, "Born", page=1)
    for lost in (b"%PDF-1.4 nothing", pdf(scanned)):
        with pytest.raises(DoesNotFit, match="damaged"):
            add_layer(lost, sheets)


HOSTILE = '</title><script>alert(1)</script>" onload="x" &amp; \x00\ud800'


def rendered(form, sheets, pictures, title=HOSTILE):
    order = ScanOrder(ScanForm(form), title, "en", sheets, lambda: iter(pictures))
    return Renderer().render_scan(order, "tenant")


def test_hocr_and_overlay_are_xml_that_holds_no_markup_of_a_text():
    line = placed("plain", at=(80, 60)) | {"text": HOSTILE}
    line["words"] = [{"text": HOSTILE, "box": line["box"]}]
    unsure = {"text": "Nobody knows", "confidence": None, "box": None, "polygon": None}
    sheets = [Sheet("image", 1, WIDTH, HEIGHT, lines=[line, unsure])]
    points = Sheet("page", 4, 595, 842, has_points=True, lines=[placed("of a page", at=(72, 36))])
    hocr = ET.fromstring(rendered("hocr", [*sheets, points], []))
    by_class = {}
    for one in hocr.iter():
        by_class.setdefault(one.get("class"), []).append(one)
    first, second = (page.get("title") for page in by_class["ocr_page"])
    assert first == f"bbox 0 0 {WIDTH} {HEIGHT}; ppageno 0"
    assert second == "bbox 0 0 2479 3508; ppageno 3; scan_res 300 300"
    assert by_class["ocrx_word"][0].get("title") == "bbox 80 60 150 84; x_wconf 90"
    assert by_class["ocr_line"][1].get("title") == "bbox 300 150 825 250"
    assert [one.text for one in by_class["unplaced"]] == ["Nobody knows"]
    svg = ET.fromstring(rendered("svg", sheets, [png()]))
    tags = [one.tag.rpartition("}")[2] for one in svg.iter()]
    assert tags == ["svg", "title", "image", "g", "polygon", "title"]
    assert {name for one in svg.iter() for name in one.attrib if name.startswith("on")} == set()
    assert svg[1].get("href").startswith("data:image/")
    assert svg[2][0].get("points") == "80,60 150,60 150,84 80,84"


def test_what_goes_wrong_while_a_scan_is_written_is_told_and_leaves_no_process():
    def gone():
        yield png()
        raise ImageNotFound

    sheets = [Sheet("image", number, WIDTH, HEIGHT) for number in (1, 2)]
    order = ScanOrder(ScanForm.PDF, "a", "en", sheets, gone)
    with pytest.raises(ImageNotFound):
        Renderer().render_scan(order, "tenant")
    broken = ScanOrder(ScanForm.PDF, "a", "en", sheets, lambda: iter([b"none"]), is_file=True)
    with pytest.raises(DoesNotFit, match="damaged"):
        Renderer().render_scan(broken, "tenant")


@pytest.mark.long
def test_a_thousand_pages_are_written_within_the_bounds():
    lines = [placed(f"page line {n} of many", at=(60, 60 + 14 * n), height=10) for n in range(50)]
    file = pdf(*[lambda canvas: canvas.rect(10, 10, 20, 20)] * 1000)
    sheets = [Sheet("page", n, 595, 842, has_points=True, lines=lines) for n in range(1, 1001)]
    order = ScanOrder(ScanForm.PDF, "a", "en", sheets, lambda: iter([file]), is_file=True)
    out = Renderer().render_scan(order, "tenant")
    assert found_by_pdfium(out, "many", page=999)
