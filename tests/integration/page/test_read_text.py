"""What the page shows of text that was read: every cell and every character."""

from __future__ import annotations

import contextlib
import json

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visit, chromium
from tests.support.images.image_bytes import plain_png, text_png
from tests.support.long_form import ends_of
from tests.support.submitting import done_once

#: Markdown would change each of these lines.
LINES = (
    "__init__.py",
    "# apt update",
    "7. seven",
    "3. three",
    "> x",
    "+ 5 EUR",
    "****",
    "* * *",
    "  indented",
    "`ls -l`",
    "[a](https://e.org)",
    "<b>bold</b>",
    "a | b",
    "姓名：张三",
)
RAGGED = (
    "| Name | Start date |\n|---|---|\n| Ann | 2020-01-01 | 4,200 |\n| Bob |\n| __Eve__ | a \\| b |"
)


@pytest.fixture(scope="module")
def browser(served):
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser, served):
    with contextlib.ExitStack() as open_pages:

        def opened(path="", **options):
            one = Visit(browser, str(served.http.base_url), **options)
            open_pages.callback(one.close)
            visits.append(one)
            if path:
                one.page.goto(f"{one.url}/{path}")
            return one

        visits = []
        yield opened
        assert [visit.complaints for visit in visits] == [[] for _ in visits]


def answered_with(served, text, session, preset="ocr"):
    """A conversation whose only answer is this text."""
    form = {
        "choices": json.dumps([text]),
        "max_new_tokens": "512",
        "session_id": session,
        "postprocess": "[]",
    }
    form |= {"preset": preset} if preset else {"prompt": "?"}
    files = {"image": ("a.png", text_png("a"), "image/png")}
    job = done_once(served, form, files)
    assert job["output"]["text"] == text, job
    return job


def copied(here):
    here.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    here.page.get_by_role("button", name="Copy text").click()
    expect(here.page.locator(".foot")).to_contain_text("Copied")
    return here.page.evaluate("navigator.clipboard.readText()")


def test_read_lines_are_shown_and_copied_character_by_character(served, visit):
    text = "\n".join(LINES)
    answered_with(served, text, "lines")
    here = visit("#lines")
    expect(here.page.locator(".words .verbatim")).to_have_count(1)
    assert here.page.locator(".words .verbatim").evaluate("node => node.textContent") == text
    assert here.page.locator(".words").locator("strong, em, li, a, h3, hr, code, b").count() == 0
    assert copied(here) == text


@pytest.mark.parametrize("preset", ends_of(["ocr", "ocr_table", None]))
def test_a_table_loses_no_cell_and_the_copy_is_the_answer(served, visit, preset):
    session = f"table-{preset}"
    answered_with(served, f"above\n\n{RAGGED}\nbelow", session, preset)
    here = visit(f"#{session}")
    expect(here.page.locator(".words tr")).to_have_count(4)
    cells = here.page.eval_on_selector_all(
        ".words tr", "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
    )
    eve = "__Eve__" if preset else "Eve"
    assert cells == [
        ["Name", "Start date", ""],
        ["Ann", "2020-01-01", "4,200"],
        ["Bob", "", ""],
        [eve, "a | b", ""],
    ]
    assert copied(here) == f"above\n\n{RAGGED}\nbelow"


def test_several_pictures_are_shown_one_by_one_under_their_names(served, visit):
    here = visit()
    for name in ("first", "second"):
        here.give(f"{name}.png", text_png(name))
        expect(here.page.locator("#pictures")).to_contain_text("320 × 64")
    expect(here.page.locator("#pictures li div")).to_contain_text(["320 × 64", "320 × 64"])
    here.page.click("#presets button >> nth=1")
    here.answered()
    heads = here.page.locator(".words h2").all_inner_texts()
    assert heads == ["Picture 1: first.png", "Picture 2: second.png"]
    assert here.page.locator(".words .verbatim").count() == 2
    assert here.barriers() == []


def test_a_cut_off_answer_says_so_and_offers_a_longer_one(served, visit):
    form = {"prompt": "a long story", "session_id": "cut-off", "max_new_tokens": "2"}
    files = {"image": ("a.png", plain_png("red", 40, 40), "image/png")}
    headers = {"Prefer": "wait=60"}
    job = served.http.post("/v1/jobs", data=form, files=files, headers=headers).json()
    assert job["output"]["finish_reason"] == "length"
    here = visit("#cut-off")
    expect(here.page.locator(".notice").first).to_contain_text("cut off")
    here.page.get_by_role("button", name="Ask for a longer answer").click()
    here.answered(2)
    last = served.http.get("/v1/jobs", params={"session_id": "cut-off"}).json()["data"][0]
    assert last["output"]["finish_reason"] == "stop"


def test_a_question_without_any_picture_is_told_to_be_one(visit):
    here = visit()
    here.ask("What does it say?")
    here.answered()
    expect(here.page.locator(".notice")).to_have_text(
        "There is no picture in this conversation: the answer comes from the words alone."
    )
    here.page.reload()
    expect(here.page.locator(".notice")).to_contain_text("no picture")


def test_a_follow_up_about_an_erased_picture_is_told_why(served, visit):
    here = visit()
    here.give("gone.png", plain_png((3, 1, 4), 60, 60))
    expect(here.page.locator("#pictures")).to_contain_text("60 × 60")
    here.ask("What is it?")
    here.answered()
    session = here.page.url.partition("#")[2]
    job = served.http.get("/v1/jobs", params={"session_id": session}).json()["data"][0]
    served.http.delete(job["urls"]["self"])
    here.ask("And its colour?")
    expect(here.page.locator(".turn .trouble")).to_contain_text("no longer stored")


def test_an_answer_is_saved_as_the_file_that_was_chosen(served, visit):
    answered_with(served, RAGGED, "saved")
    here = visit("#saved")
    here.page.get_by_text("Save as…").click()
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name="CSV (tables)").click()
    assert download.value.suggested_filename == "a.csv"
    assert "4,200" in download.value.path().read_text(encoding="utf-8-sig")


def test_an_empty_answer_gets_a_sentence(served, visit):
    form = {"prompt": "?", "session_id": "empty", "stop": json.dumps(list("spitax图两"))}
    files = {"image": ("a.png", plain_png("red", 40, 40), "image/png")}
    headers = {"Prefer": "wait=60"}
    job = served.http.post("/v1/jobs", data=form, files=files, headers=headers).json()
    assert job["output"]["text"] == ""
    assert [warning["code"] for warning in job["warnings"]][-1] == "answer_empty"
    expect(visit("#empty").page.locator(".notice").last).to_contain_text("wrote nothing")
