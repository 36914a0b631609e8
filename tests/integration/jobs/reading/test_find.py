"""Finding through real workers: things that a scripted model points at, and words that are read.

The model of these workers points at patches of a colour in whatever picture it is shown, so that
each place must come back through all that was done to the picture.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("rapidocr")

from PIL import Image, ImageDraw

from demo.data import fonts
from tests.integration.jobs.reading.test_second_reader import ended
from tests.support.documents.drawn import draw_scan, pdf, prose, rotated, scan, write
from tests.support.harness import QUICK, ROOT, running_redis, running_system
from tests.support.images.image_bytes import saved
from tests.support.workers.pointing_worker import COLOURS
from tests.unit.worker.places.many import overlap

WITHIN_S = 120
POINTING = "tests.support.workers.pointing_worker"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of a gateway whose worker points at colours."""
    folder = tmp_path_factory.mktemp("find")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
        system.worker(module=POINTING)
        yield system.gateway()[1]


def picture(width: int, height: int, **boxes: tuple[int, int, int, int]) -> Image.Image:
    """Return a white picture with a patch of each colour."""
    image = Image.new("RGB", (width, height), "white")
    for colour, box in boxes.items():
        left, top, right, bottom = box
        ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), COLOURS[colour])
    return image


def find(client, file: bytes, name: str = "a.png", **fields: Any) -> dict[str, Any]:
    """Return the ended job of a search in one file."""
    field = "document" if name.endswith(".pdf") else "image"
    data = {"preset": "find"} | fields
    sent = client.post("/v1/jobs", files={field: (name, file)}, data=data)
    assert sent.status_code == 202, sent.text
    job = ended(client, sent.json()["id"], WITHIN_S)
    assert job["status"] == "succeeded", job
    return job


def boxes_of(job: dict[str, Any], label: str) -> list[list[float]]:
    return [one["box"] for one in job["output"]["objects"] if one["label"] == label]


def codes(job: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in job["warnings"]]


def test_things_come_back_through_every_change_of_the_picture(client):
    red, blue = (100, 50, 260, 170), (500, 300, 520, 340)
    plain = picture(640, 480, red=red, blue=blue)

    job = find(client, saved(plain, "PNG"), labels=["red", "blue", "green"], reader="model")
    (one,) = [one for one in job["output"]["objects"] if one["label"] == "red"]
    assert overlap(one["box"], red) > 0.95
    assert one["source"] == "model"
    assert one["image"] == 0
    assert "polygon" not in one
    assert overlap(boxes_of(job, "blue")[0], blue) > 0.85
    assert job["output"]["text"] == "Found: red (1), blue (1). Not found: green."
    assert job["output"]["json"] is None

    # a file that asks for a turn: boxes are those of the upright image
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    plain.save(buffer, "PNG", exif=exif)
    job = find(client, buffer.getvalue(), labels="red", reader="model")
    assert overlap(boxes_of(job, "red")[0], (480 - 170, 100, 480 - 50, 260)) > 0.95

    # nonsense is dropped and told, never returned
    job = find(client, saved(plain, "PNG"), labels=["ghost", "red"], reader="model")
    assert boxes_of(job, "ghost") == []
    assert len(boxes_of(job, "red")) == 1
    (warning,) = [one for one in job["warnings"] if one["code"] == "boxes_dropped"]
    assert "4 boxes" in warning["detail"]

    overlay = client.get(f"/v1/jobs/{job['id']}/overlay.svg")
    assert overlay.status_code == 200, overlay.text
    assert overlay.text.count("<title>red</title>") == overlay.text.count("<polygon") == 1
    refused = client.get(f"/v1/jobs/{job['id']}/result", params={"format": "pdf"})
    assert refused.json()["code"] == "no_places"

    job = find(client, saved(plain, "PNG"), labels="green", reader="model")
    assert job["output"]["objects"] == []
    assert job["output"]["text"] == "Nothing was found."


def test_things_come_back_through_turns_and_enhancement(client):
    page = scan(prose(24, words=11), dpi=100, noise=0).convert("RGB")
    red = (500, 900, 620, 960)
    ImageDraw.Draw(page).rectangle((500, 900, 619, 959), COLOURS["red"])
    lying = page.transpose(Image.Transpose.ROTATE_90)
    job = find(client, saved(lying, "PNG"), labels="red", reader="model")
    assert "image_turned" in codes(job)
    width = page.width
    wanted = (red[1], width - red[2], red[3], width - red[0])
    assert overlap(boxes_of(job, "red")[0], wanted) > 0.9

    # a skewed page is straightened for the model, and the box is slanted in the stored image
    skewed = page.rotate(4, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    job = find(client, saved(skewed, "PNG"), labels="red", reader="model", enhance="deskew")
    assert "image_enhanced" in codes(job)
    pixels = skewed.load()
    seen = [
        (x, y)
        for x in range(0, skewed.width, 2)
        for y in range(0, skewed.height, 2)
        if max(abs(a - b) for a, b in zip(pixels[x, y], COLOURS["red"], strict=True)) < 60
    ]
    around = (
        *(min(place[axis] for place in seen) for axis in (0, 1)),
        *(max(place[axis] for place in seen) for axis in (0, 1)),
    )
    (one,) = job["output"]["objects"]
    assert overlap(one["box"], around) > 0.85
    assert len(one["polygon"]) == 4

    # enlarging moves nothing on the grid
    small = page.resize((page.width // 3, page.height // 3), Image.Resampling.LANCZOS)
    job = find(client, saved(small, "PNG"), labels="red", reader="model", enhance="upscale")
    assert "image_enhanced" in codes(job)
    assert overlap(boxes_of(job, "red")[0], [edge / 3 for edge in red]) > 0.85


def test_things_on_a_long_image_are_told_once(client):
    # every seam cuts or doubles something: a tall one spans tiles, small ones stand all along it
    tall, small = (60, 300, 200, 3300), [(400, y, 440, y + 40) for y in range(20, 3560, 88)]
    image = picture(600, 3600, red=tall)
    for left, top, right, bottom in small:
        ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), COLOURS["blue"])
    fields = {"max_pixels": "400000", "tiling": "read", "reader": "model"}
    job = find(client, saved(image, "PNG"), labels=["red", "blue"], **fields)
    assert len(job["output"]["tiles"]) >= 4
    assert [overlap(box, tall) > 0.95 for box in boxes_of(job, "red")] == [True]
    patches = sorted(boxes_of(job, "blue"), key=lambda box: box[1])
    assert len(patches) == len(small)
    assert all(overlap(box, own) > 0.75 for box, own in zip(patches, small, strict=True))
    assert all(tile["text"] is None for tile in job["output"]["tiles"])


def test_things_and_words_on_pages_have_places_on_them(client):
    page = scan(["Deposit of Miss Seen: 4,711.50 EUR"], dpi=100, noise=0).convert("RGB")
    ImageDraw.Draw(page).rectangle((300, 600, 419, 699), COLOURS["red"])

    def born(canvas):
        write(canvas, ["The contract of Mister", "Born ends in 2034"], x=100, y=700)
        canvas.setFillColorRGB(*(part / 255 for part in COLOURS["red"]))
        canvas.rect(200, 400, 90, 30, stroke=0, fill=1)

    file = pdf(born, draw_scan(page))
    job = find(client, file, "a.pdf", labels=["Mister Born", "Miss Seen", "red"])
    assert job["output"]["reader"] == "both"
    (broken,) = [one for one in job["output"]["objects"] if one["label"] == "Mister Born"]
    assert (broken["page"], broken["source"], broken["confidence"]) == (1, "reader", 1.0)
    assert len(broken["parts"]) == 2
    assert abs(broken["box"][1] - (842 - 700 - 8)) < 6
    (seen,) = [one for one in job["output"]["objects"] if one["label"] == "Miss Seen"]
    assert (seen["page"], seen["source"]) == (2, "reader")
    reds = [one for one in job["output"]["objects"] if one["label"] == "red"]
    assert [(one["page"], one["source"]) for one in reds] == [(1, "model"), (2, "model")]
    scale = 72 / 100
    assert overlap(reds[0]["box"], (200, 842 - 430, 290, 842 - 400)) > 0.85
    assert overlap(reds[1]["box"], [edge * scale for edge in (300, 600, 420, 700)]) > 0.85
    assert [page["evidence"] for page in job["output"]["pages"]] == [True, True]
    markdown, rows = (
        client.get(f"/v1/jobs/{job['id']}/result", params={"format": form}).text
        for form in ("markdown", "csv")
    )
    assert markdown.startswith(f"{job['output']['text']}\n\n| Label | Page | Left |")
    assert [row.split(",")[0] for row in rows.splitlines()] == [
        "\ufeffLabel",
        *(one["label"] for one in job["output"]["objects"]),
    ]
    overlay = client.get(f"/v1/jobs/{job['id']}/overlay.svg", params={"page": "1"}).text
    assert overlay.count("<title>Mister Born</title>") == 2

    # pages of a file that asks for a turn have the same places
    turned = rotated(file, 90)
    job = find(client, turned, "a.pdf", labels="red", reader="model")
    assert [one["page"] for one in job["output"]["objects"]] == [1, 2]


def test_words_are_found_by_the_text_alone(client):
    image = Image.new("RGB", (1000, 520), "white")
    draw, font = ImageDraw.Draw(image), fonts.load(fonts.PILLOW, 24)
    drawn: dict[str, list[tuple[float, ...]]] = {}
    lines = [
        (40, 40, "The Harbour Office opens"),
        (40, 80, "at nine. Ask the harbour"),
        (40, 120, "office for Total amounts"),
        (560, 40, "Total: 12.50 EUR"),
        (560, 80, "Another column ends"),
        (560, 120, "with the total sum"),
    ]
    for x, y, line in lines:
        draw.text((x, y), line, font=font, fill="black")
        at = line.lower().find("total")
        if at >= 0:
            left = x + font.getlength(line[:at])
            right = x + font.getlength(line[: at + 5])
            drawn.setdefault("total", []).append((left, y + 3, right, y + 26))
    file = saved(image, "PNG")
    job = find(client, file, labels=["TOTAL", "invented"], reader="second")
    assert job["usage"]["completion_tokens"] == 0
    boxes = boxes_of(job, "TOTAL")
    assert len(boxes) == 3
    for own in drawn["total"]:
        assert max(overlap(box, own) for box in boxes) > 0.6, (own, boxes)
    assert job["output"]["text"] == "Found: TOTAL (3). Not found: invented."

    job = find(client, file, phrase="harbour office", reader="second")
    whole, broken = job["output"]["objects"]
    assert "parts" not in whole
    assert len(broken["parts"]) == 2

    job = find(client, file, phrase="an invented phrase", reader="second", lang="zh")
    assert job["output"]["objects"] == []
    assert job["output"]["text"] == "什么也没有找到。"
    assert job["output"]["partial"] is False

    # text that is only alike is taken where it is asked for
    assert find(client, file, labels="Anothor column", reader="second")["output"]["objects"] == []
    asked = {"labels": "Anothor column", "reader": "second", "fuzzy": "true"}
    output = find(client, file, review='{"below": 0.97}', **asked)["output"]
    (alike,) = output["objects"]
    assert output["review"] == ["/objects/0"]
    assert alike["text"] == "Another column"
    assert 0.5 < alike["confidence"] < 0.97


#: Of words on the stored picture of a Chinese invoice, which is drawn with Noto Sans CJK.
CHINESE = {
    "合计": [(93, 298, 143, 324), (421, 298, 471, 324), (93, 348, 143, 374)],
    "号码": [(93, 100, 143, 124)],
    "北方贸易有限公司": [(145, 148, 349, 174)],
    "税额": [(472, 298, 524, 324)],
}


def test_chinese_words_are_found_within_their_lines(client):
    file = (ROOT / "tests/support/images/chinese_invoice.png").read_bytes()
    labels = [*CHINESE, "深圳市南山区科技园", "没有"]
    job = find(client, file, labels=labels, reader="second")
    for label, boxes in CHINESE.items():
        seen = boxes_of(job, label)
        assert len(seen) == len(boxes)
        assert all(max(overlap(box, own) for own in seen) > 0.7 for box in boxes), (label, seen)
    (broken,) = [one for one in job["output"]["objects"] if one["label"] == labels[-2]]
    assert broken["text"] == "深圳市南山区科技园"
    assert len(broken["parts"]) == 2
    assert job["output"]["text"].endswith("未找到：没有。")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"preset": "find"}, "/labels"),
        ({"preset": "find", "labels": "a", "phrase": "b"}, "/phrase"),
        ({"preset": "find", "labels": "a", "prompt": "Where?"}, "/prompt"),
        ({"preset": "find", "labels": "a", "boxes": "line"}, "/boxes"),
        ({"preset": "find", "labels": "a", "regex": "a+"}, "/regex"),
        ({"preset": "find", "labels": "a", "tiling": "ask"}, "/tiling"),
        ({"preset": "find", "labels": "a", "text_layer": "only", "reader": "model"}, "/reader"),
        ({"preset": "find", "labels": " "}, "/labels/0"),
        ({"preset": "find", "labels": [str(n) for n in range(33)]}, "/labels"),
        ({"preset": "find", "phrase": "x" * 301}, "/phrase"),
        ({"preset": "ocr", "labels": "a"}, "/labels"),
        ({"prompt": "What?", "phrase": "a"}, "/phrase"),
        ({"prompt": "What?", "fuzzy": "true"}, "/fuzzy"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(client, fields, pointer):
    files = {"image": ("a.png", saved(picture(64, 64), "PNG"))}
    refused = client.post("/v1/jobs", files=files, data=fields)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_parameters"), refused.text
    assert refused.json()["pointer"] == pointer


def test_a_search_of_nothing_is_refused_and_one_is_estimated(client):
    without = client.post("/v1/jobs", json={"preset": "find", "labels": ["a"]})
    assert (without.status_code, without.json()["pointer"]) == (422, "/images")
    sized = {"preset": "find", "labels": ["a"], "width": 640, "height": 480}
    estimate = client.post("/v1/estimate", json=sized)
    assert estimate.status_code == 200, estimate.text
    presets = client.get("/v1/presets").json()["data"]
    (preset,) = [one for one in presets if one["name"] == "find"]
    assert preset["needs"] == ["labels"]
    assert json.dumps("{labels}")[1:-1] in preset["prompt"]["en"]
