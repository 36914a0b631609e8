"""Settings and ready-made questions of the page: what is chosen is sent, shown and remembered."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.support.images.image_bytes import text_png


def bodies_of(here):
    """Return the list that collects the bodies of questions from now on."""
    bodies = []
    here.page.on(
        "request",
        lambda sent: (
            bodies.append(sent.post_data_json)
            if sent.method == "POST" and sent.url.endswith("/v1/jobs")
            else None
        ),
    )
    return bodies


def session_of(here):
    return here.page.url.partition("#")[2]


def test_settings_are_sent_shown_as_chips_remembered_and_taken_back(served, open_page):
    here = open_page()
    page, bodies = here.page, bodies_of(here)
    expect(page.locator("#chips")).to_be_hidden()
    here.give("gate.png", text_png("Gate 12"))
    page.click("#settings-open")
    for name, value in (("detail", "high"), ("longest", "32"), ("enhance", "steps")):
        page.select_option(f"#settings [name={name}]", value)
    page.check("#settings [value=deskew]")
    page.select_option("#settings [name=form]", "fields")
    # a form that is not filled in is told at once, and nothing is asked with it
    expect(page.locator("#settings-trouble")).to_have_text("Name the fields to read.")
    assert here.barriers() == []
    page.keyboard.press("Escape")
    here.ask("What is due?")
    expect(page.locator("#settings [name=fields]")).to_be_focused()
    assert bodies == []
    page.fill("#settings [name=fields]", "date\n合计, date")
    page.click("#settings >> text=Done")
    chips = page.locator("#chips li")
    expect(chips).to_have_text(
        [
            "Detail: high (small print)",
            "Enhancement: level the lines",
            "Form of the answer: date, 合计",
            "Longest answer: 32 tokens",
        ]
    )
    assert here.barriers() == []
    here.ask("What is due?")
    here.answered()
    (sent,) = bodies
    schema = sent["response_format"]["json_schema"]["schema"]
    assert (sent["detail"], sent["max_new_tokens"], sent["enhance"]) == ("high", 32, ["deskew"])
    assert schema["required"] == ["date", "合计"]
    (job,) = served.http.get("/v1/jobs", params={"session_id": session_of(here)}).json()["data"]
    assert sorted(job["output"]["json"]) == ["date", "合计"]
    page.reload()
    expect(chips).to_have_count(4)
    page.get_by_label("Reset Detail").click()
    expect(chips).to_have_count(3)
    expect(page.locator("#settings-open")).to_be_focused()
    page.click("#settings-open")
    page.click("#settings-reset")
    page.click("#settings >> text=Done")
    expect(page.locator("#chips")).to_be_hidden()


def test_a_schema_is_checked_and_the_language_of_ready_made_questions_is_chosen(open_page):
    here = open_page()
    page, bodies = here.page, bodies_of(here)
    page.click("#settings-open")
    page.select_option("#settings [name=form]", "schema")
    page.fill("#settings [name=schema]", "[1]")
    expect(page.locator("#settings-trouble")).to_have_text("The schema is not a JSON object.")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    page.fill("#settings [name=schema]", json.dumps(schema))
    expect(page.locator("#settings-trouble")).to_be_hidden()
    page.select_option("#settings [name=language]", "zh")
    page.click("#settings-close")
    here.give("gate.png", text_png("Gate 12"))
    page.click("#presets >> text=Count")
    here.answered()
    # a ready-made question keeps the form that it has
    assert (bodies[0]["lang"], "response_format" in bodies[0]) == ("zh", False)
    here.ask("How many?")
    here.answered(2)
    assert bodies[1]["response_format"]["json_schema"]["schema"] == schema


def test_every_preset_of_the_service_has_a_button_that_asks_what_it_needs(served, open_page):
    here = open_page()
    page, bodies = here.page, bodies_of(here)
    here.give("gate.png", text_png("Gate 12"))
    names = [preset["name"] for preset in served.http.get("/v1/presets").json()["data"]]
    assert names == ["describe", "ocr", "ocr_table", "count", "qa", "fields", "find"]
    expect(page.locator("#presets button")).to_have_text(
        [
            *("Describe", "Read the text", "Read the table", "Count"),
            *("Answer my question", "Read fields", "Find"),
        ]
    )
    page.click("#presets >> text=Answer my question")
    expect(page.locator("#note")).to_contain_text("type them first")
    page.click("#presets >> text=Find")
    expect(page.locator("#note")).to_contain_text("what to find")
    page.click("#presets >> text=Read fields")
    expect(page.locator("#settings [name=fields]")).to_be_focused()
    page.fill("#settings [name=fields]", "gate")
    page.click("#settings >> text=Done")
    page.click("#presets >> text=Read fields")
    here.answered()
    page.fill("#question", "Which gate?")
    page.click("#presets >> text=Answer my question")
    here.answered(2)
    expect(page.locator(".asked").last).to_contain_text("Which gate?")
    page.fill("#question", "Gate, zeppelin")
    page.click("#presets >> text=Find")
    here.answered(3)
    expect(page.locator(".asked").last).to_contain_text("Gate, zeppelin")
    # it looks at the picture of the conversation
    expect(page.locator(".turn .words").last).to_contain_text("Found: Gate")
    assert bodies.pop()["labels"] == ["Gate", "zeppelin"]
    assert [(body["preset"], body.get("fields"), body.get("prompt")) for body in bodies] == [
        ("fields", ["gate"], None),
        ("qa", None, "Which gate?"),
    ]


def test_what_a_browser_keeps_of_another_version_harms_nothing(open_page):
    here = open_page()
    kept = {"detail": "huge", "longest": "-3", "steps": ["melt"], "form": 7, "what": 1}
    here.page.evaluate("kept => localStorage.setItem('sightline-settings', kept)", json.dumps(kept))
    here.page.reload()
    expect(here.page.locator("#health")).to_have_text("simulated")
    expect(here.page.locator("#chips")).to_be_hidden()
    here.page.evaluate("localStorage.setItem('sightline-settings', '{')")
    here.page.evaluate("localStorage.setItem('sightline-conversations', 'x')")
    here.page.reload()
    here.ask("hello")
    here.answered()
