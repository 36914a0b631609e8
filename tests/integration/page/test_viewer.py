"""An answer beside its picture: places light up, doubtful ones are walked through."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

pytest.importorskip("onnxruntime")
pytest.importorskip("rapidocr")

from demo.data import fonts
from tests.support.documents.drawn import pdf, text_page
from tests.support.harness import eventually
from tests.support.images.image_bytes import saved
from tests.unit.worker.evidence.papers import invoice
from tests.unit.worker.reader.pages import page

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
ROWS = (("Item", "Count", "Price"), ("Apples", "12", "3.40"), ("Pears", "7", "2.10"))
IBAN = "DE99887766554433221100"
#: What the page asks for to show a conversation.
LISTED = re.compile(r"/v1/jobs\?session_id=viewer-lines")


@pytest.fixture
def visit(open_page):
    """Open a conversation and wait for its answer and the picture beside it."""

    def opened(session, change=None, **options):
        here = open_page(**options)
        if change:
            here.page.route(LISTED, change)
        here.page.goto(f"{here.url}/#{session}")
        here.page.reload()
        expect(here.page.locator(".turn .facts")).to_be_visible()
        expect(here.page.locator(".stage svg")).to_have_attribute("viewBox", re.compile("0 0 "))
        return here

    return opened


def table_picture(*above):
    image = Image.new("RGB", (560, 200 + 50 * len(above)), "white")
    pen, font = ImageDraw.Draw(image), fonts.load(fonts.PILLOW, 22)
    for down, row in enumerate([*((line,) for line in above), *ROWS]):
        for across, text in enumerate(row):
            pen.text((40 + 170 * across, 30 + 50 * down), text, font=font, fill="black")
    return image


def json_form(**values):
    schema = {
        "type": "object",
        "properties": {name: {"const": value} for name, value in values.items()},
        "required": list(values),
        "additionalProperties": False,
    }
    return json.dumps({"type": "json_schema", "json_schema": {"name": "v", "schema": schema}})


@pytest.fixture(scope="module")
def jobs(served):
    """Answers whose places are known: lines, a table, a document and a receipt."""
    paper = invoice(0)
    form = json_form(seller=paper.values["seller"], total=paper.values["total"], iban=IBAN)
    gaps = json.loads(form)
    properties = gaps["json_schema"]["schema"]["properties"]
    properties |= {
        "count": {"type": ["integer", "null"], "const": None},
        "paid": {"type": "boolean", "const": True},
        "tax": {"type": "number", "const": 19},
        "lines": {"type": "array", "maxItems": 0},
    }
    gaps["json_schema"]["schema"]["required"] = list(properties)
    reads = {"preset": "ocr", "reader": "second", "boxes": "line"}
    values = {"prompt": "Read.", "response_format": form, "evidence": "true"}
    checked = values | {"response_format": json.dumps(gaps), "max_new_tokens": "300"}
    tables = reads | {"preset": "ocr_table"}
    price = saved(table_picture("Prices of May and June"), "PNG")
    document = pdf(*(text_page(seed, lines=12) for seed in range(3)))
    asked = {
        "lines": ("image", saved(page(40, 12).image, "PNG"), reads),
        "table": ("image", saved(table_picture(), "PNG"), tables),
        "fixed": ("image", price, tables),
        "document": ("document", document, reads),
        "receipt": ("image", saved(paper.image, "PNG"), values | {"max_new_tokens": "200"}),
        "checked": ("image", saved(paper.image, "PNG"), checked),
    }
    sent = {}
    for name, (kind, data, fields) in asked.items():
        files = {kind: ("a.pdf" if kind == "document" else "a.png", data)}
        body = fields | {"session_id": f"viewer-{name}"}
        answer = served.http.post("/v1/jobs", files=files, data=body)
        assert answer.status_code == 202, answer.text
        sent[name] = answer.json()["id"]
    ended = eventually(
        lambda: (
            {name: served.job(job, 20) for name, job in sent.items()}
            if all(served.job(job, 20)["completed_at"] for job in sent.values())
            else None
        ),
        120,
    )
    assert {job["status"] for job in ended.values()} == {"succeeded"}, ended
    return ended


def place_of(here, spot):
    """Return a place as shares of the picture that it is drawn on: left, top, right, bottom."""
    return here.page.evaluate(
        """(spot) => {
            const picture = document.querySelector(".stage img").getBoundingClientRect();
            const node = document.querySelector(`.stage [data-spot="${spot}"]`);
            const place = node.getBoundingClientRect();
            const x = (at) => (at - picture.left) / picture.width;
            const y = (at) => (at - picture.top) / picture.height;
            return [x(place.left), y(place.top), x(place.right), y(place.bottom)];
        }""",
        spot,
    )


def is_near(place, box, width, height, turns=0):
    """Tell whether a place is that of a box on a picture turned by quarters, with a free edge."""
    left, top, right, bottom = box[0] / width, box[1] / height, box[2] / width, box[3] / height
    for _ in range(turns):
        left, top, right, bottom = 1 - bottom, left, 1 - top, right
    wanted = (left, top, right, bottom)
    return all(abs(one - other) < 0.03 for one, other in zip(place, wanted, strict=True))


def begins_in_frame(here, spot):
    """Tell whether the beginning of a place is within the frame of the picture."""
    return here.page.evaluate(
        """(spot) => {
            const frame = document.querySelector(".stage").getBoundingClientRect();
            const place = document.querySelector(`.stage [data-spot="${spot}"]`);
            const { left, top, bottom } = place.getBoundingClientRect();
            const isBetween = (at, start, stop) => at >= start - 1 && at <= stop + 1;
            const across = isBetween(left, frame.left, frame.right);
            return across && [top, bottom].every((at) => isBetween(at, frame.top, frame.bottom));
        }""",
        spot,
    )


def test_lines_and_their_places_light_up_together_however_the_picture_is_turned(jobs, visit):
    here = visit("viewer-lines")
    lines = jobs["lines"]["output"]["lines"]
    words, stage = here.page.locator(".words"), here.page.locator(".stage")
    expect(words.locator(".line")).to_have_count(12)
    expect(stage.locator("polygon")).to_have_count(12)
    assert words.locator(".verbatim").evaluate("node => node.textContent") == "\n".join(
        line["text"] for line in lines
    )
    words.locator(".line >> nth=2").hover()
    expect(stage.locator("polygon.lit")).to_have_attribute("data-spot", "/lines/2")
    size = (900, page(40, 12).image.height)
    assert is_near(place_of(here, "/lines/2"), lines[2]["box"], *size)
    stage.locator("polygon >> nth=7").hover()
    expect(words.locator(".lit")).to_have_text(lines[7]["text"])
    stage.locator("polygon >> nth=7").click()
    expect(words.locator(".line >> nth=7")).to_be_focused()
    expect(words.locator(".picked")).to_have_text(lines[7]["text"])
    # enlarged, moved and turned, a place stays where it is on the picture
    for turns in range(4):
        here.page.get_by_role("button", name="Enlarge (+)").click()
        assert is_near(place_of(here, "/lines/7"), lines[7]["box"], *size, turns)
        here.page.get_by_role("button", name="Turn (R)").click()
    for number in (11, 0):
        words.locator(f".line >> nth={number}").focus()
        chosen = stage.locator("polygon.picked")
        expect(chosen).to_have_attribute("data-spot", f"/lines/{number}")
        eventually(lambda spot=f"/lines/{number}": begins_in_frame(here, spot))
    here.page.keyboard.press("ArrowDown")
    expect(words.locator(".line >> nth=1")).to_be_focused()
    assert here.barriers() == []


def test_the_picture_is_enlarged_by_wheel_and_keys_and_moved_by_hand(visit):
    here = visit("viewer-lines")
    stage = here.page.locator(".stage")
    width = "node => node.querySelector('img').getBoundingClientRect().width"
    before = stage.evaluate(width)
    stage.hover()
    # before it is chosen, the wheel scrolls the conversation
    here.page.mouse.wheel(0, -300)
    assert stage.evaluate(width) == before
    stage.focus()
    stage.hover()
    here.page.mouse.wheel(0, -300)
    eventually(lambda: stage.evaluate(width) > 1.5 * before)
    scrolled = stage.evaluate("node => node.scrollLeft")
    box = stage.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    here.page.mouse.move(*middle)
    here.page.mouse.down()
    here.page.mouse.move(middle[0] - 60, middle[1], steps=4)
    here.page.mouse.up()
    assert stage.evaluate("node => node.scrollLeft") == pytest.approx(scrolled + 60, abs=8)
    # who pulls the picture chooses nothing
    expect(here.page.locator(".picked")).to_have_count(0)
    stage.press("0")
    assert stage.evaluate(width) == before
    stage.press("+")
    assert stage.evaluate(width) > before
    stage.press("r")
    expect(stage).to_have_attribute("data-turn", "90")


def test_cells_and_values_have_their_places(jobs, visit):
    here = visit("viewer-table")
    lines = jobs["table"]["output"]["lines"]
    here.page.get_by_role("cell", name="3.40").hover()
    expect(here.page.locator("polygon.lit")).to_have_attribute("data-spot", "/lines/1/cells/2")
    assert is_near(place_of(here, "/lines/1/cells/2"), lines[1]["cells"][2]["box"], 560, 200)
    here.page.locator('polygon[data-spot="/lines/2/cells/0"]').hover()
    expect(here.page.locator(".words .lit")).to_have_text("Pears")
    receipt = visit("viewer-receipt")
    evidence = jobs["receipt"]["output"]["evidence"]
    paper = invoice(0)
    value = receipt.page.locator('.words [data-spot="/json/total"]')
    expect(value).to_have_text(str(paper.values["total"]))
    value.focus()
    expect(receipt.page.locator("polygon.picked")).to_have_attribute("data-spot", "/json/total")
    assert is_near(place_of(receipt, "/json/total"), evidence["/total"]["box"], *paper.image.size)
    expect(receipt.page.locator(".words mark")).to_have_text(IBAN)
    assert "printed nowhere" in receipt.page.locator(".words mark").get_attribute("title")
    assert receipt.barriers() == []


def test_a_document_shows_the_page_of_the_line_that_is_pointed_at(jobs, visit):
    here = visit("viewer-document", viewport={"width": 1280, "height": 850})
    lines = jobs["document"]["output"]["lines"]
    stage = here.page.locator(".stage")
    expect(stage).to_have_attribute("data-sheet", "page-1")
    here.page.get_by_role("button", name="Next sheet").click()
    expect(stage).to_have_attribute("data-sheet", "page-2")
    number = next(n for n, line in enumerate(lines) if line["page"] == 3) + 4
    here.page.locator(f'.words [data-spot="/lines/{number}"]').click()
    expect(stage).to_have_attribute("data-sheet", "page-3")
    expect(stage.locator("polygon.picked")).to_have_attribute("data-spot", f"/lines/{number}")
    # places on pages are in points
    assert is_near(place_of(here, f"/lines/{number}"), lines[number]["box"], 595.3, 841.9)


def doubtful(route):
    """Hand a list of jobs on as two readers would have left it that differ here and there."""
    answer = route.fetch()
    listed = answer.json()
    output = listed["data"][0]["output"]
    for number, (text, other) in {2: ("Tota1 12", "Total 12"), 5: ("a [?] b", None)}.items():
        line = output["lines"][number]
        output["text"] = output["text"].replace(line["text"], text)
        share = {"agreement": 0.8, "other": other} if other else {}
        output["lines"][number] = {**line, "text": text, **share}
    route.fulfill(response=answer, json=listed)


def test_doubtful_letters_are_underlined_and_walked_through_by_keys(jobs, visit):
    here = visit("viewer-lines", doubtful)
    marks = here.page.locator(".words mark")
    expect(marks).to_have_text(["1", "[?]"])
    assert "“Total 12”" in marks.first.get_attribute("title")
    expect(here.page.locator(".guide")).to_contain_text("2 doubtful places")
    expect(here.page.locator(".guide")).to_contain_text("N, P: next, before")
    here.page.get_by_role("button", name="Next doubtful place").click()
    line = here.page.locator(".words .line")
    expect(line.nth(2)).to_be_focused()
    expect(here.page.locator(".strip")).to_contain_text("“Total 12”")
    here.page.keyboard.press("n")
    expect(line.nth(5)).to_be_focused()
    expect(here.page.locator("polygon.picked")).to_have_attribute("data-spot", "/lines/5")
    here.page.keyboard.press("Alt+ArrowDown")
    expect(line.nth(2)).to_be_focused()
    here.page.keyboard.press("p")
    expect(line.nth(5)).to_be_focused()
    here.page.keyboard.press("Escape")
    expect(here.page.locator(".picked")).to_have_count(0)
    assert here.barriers() == []


def test_on_a_phone_the_picture_is_below_the_text_with_a_way_to_it_and_back(jobs, visit):
    here = visit("viewer-lines", locale="zh-CN", **PHONE)
    words, pane = here.page.locator(".words"), here.page.locator(".pane")
    assert pane.bounding_box()["y"] >= words.bounding_box()["y"] + words.bounding_box()["height"]
    here.page.get_by_role("button", name="查看图片").tap()
    expect(here.page.locator(".stage")).to_be_focused()
    here.page.locator(".words .line >> nth=3").tap()
    expect(here.page.locator("polygon.picked")).to_be_in_viewport()
    expect(here.page.locator("polygon.picked")).to_have_attribute("data-spot", "/lines/3")
    here.page.get_by_role("button", name="返回文字").tap()
    expect(words.locator(".line >> nth=3")).to_be_in_viewport()
    expect(words.locator(".line >> nth=3")).to_be_focused()
    # a finger on the picture chooses as well
    here.page.locator("polygon >> nth=1").tap()
    expect(here.page.locator(".strip")).to_contain_text(jobs["lines"]["output"]["lines"][1]["text"])
    assert here.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert here.barriers() == []


def is_question(sent):
    return sent.method == "POST" and sent.url.endswith("/v1/jobs")


def test_reading_asks_for_places_by_itself(open_page):
    here = open_page()
    here.give("a.png", saved(page(41, 3, width=500).image, "PNG"))
    expect(here.page.locator("#readers")).to_be_visible()
    with here.page.expect_request(is_question) as sent:
        here.page.click("#presets button >> text=Read the text")
    assert sent.value.post_data_json["boxes"] == "line"
    # the picture is there before the answer
    expect(here.page.locator(".turn[aria-busy] .stage img")).to_be_visible()
    here.answered()
    expect(here.page.locator(".words .line").first).to_be_visible()
    with here.page.expect_request(is_question) as sent:
        here.ask("And what is it?")
    assert "boxes" not in sent.value.post_data_json


def test_what_is_corrected_in_place_is_stored_beside_the_answer_and_copied(served, jobs, visit):
    here = visit("viewer-fixed")
    job = jobs["fixed"]
    title = here.page.locator(".words .line").first
    title.focus()
    here.page.keyboard.press("Enter")
    here.page.keyboard.type("Something else")
    here.page.keyboard.press("Escape")
    expect(title).to_have_text("Prices of May and June")
    here.page.keyboard.press("Enter")
    here.page.keyboard.type("Prices of July")
    here.page.keyboard.press("Enter")
    expect(title.locator("ins")).to_have_text("Prices of July")
    cell = here.page.get_by_role("cell", name="3.40")
    cell.dblclick()
    here.page.keyboard.type("3.50 | net")
    here.page.keyboard.press("Enter")
    expect(here.page.locator("td ins")).to_have_text("3.50 | net")
    expect(here.page.locator("polygon.fixed")).to_have_count(2)
    stored = served.job(job["id"])
    assert stored["output"] == job["output"]
    assert [(one["value"], one["before"]) for one in stored["review"]["corrections"]] == [
        ("Prices of July", "Prices of May and June"),
        ("3.50 | net", "3.40"),
    ]
    here.page.reload()
    expect(title.locator("ins")).to_have_text("Prices of July")
    expect(title.locator("del")).to_have_text("Prices of May and June")
    expect(here.page.locator("td ins")).to_have_text("3.50 | net")
    here.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    here.page.get_by_role("button", name="Copy text").click()
    expect(here.page.locator(".foot")).to_contain_text("Copied")
    text = job["output"]["text"].replace("Prices of May and June", "Prices of July")
    text = text.replace("3.40", "3.50 \\| net")
    assert here.page.evaluate("navigator.clipboard.readText()") == text
    here.page.get_by_text("Save as…").click()
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name="CSV (tables)").click()
    assert "3.50 | net" in download.value.path().read_text(encoding="utf-8-sig")
    here.page.get_by_text("Save as…").click()
    assert here.barriers() == []
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name="Picture with boxes (SVG)").click()
    drawn = download.value.path().read_text(encoding="utf-8")
    assert "<title>Prices of July (corrected; read as: Prices of May and June)</title>" in drawn
    here.page.get_by_text("Save as…").click()
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name="Searchable PDF").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")
    assert here.barriers() == []


def test_values_are_corrected_and_confirmed(served, jobs, visit):
    here = visit("viewer-checked")
    here.page.get_by_role("button", name="Next doubtful place").click()
    here.page.get_by_role("button", name="It is right").click()
    expect(here.page.locator('.words [data-spot="/json/iban"] mark')).to_have_count(0)
    here.page.locator('.words [data-spot="/json/total"]').click()
    here.page.get_by_role("button", name="Correct", exact=True).click()
    here.page.keyboard.type("99.00")
    here.page.keyboard.press("Enter")
    expect(here.page.locator(".words ins")).to_have_text("99.00")
    # what is missing is filled with the kind that the schema wants, what is not there is emptied
    value = here.page.locator('.words [data-spot="/json/count"]')
    expect(value).to_have_text("no value")
    for name, typed, shown in (
        ("count", "7", "7"),
        ("paid", "false", "false"),
        ("tax", "", "no value"),
    ):
        value = here.page.locator(f'.words [data-spot="/json/{name}"]')
        value.focus()
        here.page.keyboard.press("Enter")
        value.locator("textarea").fill("many")
        here.page.keyboard.press("Enter")
        expect(here.page.locator(".fix-note.bad")).to_be_visible()
        value.locator("textarea").fill(typed)
        here.page.keyboard.press("Enter")
        expect(value.locator("ins")).to_have_text(shown)
    assert here.barriers() == []
    here.page.reload()
    expect(here.page.locator(".words ins")).to_have_text(["99.00", "7", "false", "no value"])
    expect(here.page.locator(".words mark")).to_have_count(0)
    review = served.job(jobs["checked"]["id"])["review"]
    assert {one["pointer"]: one["value"] for one in review["corrections"]} == {
        "/json/total": "99.00",
        "/json/count": 7,
        "/json/paid": False,
        "/json/tax": None,
    }
    assert [one["pointer"] for one in review["confirmed"]] == ["/json/iban"]
    here.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    here.page.get_by_role("button", name="Copy text").click()
    expect(here.page.locator(".foot")).to_contain_text("Copied")
    copied = json.loads(here.page.evaluate("navigator.clipboard.readText()"))
    changed = {"total": "99.00", "count": 7, "paid": False, "tax": None}
    assert copied == jobs["checked"]["output"]["json"] | changed


def test_what_is_looked_for_is_shown_where_it_is(served, open_page):
    here = open_page()
    here.give("a.png", saved(table_picture(), "PNG"))
    expect(here.page.locator("#readers")).to_be_visible()
    here.page.select_option("#reader", "")
    here.page.fill("#question", "Pears, unicorn，3.40")
    with here.page.expect_request(is_question) as sent:
        here.page.click("#presets >> text=Find")
    assert sent.value.post_data_json["labels"] == ["Pears", "unicorn", "3.40"]
    here.answered()
    expect(here.page.locator(".objects [data-spot]")).to_have_text(["Pears", "3.40"])
    here.page.locator(".objects [data-spot] >> nth=1").hover()
    expect(here.page.locator("polygon.lit")).to_have_attribute("data-spot", "/objects/1")
    here.page.reload()
    here.page.locator("polygon >> nth=0").click()
    expect(here.page.locator(".picked").first).to_have_text("Pears")
    expect(here.page.locator(".asked")).to_contain_text("Pears, unicorn")
    assert here.barriers() == []


def test_a_long_text_keeps_every_character_when_its_lines_are_found_again(open_page):
    here = open_page()
    shown = here.page.evaluate(
        """async () => {
            const place = document.body.dataset.assets + "/viewer/text/marks.js";
            const { markLines } = await import(place);
            const texts = Array.from({ length: 173 }, (_, n) => (n % 7 ? `  line  ${n} ` : ""));
            const paragraph = document.createElement("p");
            paragraph.className = "verbatim";
            paragraph.textContent = texts.join("\\n");
            const words = document.createElement("div");
            words.className = "words";
            words.append(paragraph);
            document.body.append(words);
            const before = paragraph.getBoundingClientRect().height;
            // the rules of a request have left one line out, and added another
            const lines = texts.filter(Boolean).map((text) => ({ text: text.trim() }));
            lines.splice(40, 1);
            lines.splice(90, 0, { text: "left out" });
            const marked = [];
            const spots = lines.map((line, n) => ({ line: n, text: line.text }));
            const mark = (node, spot) => marked.push([node.textContent.trim(), spot.text]);
            markLines(words, lines, spots, mark);
            const after = paragraph.getBoundingClientRect().height;
            words.remove();
            return { same: paragraph.textContent === texts.join("\\n"), before, after, marked };
        }"""
    )
    assert shown["same"]
    assert shown["after"] == pytest.approx(shown["before"], abs=1)
    assert len(shown["marked"]) == 173 - 25 - 1
    assert all(text.split() == line.split() for text, line in shown["marked"])
