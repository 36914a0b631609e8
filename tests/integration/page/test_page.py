"""The web page in a real browser, against a real gateway."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.browser import Visit, chromium
from tests.support.harness import QUICK, ROOT, Process, System, running_redis, running_system
from tests.support.images.image_bytes import screenshot, text_png

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def browser(served):
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser, served):
    """Open the page; at the end of the test, no visit may have complaints."""
    with contextlib.ExitStack() as open_pages:

        def opened(url=served.http.base_url, **options):
            one = Visit(browser, str(url), **options)
            open_pages.callback(one.close)
            visits.append(one)
            return one

        visits = []
        yield opened
        assert [visit.complaints for visit in visits] == [[] for _ in visits]


def ask_in_sessions(served, count):
    """Ask in more conversations than a phone's screen lists at once."""
    for number in range(count):
        form = {"prompt": "?", "session_id": f"of-many-{number}", "max_new_tokens": "1"}
        assert served.http.post("/v1/jobs", data=form).status_code == 202


def session_of(visit):
    return visit.page.url.partition("#")[2]


def test_a_conversation_streams_goes_on_and_is_there_after_a_refresh_and_elsewhere(
    served, other_gateway, visit
):
    here = visit()
    here.give("gate.png", text_png("Gate 12"))
    chip = here.page.locator("#pictures li")
    expect(chip).to_contain_text("gate.png")
    expect(chip).to_contain_text("320 × 64")
    here.ask("What is on it?")
    expect(here.page.locator(".turn[aria-busy] .words")).not_to_be_empty()
    first = here.answered()
    expect(here.page.locator("#sessions a")).to_contain_text(["What is on it?"])
    here.page.click("#presets button >> nth=3")
    second = here.answered(2)
    jobs = served.http.get("/v1/jobs", params={"session_id": session_of(here)}).json()["data"]
    assert [job["output"]["text"] for job in jobs] == [second, first]
    assert [job["input"]["preset"] for job in jobs] == ["count", None]
    here.page.reload()
    assert here.answered(2) == second
    expect(here.page.locator(".shown img")).to_have_js_property("naturalWidth", 320)
    there = visit(other_gateway.base_url)
    there.page.goto(f"{there.url}/#{session_of(here)}")
    assert there.answered(2) == second
    assert there.barriers() == []


def test_who_reads_is_chosen_kept_and_told_in_both_languages(served, visit):
    here = visit()
    here.give("gate.png", text_png("Gate 12 opens"))
    choice = here.page.get_by_label("Read with")
    expect(choice).to_be_visible()
    expect(choice.locator("option")).to_have_text(["automatic", "model", "second reader", "both"])
    choice.select_option("second")
    here.page.click("#presets >> text=Read the text")
    assert here.answered() == "Gate 12 opens"
    expect(here.page.locator(".turn .facts")).to_contain_text("read by the second reader")
    # it is kept, and only for what reads: a description is the model's
    here.page.click("#presets button >> text=Describe")
    here.answered(2)
    jobs = served.http.get("/v1/jobs", params={"session_id": session_of(here)}).json()["data"]
    assert [job["output"]["reader"] for job in jobs] == [None, "second"]
    assert here.barriers() == []
    here.page.goto(f"{here.url}/?lang=zh")
    here.give("gate.png", text_png("Gate 12 opens"))
    choice = here.page.get_by_label("由谁识别")
    expect(choice).to_have_value("second")
    choice.select_option("both")
    here.page.click("#presets button >> text=提取文字")
    here.answered()
    expect(here.page.locator(".turn .facts")).to_contain_text("两者都已识别")
    expect(here.page.locator(".turn .notice").first).to_contain_text("两个阅读器读法不同")
    assert here.barriers() == []


def test_an_example_is_asked_with_one_click(served, visit):
    here = visit()
    here.page.click("#examples button >> nth=2")
    answer = here.answered()
    job = served.http.get("/v1/jobs", params={"session_id": session_of(here)}).json()["data"][0]
    assert (job["input"]["preset"], job["output"]["text"]) == ("count", answer)
    expect(here.page.locator("#examples")).to_be_hidden()


def test_a_refresh_while_the_answer_is_written_loses_nothing(served, visit):
    here = visit()
    here.ask("a long story, please")
    expect(here.page.locator(".words")).not_to_be_empty()
    here.page.reload()
    answer = here.answered()
    job = served.http.get("/v1/jobs", params={"session_id": session_of(here)}).json()["data"][0]
    assert answer == job["output"]["text"]


def test_an_answer_can_be_stopped_and_keeps_what_was_written(served, visit):
    here = visit()
    here.ask("something endless")
    expect(here.page.locator(".words")).not_to_be_empty()
    here.page.click("#stop")
    expect(here.page.locator(".notice")).to_contain_text("Stopped")
    job = served.http.get("/v1/jobs", params={"session_id": session_of(here)}).json()["data"][0]
    assert job["status"] == "canceled"
    assert here.page.inner_text(".words") == job["output"]["text"] != ""
    expect(here.page.locator(".asked")).to_contain_text("something endless")
    here.page.reload()
    expect(here.page.locator(".asked")).to_contain_text("something endless")
    expect(here.page.locator(".foot")).to_contain_text("Try again")


def test_a_long_picture_shows_its_tiles_and_its_price(visit):
    here = visit()
    here.give("long.png", screenshot(600, 9000))
    expect(here.page.locator("#note")).to_contain_text("Read in 6 tiles.")
    here.page.click("#presets button >> nth=1")
    expect(here.page.locator(".going")).to_contain_text("Tile ")
    assert here.page.locator(".bar span").count() > 4
    here.page.click("#stop")
    expect(here.page.locator(".notice").first).to_contain_text("Stopped")
    expect(here.page.locator(".notice").last).to_contain_text("read in tiles")


def test_a_waiting_question_tells_its_place_and_can_be_stopped(workerless, visit):
    workerless.submit("somebody else's")
    here = visit(workerless.http.base_url)
    expect(here.page.locator("#health")).to_have_text("No model is running")
    here.ask("anybody there?")
    expect(here.page.locator(".going")).to_contain_text("ahead of you")
    here.page.keyboard.press("Escape")
    expect(here.page.locator(".notice")).to_have_text("Stopped.")


@pytest.mark.parametrize(
    ("name", "data", "kind", "sentence"),
    [
        ("a.png", b"no picture at all", "image/png", "Supported: JPEG, PNG"),
        ("cut.png", text_png("cut")[:300], "image/png", "truncated"),
    ],
)
def test_a_bad_file_is_told_in_a_sentence_with_a_hint(visit, name, data, kind, sentence):
    here = visit()
    here.give(name, data, kind)
    bad = here.page.locator("#pictures .bad")
    expect(bad).to_contain_text(sentence)
    expect(here.page.locator("#spoken")).to_contain_text(sentence)
    assert here.barriers() == []


def test_what_is_no_picture_is_refused_before_it_is_sent(visit):
    here = visit()
    here.give("letter.txt", b"hello", "text/plain")
    expect(here.page.locator("#note")).to_contain_text("“letter.txt” is neither a picture nor")


def test_a_phone_shows_everything_in_chinese_and_in_the_dark(served, visit):
    ask_in_sessions(served, 20)
    phone = visit(**PHONE, locale="zh-CN", color_scheme="dark")
    expect(phone.page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(phone.page.locator("#welcome h2")).to_have_text("图片里有什么？")
    expect(phone.page.locator("#snap")).to_be_visible()
    phone.give("bad.png", b"nothing")
    expect(phone.page.locator("#pictures .bad")).to_contain_text("不支持的图片格式")
    width = phone.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["viewport"]["width"]
    assert phone.barriers() == []
    phone.page.click("#menu")
    expect(phone.page.locator("#close-menu")).to_be_focused()
    expect(phone.page.locator("#sessions a").nth(19)).to_be_attached()
    assert phone.barriers() == []
    phone.page.click("#language")
    expect(phone.page.locator("html")).to_have_attribute("lang", "en")
    phone.page.goto(phone.url)
    expect(phone.page.locator("html")).to_have_attribute("lang", "en")


def test_everything_can_be_reached_by_keyboard_and_without_barriers(visit):
    here = visit()
    assert here.barriers() == []
    here.page.keyboard.press("Tab")
    expect(here.page.locator(".skip")).to_be_focused()
    here.page.keyboard.press("Enter")
    expect(here.page.locator("#question")).to_be_focused()
    here.page.click("#theme")
    expect(here.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert here.barriers() == []


def test_markdown_becomes_nodes_and_never_markup(visit):
    here = visit()
    text = (
        "# Head\n\n| a | b |\n|---|---|\n| 1 | **2** |\n\n- x\n- y\n\n```\n<b>\n```\n"
        "<img src=x onerror=alert(1)> [l](javascript:alert(1)) [ok](https://e.org/) `c`"
    )
    rendered = here.page.evaluate(
        """async (text) => {
            const place = document.body.dataset.assets + "/markdown.js";
            const { render, plain } = await import(place);
            const holder = document.createElement("div");
            holder.append(...render(text));
            return { html: holder.innerHTML, plain: plain(text) };
        }""",
        text,
    )
    html = rendered["html"]
    assert '<th scope="col">a</th>' in html
    assert "<td><strong>2</strong></td>" in html
    assert "<li>y</li>" in html
    assert "&lt;b&gt;" in html
    assert "<img" not in html
    assert html.count("<a ") == 1
    assert 'href="https://e.org/"' in html
    assert "1\t2" in rendered["plain"]


def test_a_dropped_and_a_pasted_picture_are_taken(visit):
    here = visit()
    for kind, member in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        here.page.evaluate(
            """async ([kind, member]) => {
                const place = document.body.dataset.assets + "/example.png";
                const blob = await (await fetch(place)).blob();
                const carried = new DataTransfer();
                carried.items.add(new File([blob], kind + ".png", { type: "image/png" }));
                const event = new Event(kind, { bubbles: true, cancelable: true });
                Object.defineProperty(event, member, { value: carried });
                document.body.dispatchEvent(event);
            }""",
            [kind, member],
        )
        expect(here.page.locator("#pictures")).to_contain_text(f"{kind}.png")
    expect(here.page.locator("#pictures li div")).to_contain_text(["384 × 96", "384 × 96"])
    here.page.get_by_label("Remove drop.png").click()
    expect(here.page.locator("#pictures li")).to_have_count(1)


def test_the_page_allows_nothing_from_elsewhere(served):
    answer = served.http.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    asset = answer.text.split('href="')[2].split('"')[0]
    assert "immutable" in served.http.get(asset).headers["Cache-Control"]
    old = "/assets/0123456789ab/base.css"
    assert served.http.get(old).headers["Cache-Control"] == "no-store"


@dataclass
class Guarded:
    """A system that wants keys: the secret of one, and the only worker."""

    system: System
    url: str
    secret: str
    worker: Process

    def enter(self, visit):
        visit.page.fill("#keys-input", self.secret)
        visit.page.press("#keys-input", "Enter")
        expect(visit.page.locator("#keys")).to_be_hidden()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
        make = [sys.executable, "-m", "gateway.admin", "keys", "create", "reader"]
        secret = subprocess.check_output(make, cwd=ROOT, env=system.env, text=True).strip()
        worker = system.worker(slots=4, SIGHTLINE_SIMULATED_TOKEN_S="0.2")
        yield Guarded(system, str(system.gateway()[1].base_url), secret, worker)


def test_who_needs_a_key_is_asked_for_it_and_keeps_the_conversation(guarded, visit):
    here = visit(guarded.url)
    expect(here.page.locator("#keys")).to_be_visible()
    expect(here.page.locator("#health")).to_have_text("API key required")
    here.page.fill("#keys-input", "sk-wrong")
    here.page.press("#keys-input", "Enter")
    expect(here.page.locator("#keys-trouble")).to_contain_text("This key is invalid")
    assert here.barriers() == []
    guarded.enter(here)
    expect(here.page.locator("#health")).to_have_text("simulated")
    here.give("gate.png", text_png("Gate 12"))
    here.ask("What is on it?")
    first = here.answered()
    expect(here.page.locator("#sessions b")).to_have_text(["What is on it?"])
    here.page.reload()
    assert here.answered() == first
    expect(here.page.locator(".shown img")).to_have_js_property("naturalWidth", 320)
    anonymous = visit(guarded.url)
    anonymous.page.goto(f"{anonymous.url}/#{session_of(here)}")
    expect(anonymous.page.locator("#keys")).to_be_visible()
    expect(anonymous.page.locator(".turn")).to_have_count(0)


def test_what_was_refused_for_want_of_a_key_is_sent_once_there_is_one(guarded, visit):
    here = visit(guarded.url)
    here.page.click("#keys-close")
    here.give("gate.png", text_png("Gate 12"))
    expect(here.page.locator("#pictures .bad")).to_contain_text("requires an API key")
    guarded.enter(here)
    expect(here.page.locator("#pictures li")).to_contain_text("320 × 64")
    expect(here.page.locator("#pictures .bad")).to_have_count(0)


def test_an_answer_that_is_begun_anew_takes_the_place_of_what_was_written(guarded, visit):
    here = visit(guarded.url)
    guarded.enter(here)
    here.ask("a story that is interrupted")
    words = here.page.locator(".words")
    expect(words).to_have_text(re.compile(r"\w \w"))
    here.page.evaluate(
        """() => {
            window.emptied = 0;
            window.said = "";
            const words = document.querySelector(".words");
            new MutationObserver((records) => {
                for (const { target, addedNodes, removedNodes } of records) {
                    const gone = removedNodes.length && !addedNodes.length;
                    if (target === words && gone) window.emptied += 1;
                    for (const node of addedNodes) window.said += node.textContent;
                }
            }).observe(words.parentNode, { childList: true, subtree: true });
        }"""
    )
    guarded.worker.kill()
    guarded.system.worker(slots=4, SIGHTLINE_SIMULATED_TOKEN_S="0.05")
    answer = here.answered()
    assert here.page.evaluate("window.emptied") == 1
    assert "Restarted: the worker crashed." in here.page.evaluate("window.said")
    headers = {"Authorization": f"Bearer {guarded.secret}"}
    path = f"{here.url}/v1/jobs"
    listed = httpx.get(path, params={"limit": 1}, headers=headers, trust_env=False, timeout=60)
    job = listed.json()["data"][0]
    assert (answer, job["metrics"]["attempt"]) == (job["output"]["text"], 2)


def test_the_page_works_below_a_path_of_its_host(served, visit):
    _, http = served.system.gateway(SIGHTLINE_BASE_PATH="/tools/vision")
    here = visit(f"{str(http.base_url).rstrip('/')}/tools/vision")
    here.give("gate.png", text_png("Gate 12"))
    here.ask("What is on it?")
    answer = here.answered()
    expect(here.page.locator(".shown img")).to_have_js_property("naturalWidth", 320)
    assert here.page.url.partition("#")[0].endswith("/tools/vision")
    here.page.reload()
    assert here.answered() == answer
