"""Conversations of the page: found, renamed, deleted and brought back, exported, compared."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.harness import eventually
from tests.support.images.image_bytes import text_png
from tests.support.submitting import done_once


def begun(served, session, prompt, **fields):
    files = {"image": ("bill.png", text_png(session), "image/png")}
    form = {"prompt": prompt, "session_id": session, "max_new_tokens": "64", **fields}
    job = done_once(served, form, files)
    assert job["status"] == "succeeded", job
    return job


def test_the_list_shows_picture_file_and_time_and_is_searched_and_renamed(served, open_page):
    begun(served, "list-tram", "When does the tram leave?")
    begun(served, "list-menu", "What does the soup cost?")
    here = open_page()
    page = here.page
    tram = page.locator("[data-session=list-tram]")
    # another browser began it: picture and file are learnt from the service
    expect(tram.locator("img")).to_have_js_property("naturalWidth", 80)
    expect(tram.locator("small")).to_have_text(re.compile(r"bill\.png\d+:\d\d"))
    assert here.barriers() == []
    tram.hover()
    tram.get_by_label("Rename").click()
    field = tram.get_by_label("New name")
    field.fill("Line 7")
    field.press("Enter")
    expect(tram.locator("b")).to_have_text("Line 7")
    expect(tram.locator("a")).to_be_focused()
    tram.get_by_label("Rename").click()
    field.fill("never mind")
    field.press("Escape")
    expect(tram.locator("b")).to_have_text("Line 7")
    page.goto(f"{here.url}/#list-tram")
    expect(page.locator("#heading")).to_have_text("Line 7")
    for sought, count in (("line 7", 1), ("TRAM leave", 1), ("bill.PNG", 2), ("zeppelin", 0)):
        page.fill("#search", sought)
        expect(page.locator("[data-session^=list-]")).to_have_count(count)
    expect(page.locator("#sessions")).to_have_text("No conversation matches.")
    page.fill("#search", "")
    page.reload()
    expect(tram.locator("b")).to_have_text("Line 7")
    expect(tram.locator("img")).to_be_visible()


def test_a_deleted_conversation_can_be_brought_back_and_is_gone_when_the_page_closes(
    served, open_page
):
    begun(served, "gone-soon", "Which gate?")
    here = open_page("#gone-soon")
    page, entry = here.page, here.page.locator("[data-session=gone-soon]")
    here.answered()
    entry.hover()
    entry.get_by_label("Delete").click()
    expect(entry).to_have_count(0)
    expect(page.locator("#undo")).to_contain_text("“Which gate?” is deleted.")
    expect(page.locator("body.empty")).to_have_count(1)
    assert here.barriers() == []
    page.click("#undo >> text=Undo")
    here.answered()
    expect(entry).to_have_count(1)
    assert served.http.get("/v1/sessions/gone-soon").status_code == 200
    entry.hover()
    entry.get_by_label("Delete").click()
    expect(entry).to_have_count(0)
    page.goto("about:blank")
    eventually(lambda: served.http.get("/v1/sessions/gone-soon").status_code == 404)
    # who comes back to it learns so, and can begin anew
    page.goto(f"{here.url}/#gone-soon")
    expect(page.locator("#note")).to_contain_text("This conversation no longer exists")
    expect(page.locator("#examples")).to_be_visible()
    assert page.evaluate("location.hash") == ""


@pytest.fixture
def spoken(served):
    """A conversation of two questions; the second answer would be a formula in a table program."""
    session = "exported"
    begun(served, session, "Which gate?", choices=json.dumps(["# Gate 12, left"]), preset="ocr")
    begun(served, session, "Sum?\nIn one line.", choices=json.dumps(['=1+"x"']))
    return session


def test_a_conversation_is_exported_as_markdown_text_table_and_json(served, spoken, open_page):
    here = open_page(f"#{spoken}")
    here.answered(2)
    page = here.page
    saved = {}
    for form in ("Markdown", "Text", "CSV", "JSON"):
        page.click("#export summary")
        with page.expect_download() as download:
            page.click(f"#export-forms >> text={form}")
        path = Path(download.value.path())
        saved[form] = path.read_bytes().decode()
        assert download.value.suggested_filename.startswith("Read the text.")
    parts = json.loads(saved["JSON"])["turns"]
    assert [part["corrected"] for part in parts] == [False, False]
    assert [part["answer"] for part in parts] == ["# Gate 12, left", '=1+"x"']
    assert [part["question"] for part in parts] == ["Read the text", "Sum?\nIn one line."]
    assert [part["files"] for part in parts] == [["bill.png"]] * 2
    rows = list(csv.DictReader(saved["CSV"].lstrip("\ufeff").splitlines(keepends=True)))
    assert [row["answer"] for row in rows] == ["# Gate 12, left", '\'=1+"x"']
    assert rows[1]["question"] == "Sum?\nIn one line."
    assert "## Sum? In one line." in saved["Markdown"]
    # what was read is no heading
    assert "\n\n```text\n# Gate 12, left\n```\n" in saved["Markdown"]
    assert "You asked: Sum?\nIn one line.\nFiles: bill.png\n" in saved["Text"]
    # what people have corrected is exported as they have corrected it
    fix = {"corrections": [{"pointer": "/text", "value": "# Gate 12, right"}]}
    answer = served.http.post(f"/v1/jobs/{parts[0]['job_id']}/review", json=fix)
    assert answer.status_code == 200, answer.text
    page.click("#export summary")
    with page.expect_download() as download:
        page.click("#export-forms >> text=JSON")
    part = json.loads(Path(download.value.path()).read_bytes())["turns"][0]
    assert (part["answer"], part["corrected"]) == ("# Gate 12, right", True)


def test_what_a_program_has_added_is_shown_as_what_it_is(served, open_page):
    said = (("system", "Answer in <b>one</b> word."), ("assistant", "Hello."), ("user", "And?"))
    items = [{"role": role, "content": text} for role, text in said]
    made = served.http.post("/v1/conversations", json={"items": items}).json()
    here = open_page(f"#{made['id']}")
    page = here.page
    expect(page.locator(".instruction p")).to_have_text("Answer in <b>one</b> word.")
    expect(page.locator(".asked:visible")).to_have_text(["You askedAnd?"])
    expect(page.locator(".answer:visible .words")).to_have_text(["Hello."])
    expect(page.locator("#heading")).to_have_text("Conversation")
    assert here.barriers() == []
    saved = {}
    for form in ("Markdown", "Text", "JSON"):
        page.click("#export summary")
        with page.expect_download() as download:
            page.click(f"#export-forms >> text={form}")
        saved[form] = Path(download.value.path()).read_text(encoding="utf-8")
    turns = json.loads(saved["JSON"])["turns"]
    assert [(turn["role"], turn["question"], turn["answer"]) for turn in turns] == [
        *(("system", said[0][1], ""), ("user", "", "Hello."), ("user", "And?", ""))
    ]
    title = "Instruction to the model, added through the API"
    assert f"## {title}\n\n{said[0][1]}\n\n## Answer\n\nHello." in saved["Markdown"]
    assert f"{title}: {said[0][1]}\n\n----\n\nHello.\n\n----" in saved["Text"]


def test_a_conversation_comes_when_the_service_is_back(served, open_page):
    begun(served, "comes-back", "What does the soup cost?")
    here = open_page()
    page = here.page
    away = {"status": 503, "content_type": "application/problem+json"}
    problem = json.dumps({"code": "store_unavailable", "status": 503})
    page.route("**/v1/sessions/comes-back", lambda route: route.fulfill(**away, body=problem))
    page.locator("[data-session=comes-back]").click()
    expect(page.locator("#note")).to_contain_text("cannot accept anything right now")
    page.unroute("**/v1/sessions/comes-back")
    expect(page.locator("#turns")).to_contain_text("What does the soup cost?")
    expect(page.locator("#note")).not_to_contain_text("cannot accept")


def test_another_answer_is_compared_side_by_side_and_remembered(served, open_page):
    here = open_page()
    page = here.page
    here.give("gate.png", text_png("Gate 12"))
    here.ask("What is on it?")
    first = here.answered()
    here.ask("And what not?")
    second = here.answered(2)
    page.locator(".turn").last.get_by_role("button", name="Answer anew").click()
    third = here.answered(3)
    bar = page.locator(".variants:visible")
    expect(bar).to_contain_text("Answer 2 of 2")
    expect(bar).to_contain_text("Follow-up questions go on with answer 1.")
    session = page.url.partition("#")[2]
    state = served.http.get(f"/v1/sessions/{session}").json()
    # the other answer was given to the same words, and is no part of the conversation
    assert [turn["text"] for turn in state["turns"]] == [first, second]
    (other,) = json.loads(page.evaluate("localStorage.getItem('sightline-variants')")).values()
    job = served.http.get(f"/v1/jobs/{other[0]}").json()
    asked = served.http.get(f"/v1/jobs/{state['turns'][1]['job_id']}").json()
    assert job["usage"]["prompt_tokens"] == asked["usage"]["prompt_tokens"]
    bar.get_by_role("button", name="Compare side by side").click()
    sides = page.locator("#compare .compared")
    expect(sides).to_have_text([second, third])
    expect(page.locator("#compare-verdict")).to_have_text("What differs is marked.")
    assert page.locator("#compare mark").count() > 0
    assert here.barriers() == []
    page.get_by_label("Answer on the right").first.select_option("0")
    expect(page.locator("#compare-verdict")).to_have_text("Both answers are the same.")
    expect(page.locator("#compare mark")).to_have_count(0)
    page.keyboard.press("Escape")
    page.reload()
    expect(bar).to_contain_text("Answer 1 of 2")
    bar.get_by_label("Answer after").click()
    expect(page.locator(".words:visible").last).to_have_text(third)


def test_differences_keep_every_character(open_page):
    here = open_page()
    pairs = [
        ("", "a"),
        ("the cat sat", "the dog sat"),
        ("合计 12.50 元", "合计 12.80 元"),
        ("a\n  b\n", "a\nb\n\n"),
        ("x " * 3000, "y " * 3000),
    ]
    compared = here.page.evaluate(
        """async (pairs) => {
            const place = document.body.dataset.assets + "/answer/differences.js";
            const { differences } = await import(place);
            return pairs.map(([left, right]) => differences(left, right));
        }""",
        pairs,
    )
    for pair, sides in zip(pairs, compared, strict=True):
        assert ["".join(text for text, _ in side) for side in sides] == list(pair)
    marked = [[text for text, differs in side if differs] for side in compared[1]]
    assert marked == [["cat"], ["dog"]]
    assert [[text for text, differs in side if differs] for side in compared[2]] == [["50"], ["80"]]
