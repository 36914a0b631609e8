"""Plain images that lie on their side, over HTTP: turned before they are read, and told of."""

from __future__ import annotations

import io

import pytest

from shared.documents.picture import turn_picture
from tests.support.documents.drawn import draw_scan, pdf, prose, scan
from tests.unit.worker.reader.pages import page


def _png(lies: int, dpi: int = 60) -> bytes:
    out = io.BytesIO()
    scan(prose(40), dpi=dpi, turn=lies).save(out, "PNG")
    return out.getvalue()


def _read(documents, data: bytes, **fields: str):
    form = {"preset": "ocr", "reader": "model", **fields}
    answer = documents.http.post("/v1/jobs", data=form, files={"image": ("a.png", data)})
    assert answer.status_code == 202, answer.text
    job = documents.ended(answer.json())
    assert job["status"] == "succeeded", job["error"]
    return job


def _codes(job) -> list[str]:
    return [notice["code"] for notice in job["warnings"]]


def test_an_image_on_its_side_is_turned_before_it_is_read(documents):
    job = _read(documents, _png(90, 100))
    # turned first, then its margins are left out
    assert _codes(job) == ["image_turned", "blanks_left_out"]
    assert "270 degrees" in job["warnings"][0]["detail"]
    assert _codes(_read(documents, _png(0, 100))) == ["blanks_left_out"]
    question = {"preset": "", "prompt": "Which way does it lie?"}
    form = {name: value for name, value in question.items() if value}
    files = {"image": ("a.png", _png(90, 100))}
    asked = documents.http.post("/v1/jobs", data=form, files=files).json()
    assert _codes(documents.ended(asked)) == []


@pytest.mark.parametrize("lies", [90, 180])
def test_the_tiles_of_a_turned_image_are_places_of_the_stored_one(documents, lies):
    job = _read(documents, _png(lies, 200), tiling="read")
    assert "image_turned" in _codes(job)
    width, height = job["input"]["images"][0]["width"], job["input"]["images"][0]["height"]
    boxes = [tile["box"] for tile in job["output"]["tiles"]]
    assert len(boxes) > 1
    assert (min(b[0] for b in boxes), max(b[2] for b in boxes)) == (0, width)
    assert (min(b[1] for b in boxes), max(b[3] for b in boxes)) == (0, height)
    # the writing begins at the left of what lies turned clockwise by 270, and at the foot of 180
    first = boxes[0]
    assert first[2] == width if lies == 90 else first[3] == height


@pytest.mark.parametrize("reader", ["model", "both", "second"])
@pytest.mark.parametrize("lies", [90, 180, 270])
def test_an_image_of_few_lines_is_turned_for_every_reader(documents, reader, lies):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("rapidocr")
    out = io.BytesIO()
    turn_picture(page(3, 3, size=24, width=600).image, lies).save(out, "PNG")
    job = _read(documents, out.getvalue(), reader=reader)
    turned = [one for one in job["warnings"] if one["code"] == "image_turned"]
    assert [f"{360 - lies} degrees" in one["detail"] for one in turned] == [True]


@pytest.mark.parametrize("reader", ["model", "second"])
def test_a_page_of_few_lines_is_turned_and_its_boxes_are_on_the_page_as_filed(documents, reader):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("rapidocr")
    drawn = turn_picture(scan(["Payment is due within", "thirty days"], points=20), 90)
    sheet = pdf(draw_scan(drawn.resize((1240, 1754))))
    job = documents.done(sheet, reader=reader, boxes="line")
    (first,) = job["output"]["pages"]
    codes = [notice["code"] for notice in first["warnings"]]
    assert codes.count("page_turned") == 1
    assert "image_turned" not in codes
    if reader == "second":
        # the writing begins at the top of the page, near its right side, and runs downwards
        left, top, right, bottom = job["output"]["lines"][0]["box"]
        assert bottom - top > 3 * (right - left)
        assert left > 595 / 2
        assert top < 842 / 4
