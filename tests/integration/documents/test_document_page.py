"""Documents on the web page: taken, shown page by page, opened beside their text, asked about."""

from __future__ import annotations

import contextlib

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visit, chromium
from tests.support.documents.drawn import encrypted
from tests.support.documents.page_kinds import pages, tiff
from tests.support.images.image_bytes import text_png

PDF = "application/pdf"


@pytest.fixture(scope="module")
def browser(documents):
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser, documents):
    with contextlib.ExitStack() as open_pages:

        def opened(**options):
            one = Visit(browser, str(documents.http.base_url), **options)
            open_pages.callback(one.close)
            visits.append(one)
            return one

        visits = []
        yield opened
        assert [visit.complaints for visit in visits] == [[] for _ in visits]


def read(here, name, data, count):
    here.give(name, data, PDF)
    expect(here.page.locator("#pictures li")).to_contain_text(f"{count} pages")
    here.page.click("#presets button >> nth=1")


def states(here):
    return here.page.eval_on_selector_all(
        ".pages li", "nodes => nodes.map(node => node.dataset.state)"
    )


def latest(documents):
    return documents.http.get("/v1/jobs", params={"limit": 1}).json()["data"][0]


def test_a_pdf_shows_its_pages_and_each_opens_beside_its_text(documents, visit):
    here = visit()
    read(here, "report.pdf", pages("tsbt"), 4)
    expect(here.page.locator(".pages li")).to_have_count(4)
    here.answered()
    assert states(here) == ["text_layer", "model", "blank", "text_layer"]
    expect(here.page.locator(".pages img").first).not_to_have_js_property("naturalWidth", 0)
    assert here.barriers() == []
    job = latest(documents)
    here.page.click(".pages li:nth-child(4) button")
    expect(here.page.locator("#page-title")).to_have_text("Page 4 · report.pdf")
    shown = here.page.locator("#page-text .verbatim").evaluate("node => node.textContent")
    assert shown == job["output"]["pages"][3]["text"].strip("\n")
    expect(here.page.locator("#page-image")).not_to_have_js_property("naturalWidth", 0)
    assert here.barriers() == []
    here.page.click("#page-after")
    expect(here.page.locator("#page-title")).to_contain_text("Page 1")
    here.page.keyboard.press("Escape")
    expect(here.page.locator("#pageview")).to_be_hidden()
    here.page.reload()
    here.answered()
    assert states(here) == ["text_layer", "model", "blank", "text_layer"]


def test_a_question_goes_to_the_whole_document_or_to_one_page(documents, visit):
    here = visit()
    read(here, "report.pdf", pages("tt"), 2)
    here.answered()
    here.ask("What is the total?")
    here.answered(2)
    here.page.click(".pages li:nth-child(2) button")
    here.page.fill("#page-question", "Who wrote this page?")
    here.page.press("#page-question", "Enter")
    here.answered(3)
    assert latest(documents)["input"]["document"]["pages"] == [2]
    expect(here.page.locator(".asked").last).to_contain_text("report.pdf · Page 2")


def test_pages_of_a_tiff_are_pages_and_one_alone_is_a_picture(visit):
    here = visit()
    here.give("scan.tiff", tiff(3), "image/tiff")
    expect(here.page.locator("#pictures li")).to_contain_text("3 pages")
    here.page.get_by_label("Remove scan.tiff").click()
    here.give("one.tif", tiff(1), "image/tiff")
    expect(here.page.locator("#pictures li")).to_contain_text("visual tokens")


def test_a_document_stands_alone(visit):
    here = visit()
    here.give("a.png", text_png("a"))
    here.give("b.pdf", pages("t"), PDF)
    expect(here.page.locator("#note")).to_contain_text("one document")
    expect(here.page.locator("#pictures li")).to_have_count(1)


def test_a_locked_document_asks_for_its_password(visit):
    here = visit()
    here.give("locked.pdf", encrypted("open sesame", 6), PDF)
    field = here.page.get_by_label("Password of the document")
    field.fill("wrong")
    field.press("Enter")
    expect(here.page.locator("#pictures li")).to_contain_text("does not open")
    field = here.page.get_by_label("Password of the document")
    field.fill("open sesame")
    field.press("Enter")
    expect(here.page.locator("#pictures li")).to_contain_text(" pages")


def test_a_broken_document_is_told_in_a_sentence(visit):
    here = visit()
    here.give("broken.pdf", b"%PDF-1.4 and nothing else", PDF)
    expect(here.page.locator("#pictures .bad")).to_contain_text("damaged")


def test_a_phone_shows_pages_in_chinese_and_in_the_dark(visit):
    size = {"width": 390, "height": 780}
    phone = visit(
        viewport=size, has_touch=True, is_mobile=True, locale="zh-CN", color_scheme="dark"
    )
    # a long name may not push what closes the page out of sight
    phone.give("the report of the harbour master about ropes.pdf", pages("tsbt"), PDF)
    expect(phone.page.locator("#pictures li")).to_contain_text("共 4 页")
    phone.page.click("#presets button >> nth=1")
    phone.answered()
    phone.page.click(".pages li:nth-child(1) button")
    expect(phone.page.locator("#page-title")).to_contain_text("第 1 页")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    view = phone.page.locator("#pageview").bounding_box()
    for inside in ("#page-close", "#page-image", "#page-ask button"):
        box = phone.page.locator(inside).bounding_box()
        assert box["x"] + box["width"] <= view["x"] + view["width"]
    assert phone.barriers() == []
