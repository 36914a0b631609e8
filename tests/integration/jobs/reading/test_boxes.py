"""Boxes through real workers: in pixels of the stored image and points of the page, or refused."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("rapidocr")

import pypdfium2
from reportlab.pdfgen.canvas import Canvas

from sightline.cli import main
from tests.integration.jobs.reading.test_second_reader import ended, submit
from tests.support.documents.drawn import draw_scan, pdf, prose, rotated, scan, write
from tests.support.images.image_bytes import saved
from tests.unit.worker.places.many import overlap
from tests.unit.worker.reader.pages import page

#: Seconds of a job beside other tests.
WITHIN_S = 120


def plain(text: str) -> str:
    """Return a text without the blanks, of which the reader loses one now and then."""
    return text.replace(" ", "")


def test_lines_of_every_reader_have_boxes_on_the_stored_image(client):
    drawn = page(40, 5, width=600)
    job = ended(client, submit(client, drawn, reader="second", boxes="word").json()["id"], WITHIN_S)
    lines = job["output"]["lines"]
    assert [plain(line["text"]) for line in lines] == [plain(text) for text in drawn.lines]
    assert all(
        overlap(line["box"], box) > 0.7 for line, box in zip(lines, drawn.boxes, strict=True)
    )
    assert all(
        [word["text"] for word in line["words"]] == line["text"].split()
        and all(word["box"] for word in line["words"])
        for line in lines
    )
    assert all(line["image"] == 0 and "agreement" not in line for line in lines)
    # the simulated model writes what is not there
    written = ended(client, submit(client, drawn, boxes="line").json()["id"], WITHIN_S)["output"]
    assert written["reader"] == "model"
    assert written["lines"]
    assert all(line["box"] is None and line["agreement"] < 0.7 for line in written["lines"])


def test_lines_of_several_images_tell_on_which_they_stand(client):
    # images are read apart, as the tiles of one are
    drawn = [page(43 + number, 3, width=500) for number in range(3)]
    files = [("image", (f"{n}.png", saved(one.image, "PNG"))) for n, one in enumerate(drawn)]
    data = {"preset": "ocr", "reader": "second", "boxes": "line"}
    job = ended(client, client.post("/v1/jobs", files=files, data=data).json()["id"], WITHIN_S)
    lines = job["output"]["lines"]
    assert [line["image"] for line in lines] == [0] * 3 + [1] * 3 + [2] * 3
    assert [plain(line["text"]) for line in lines] == [
        plain(text) for one in drawn for text in one.lines
    ]
    boxes = [box for one in drawn for box in one.boxes]
    assert all(overlap(line["box"], box) > 0.7 for line, box in zip(lines, boxes, strict=True))


def test_lines_of_a_turned_image_lie_in_the_stored_one(client):
    lines, scale = prose(14, words=10), 100 / 72
    lying = scan(lines, dpi=100, turn=90)
    data = {"preset": "ocr", "reader": "second", "boxes": "line"}
    files = {"image": ("a.png", saved(lying, "PNG"))}
    job = ended(client, client.post("/v1/jobs", files=files, data=data).json()["id"], WITHIN_S)
    assert "image_turned" in [notice["code"] for notice in job["warnings"]]
    placed = job["output"]["lines"]
    assert [plain(line["text"]) for line in placed] == [plain(text) for text in lines]
    for number, line in enumerate(placed):
        # lines begin 60 points from the left and from the top of the page, 16.5 apart
        _, top, right, _ = line["box"]
        assert abs(right - (lying.width - (60 + 16.5 * number) * scale)) < 8, line
        assert abs(top - 60 * scale) < 4, line


def test_pages_have_boxes_in_points_of_the_page_as_it_is_filed(client):
    text = "Invoice 2041 of the ninth of May"

    def letter(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 20)
        write(canvas, [text], x=100, y=600)

    asked = {"preset": "ocr", "reader": "second", "boxes": "word"}
    read = {}
    for layer in ("only", "ignore"):
        files = {"document": ("a.pdf", rotated(pdf(letter), 180))}
        sent = client.post("/v1/jobs", files=files, data=asked | {"text_layer": layer}).json()
        (read[layer],) = ended(client, sent["id"], WITHIN_S)["output"]["lines"]
    assert read["only"]["text"] == read["ignore"]["text"] == text
    assert read["only"]["page"] == read["ignore"]["page"] == 1
    # 100 from the right and 600 from the top: the page asks to be turned on its head
    right, top = 595 - 100, 600
    for line in read.values():
        assert abs(line["box"][2] - right) < 5
        assert abs(line["box"][1] - top) < 8
    words = [[word["text"] for word in line["words"]] for line in read.values()]
    assert words == [text.split()] * 2


def list_jobs(client) -> list[dict]:
    """Return the newest jobs."""
    return client.get("/v1/jobs", params={"limit": 100}).json()["data"]


def search_box(file: bytes, word: str) -> tuple[float, ...] | None:
    """Return the box of a word of the first page in points, from the top left."""
    with pypdfium2.PdfDocument(file) as document:
        sheet = document[0]
        text = sheet.get_textpage()
        at = text.search(word, match_case=True).get_next()
        boxes = [text.get_charbox(at[0] + n) for n in range(at[1])] if at else []
        if not boxes:
            return None
        lefts, bottoms, rights, tops = zip(*boxes, strict=True)
        return min(lefts), sheet.get_height() - max(tops), max(rights), min(bottoms)


def test_an_image_becomes_a_pdf_that_can_be_searched(client, tmp_path):
    drawn = page(40, 5, width=600)
    picture = tmp_path / "Seite ä.png"
    picture.write_bytes(saved(drawn.image, "PNG"))
    arguments = ["ocr", str(picture), "--out", str(tmp_path), "--url", str(client.base_url)]
    earlier = {job["id"] for job in list_jobs(client)}
    for form in ("pdf", "hocr"):
        assert main([*arguments, "--reader", "second", "--format", form, "-q"]) == 0
    file = (tmp_path / "Seite ä.pdf").read_bytes()
    # the second form is of the job of the first
    read = [job for job in list_jobs(client) if job["id"] not in earlier]
    (job,) = [one for one in read if one["status"] == "succeeded"]
    scale = min(0.75, 595 / 600)
    for line in client.get(f"/v1/jobs/{job['id']}").json()["output"]["lines"]:
        for word in line["words"]:
            left, top, _, _ = (edge * scale for edge in word["box"])
            seen = search_box(file, word["text"])
            assert seen, word
            unique = sum(word["text"] in other for other in drawn.lines) == 1
            assert not unique or abs(seen[0] - left) + abs(seen[1] - top) < 5, word
    assert main(["ocr", str(tmp_path / "Seite ä.pdf"), *arguments[2:], "--format", "pdf"]) == 2
    assert "ocrx_word" in (tmp_path / "Seite ä.hocr").read_text(encoding="utf-8")
    overlay = client.get(f"/v1/jobs/{job['id']}/overlay.svg")
    assert overlay.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert "sandbox" in overlay.headers["Content-Security-Policy"]
    assert overlay.text.count("<polygon") == 5
    accepted = client.get(f"/v1/jobs/{job['id']}/result", headers={"Accept": "application/pdf"})
    assert accepted.content == file
    assert "Seite%20%C3%A4.pdf" in accepted.headers["Content-Disposition"]
    missing = client.get(f"/v1/jobs/{job['id']}/overlay.svg", params={"image": 1})
    assert (missing.status_code, missing.json()["pointer"]) == (422, "/image")
    client.delete(f"/v1/images/{job['input']['images'][0]['id']}")
    gone = client.get(f"/v1/jobs/{job['id']}/result", params={"format": "pdf"})
    assert (gone.status_code, gone.json()["code"]) == (422, "image_not_found")


def test_pages_that_were_read_get_their_text_and_others_stay(client):
    lines = prose(3, words=5)
    file = pdf(draw_scan(scan(lines, dpi=100)), lambda canvas: write(canvas, ["Born digital"] * 30))
    data = {"preset": "ocr", "reader": "second", "boxes": "word"}
    sent = client.post("/v1/jobs", files={"document": ("a.pdf", file)}, data=data).json()
    job = ended(client, sent["id"], WITHIN_S)
    assert [one["source"] for one in job["output"]["pages"]] == ["model", "text_layer"]
    made = client.get(f"/v1/jobs/{job['id']}/result", params={"format": "pdf"}).content
    assert not search_box(file, lines[0].split()[0])
    left, top, _, _ = search_box(made, lines[0].split()[0])
    assert abs(left - 60) < 5
    assert abs(top - 60) < 8
    with pypdfium2.PdfDocument(made) as document:
        assert len(document) == 2
        assert document[1].get_textpage().get_text_bounded().count("Born digital") == 30
    overlay = client.get(f"/v1/jobs/{job['id']}/overlay.svg", params={"page": 2})
    assert overlay.text.count("Born digital</title>") == 30
    wrong = client.get(f"/v1/jobs/{job['id']}/overlay.svg", params={"page": 3})
    assert (wrong.status_code, wrong.json()["pointer"]) == (422, "/page")


def test_frames_of_a_tiff_become_pages(client):
    pictures = [page(50 + number, 2, width=400) for number in range(2)]
    first, second = (drawn.image for drawn in pictures)
    out = io.BytesIO()
    first.save(out, "TIFF", save_all=True, append_images=[second])
    data = {"preset": "ocr", "reader": "second", "boxes": "word"}
    sent = client.post("/v1/jobs", files={"document": ("a.tif", out.getvalue())}, data=data).json()
    job = ended(client, sent["id"], WITHIN_S)
    made = client.get(f"/v1/jobs/{job['id']}/result", params={"format": "pdf"}).content
    word = job["output"]["lines"][0]["words"][0]
    left, top, _, _ = search_box(made, word["text"])
    assert abs(left - word["box"][0] * 0.75) + abs(top - word["box"][1] * 0.75) < 5
    with pypdfium2.PdfDocument(made) as document:
        assert len(document) == 2
    hocr = client.get(f"/v1/jobs/{job['id']}/result", params={"format": "hocr"}).text
    assert f'title="bbox 0 0 400 {second.height}; ppageno 1"' in hocr


@pytest.mark.parametrize(
    "fields",
    [
        {"boxes": "line", "preset": "qa", "prompt": "What is it?"},
        {"boxes": "word", "tiling": "ask"},
        {"boxes": "every"},
    ],
    ids=str,
)
def test_boxes_of_what_is_not_read_are_refused(client, fields):
    refused = submit(client, page(42, 1), **fields)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_parameters")
    assert refused.json()["pointer"] == "/boxes"
