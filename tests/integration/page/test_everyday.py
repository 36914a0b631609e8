"""What the page says while questions are prepared and answers come: limits, waits, warnings."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.images.image_bytes import text_png

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


def file_of(name, data, kind="image/png"):
    return {"name": name, "mimeType": kind, "buffer": data}


def test_what_does_not_fit_is_said_at_upload_and_many_pictures_are_a_grid(served, open_page):
    limits = served.http.get("/v1/limits").json()
    most = limits["request"]["max_images"]
    assert limits["image"]["max_bytes"] == 256 << 10
    here = open_page()
    page, note = here.page, here.page.locator("#note")
    uploads = []

    def note_upload(sent):
        # the list beside it fetches small pictures of other conversations
        if sent.method == "POST" and "/v1/images" in sent.url:
            uploads.append(sent)

    page.on("request", note_upload)
    page.set_input_files(
        "#files",
        files=[
            file_of("letter.txt", b"hello", "text/plain"),
            file_of("scan.png", b"x" * (300 << 10)),
            file_of("void.png", b""),
        ],
    )
    expect(note).to_contain_text("“letter.txt” is neither a picture nor a document")
    expect(note).to_contain_text("JPEG, PNG, WebP")
    expect(note).to_contain_text("“scan.png” has 0.29 MB; at most 0.25 MB fit.")
    expect(note).to_contain_text("“void.png” is empty.")
    assert uploads == []
    expect(page.locator("#pictures")).to_be_hidden()
    pictures = [file_of(f"p{n}.png", text_png(f"p{n}")) for n in range(most + 2)]
    page.set_input_files("#files", files=pictures[:3])
    expect(page.locator("#pictures.many")).to_have_count(0)
    page.set_input_files("#files", files=pictures[3:])
    expect(note).to_have_text(f"A question can have at most {most} pictures.")
    expect(page.locator("#pictures.many li")).to_have_count(most)
    sides = page.eval_on_selector_all(
        "#pictures li", "nodes => nodes.map(node => [node.offsetWidth, node.offsetHeight])"
    )
    assert all(abs(width - height) <= 2 for width, height in sides)
    assert here.barriers() == []
    # typing takes the refusal back, and the estimate comes
    page.fill("#question", "What are they?")
    expect(note).to_contain_text("Answer in about")
    page.press("#question", "Enter")
    here.answered()
    expect(page.locator(".shown.many img")).to_have_count(most)
    assert here.barriers() == []


def test_pictures_that_a_model_cannot_take_together_are_refused_before_they_are_sent(open_page):
    here = open_page()
    problem = {"code": "input_too_long", "detail": "Too long.", "hint": "Fewer.", "status": 422}
    here.page.route(
        "**/v1/estimate",
        lambda route: route.fulfill(
            status=422, json=problem, content_type="application/problem+json"
        ),
    )
    here.give("gate.png", text_png("Gate 12"))
    expect(here.page.locator("#note.trouble")).to_have_text("Too long. Fewer.")


def test_one_estimate_moves_with_the_queue(open_page):
    here = open_page()
    answers = iter([(12, 3), (9, 2), (4, 0)])
    last = [4, 0]

    def estimate(route):
        last[:] = next(answers, last)
        seconds, position = last
        route.fulfill(
            json={
                "seconds": {"p50": seconds, "p95": 3 * seconds},
                "queue": {"position": position, "wait_s": seconds - 3},
                "tiles": 1,
                "admitted": True,
                "refusal": None,
            }
        )

    here.page.route("**/v1/estimate", estimate)
    here.page.clock.install()
    here.give("gate.png", text_png("Gate 12"))
    note = here.page.locator("#note")
    expect(here.page.locator("#pictures li")).to_contain_text("320 × 64")
    # one figure: the wait and the answer together
    for sentence in (
        "3 ahead of you, answer in about 12 s.",
        "2 ahead of you, answer in about 9 s.",
        "Answer in about 4 s.",
    ):
        here.page.clock.run_for(6000)
        expect(note).to_have_text(sentence)


def test_a_waiting_question_has_one_figure_and_says_when_no_model_runs(workerless, open_page):
    here = open_page()
    sentences = here.page.evaluate(
        """async () => {
            const place = document.body.dataset.assets;
            const { waiting } = await import(place + "/answer/waiting.js");
            return [45, 3.14, null, undefined, 0].map((eta) => waiting(eta));
        }"""
    )
    assert sentences == ["answer in about 45 s", "answer in about 3.1 s", None, None, None]
    lonely = open_page(at=str(workerless.http.base_url))
    expect(lonely.page.locator("#health")).to_have_text("No model is running")
    lonely.ask("anybody there?")
    expect(lonely.page.locator(".going")).to_contain_text("No model is running. Your question is")
    lonely.page.click("#stop")
    expect(lonely.page.locator(".notice")).to_have_text("Stopped.")


def test_many_warnings_of_a_kind_are_one_sentence_that_says_what_to_do(open_page):
    here = open_page()
    tiles = [
        {"code": "tile_failed", "detail": f"Part {n} of 12 could not be read: It is lost."}
        for n in (2, 5, 9)
    ]
    tiles += [
        {
            "code": "tile_cut_short",
            "detail": f"Part {n} of 12 has more text than max_new_tokens allows.",
        }
        for n in range(1, 11)
    ]
    scaled = [{"code": "image_resized", "detail": f"{n}00 x 900 to 50 x 50"} for n in range(1, 5)]
    alone = [{"code": "image_first_frame", "detail": "only the first frame is used"}]
    ids = ["img_" + "0a" * 32, "img_" + "1b" * 32]
    named = [{"code": "image_enhanced", "detail": f"{ids[1]}: turned by 2 degrees."}]

    def shown_of(warnings, images):
        return here.page.evaluate(
            """async ([warnings, images]) => {
                const place = document.body.dataset.assets + "/answer/notices.js";
                const { notices } = await import(place);
                return notices(warnings, images).map(node => node.textContent);
            }""",
            [warnings, [{"id": one} for one in images]],
        )

    shown = shown_of([*tiles, *scaled, *alone], [])
    # pictures are counted, not named by what the service calls them
    assert shown_of(named, ids) == ["Enhanced before reading: Picture 2: turned by 2 degrees."]
    assert shown_of(named, ids[1:]) == ["Enhanced before reading: turned by 2 degrees."]
    assert shown[0] == (
        "Parts of the long picture that could not be read: 2, 5, 9 (of 12). "
        "Try again, or cut the picture up and send the pieces."
    )
    assert shown[1].startswith("Parts of the long picture with more text than an answer may have: ")
    assert "Longest answer" in shown[1]
    assert shown[2].startswith("The picture was scaled down: 100 x 900 to 50 x 50.")
    assert "3 more of this kind." in shown[2]
    # nothing is lost: what is folded can be opened
    assert all(f"{n}00 x 900" in shown[2] for n in range(1, 5))
    assert shown[3:] == ["Only the first frame is used"]


def test_a_refused_question_says_what_is_wrong_with_it_in_both_languages(served, open_page):
    refusal = served.http.post("/v1/jobs", json={"prompt": "?", "max_new_tokens": 0})
    for locale in ("en-US", "zh-CN"):
        here = open_page(locale=locale)
        message = here.page.evaluate(
            """async (problem) => {
                const { failure } = await import(document.body.dataset.assets + "/words.js");
                return failure({ problem }).message;
            }""",
            refusal.json(),
        )
        assert "max_new_tokens" in message, locale


def test_a_long_conversation_opens_at_its_end(served, open_page):
    files = {"image": ("tall.png", text_png("tall"), "image/png")}
    for number in range(4):
        form = {"prompt": f"Question {number}?", "session_id": "long-talk", "max_new_tokens": "40"}
        answer = served.http.post("/v1/jobs", data=form, files=files, headers={"Prefer": "wait=60"})
        assert answer.json()["status"] == "succeeded"
    here = open_page("#long-talk", viewport={"width": 900, "height": 480})
    here.answered(4)
    expect(here.page.locator(".turn").last.locator(".foot")).to_be_in_viewport()
    expect(here.page.locator(".turn").last.locator("img")).to_have_js_property("naturalWidth", 320)
    expect(here.page.locator(".turn").last.locator(".foot")).to_be_in_viewport()
    assert here.page.evaluate("document.getElementById('scroll').scrollTop") > 0


def test_phones_are_spoken_to_as_phones(open_page):
    for options, words, others in (
        (PHONE, ".by-touch", ".by-mouse"),
        ({}, ".by-mouse", ".by-touch"),
    ):
        here = open_page(**options)
        expect(here.page.locator(words)).to_be_visible()
        expect(here.page.locator(others)).to_be_hidden()
    phone = open_page(**PHONE)
    assert not re.search(r"[Dd]rop|click", phone.page.locator("main").inner_text())
    phone.page.tap("#settings-open")
    expect(phone.page.locator("#settings")).to_be_visible()
    width = phone.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["viewport"]["width"]
    assert phone.barriers() == []


def test_what_the_model_thinks_is_folded_above_its_answer(open_page):
    here = open_page()
    page = here.page

    here.ask("Without a thought?")
    here.answered()
    expect(page.locator(".answer details.thinking")).to_be_hidden()
    page.get_by_label("Think first").select_option("yes")
    page.reload()
    expect(page.get_by_label("Think first")).to_have_value("yes")
    page.click("#new")
    here.ask("What is it?")
    said = here.answered()
    thinking = page.locator(".answer details.thinking")
    expect(thinking.locator("summary")).to_have_text("What the model thought first")
    expect(thinking.locator("p")).to_be_hidden()
    assert "simulated thinking" not in said
    thinking.locator("summary").click()
    expect(thinking.locator("p")).to_have_text(
        "simulated thinking: 先看 the picture, then the question"
    )
    assert here.barriers() == []
    # it is still there when the conversation is opened again
    page.reload()
    expect(page.locator(".answer details.thinking summary")).to_be_visible()
