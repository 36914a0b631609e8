"""Errors and documentation as pages: HTML for browsers, JSON for programs, in both languages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.harness import ROOT

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("path", ["/nothing", "/v1/jobs/unknown", "/predict", "/docs/nothing"])
def test_a_browser_gets_a_page_and_a_program_the_problem(served, path):
    page = served.http.get(path, headers={"Accept": BROWSER})
    assert page.headers["Content-Type"].startswith("text/html")
    for accept in ("*/*", "application/json", "application/json, text/html", "", "image/png"):
        problem = served.http.get(path, headers={"Accept": accept})
        assert problem.headers["Content-Type"] == "application/problem+json", accept
        assert problem.status_code == page.status_code == problem.json()["status"]
        assert "Accept" in problem.headers["Vary"]
    code = problem.json()["code"]
    assert f'href="/docs/errors#{code}"' in page.text
    assert page.headers["X-Request-Id"] in page.text
    assert page.headers["Cache-Control"] == "no-store"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    # what is changed is answered in JSON, whoever asks
    posted = served.http.post("/v1/jobs", content=b"{", headers={"Accept": BROWSER})
    assert posted.headers["Content-Type"] == "application/problem+json"


def test_a_result_that_a_program_wants_as_html_is_refused_in_json(served):
    path = "/v1/jobs/unknown/result"
    refused = served.http.get(path, headers={"Accept": "text/html"})
    assert refused.headers["Content-Type"] == "application/problem+json"
    shown = served.http.get(path, headers={"Accept": BROWSER})
    assert shown.headers["Content-Type"].startswith("text/html")


def test_what_a_path_names_is_text_on_the_page(served):
    page = served.http.get("/<script>alert(1)</script>", headers={"Accept": BROWSER})
    assert page.status_code == 404
    assert "<script" not in page.text


def test_the_pages_can_be_read_by_everybody_in_both_languages(open_page):
    for options in ({}, {"locale": "zh-CN", "color_scheme": "dark", **PHONE}):
        here = open_page(**options)
        for path in ("docs", "docs/models", "docs/errors", "nothing/here"):
            here.page.goto(f"{here.url}/{path}")
            assert here.barriers() == [], path
            wide = here.page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not wide, path
    expect(here.page.locator("h1")).to_have_text("这里没有内容")
    here.page.goto(f"{here.url}/docs/errors#queue_full")
    expect(here.page.locator("#queue_full")).to_be_in_viewport()
    expect(here.page.locator(".code-entry", has_text="queue_full")).to_contain_text("队列已满。")
    here.page.click("text=English")
    expect(here.page.locator("h1")).to_have_text("Errors")
    here.page.goto(f"{here.url}/nothing")
    expect(here.page.locator("h1")).to_have_text("There is nothing here")
    here.page.click("text=Ask about a picture >> nth=-1")
    expect(here.page.locator("#welcome h2")).to_be_visible()


def test_every_link_of_the_pages_leads_somewhere_below_the_base_path(served):
    base = "/tools/vision"
    _, http = served.system.gateway(SIGHTLINE_BASE_PATH=base)
    for path in ("/docs", "/docs/", "/docs/models", "/docs/errors", "/nothing"):
        page = http.get(base + path, headers={"Accept": BROWSER})
        links = set(re.findall(r'(?:href|src)="([^"#?]+)', page.text))
        assert len(links) > 4
        for link in links:
            assert link.startswith(f"{base}/"), link
            assert http.get(link).status_code == 200, link


def test_the_pill_leads_to_what_to_do_without_a_worker_and_beside_the_demo_model(served, open_page):
    here = open_page()
    expect(here.page.locator("#health")).to_have_text("simulated")
    assert here.page.locator("#health").get_attribute("href") is None
    # a question that nobody answers yet says so
    here.page.route("**/v1/queue", lambda route: route.fulfill(json=_without_workers(served)))
    here.page.reload()
    expect(here.page.locator("#health")).to_have_text("No model is running")
    here.page.click("#health")
    expect(here.page.locator("h1")).to_have_text("Models")
    expect(here.page.locator("main")).to_contain_text("make up MODEL=")
    here.page.unroute("**/v1/queue")
    models = served.http.get("/v1/models").json()
    models["data"] = [model | {"demo": True} for model in models["data"]]
    here.page.route("**/v1/models", lambda route: route.fulfill(json=models))
    here.page.goto(here.url)
    expect(here.page.locator("#health")).to_have_text("demo model: reads short printed text")
    assert here.page.locator("#health").get_attribute("href") == "/docs/models"
    here.page.set_viewport_size({"width": 390, "height": 780})
    assert here.page.locator("#health").evaluate("node => node.offsetWidth") < 200
    assert here.barriers() == []


def _without_workers(served):
    return served.http.get("/v1/queue").json() | {"workers": []}


def test_the_documented_way_to_a_model_is_the_one_that_make_up_tells():
    words = (ROOT / "gateway" / "webui" / "documents" / "models.html").read_text()
    said_at_start = (ROOT / "scripts" / "up.py").read_text()
    (command,) = re.findall(r"make up MODEL=Qwen/[\w.-]+", words)
    assert command in said_at_start
