"""Pages of others in a real browser, beside the service without keys on the same machine."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.support.browser import chromium

_ATTACK = """async (base) => {
    const form = new FormData();
    form.append("prompt", "sent by a foreign page");
    const to = (path, options) => fetch(base + path, {mode: "no-cors", ...options});
    await to("/v1/jobs", {method: "POST", body: form});
    await to("/v1/webhooks/secret/rotate", {method: "POST"});
    await to("/v1/webhooks/secret", {});
    const frame = document.createElement("iframe");
    frame.name = "sink";
    document.body.append(frame);
    const page = document.createElement("form");
    Object.assign(page, {method: "post", action: base + "/v1/jobs", target: "sink"});
    page.innerHTML = '<input name="prompt" value="sent by a foreign form">';
    document.body.append(page);
    const sent = new Promise((resolve) => { frame.onload = resolve; });
    page.submit();
    await sent;
}"""
_OWN = """async () => {
    const headers = {"Content-Type": "application/json"};
    const body = JSON.stringify({prompt: "sent by its own page"});
    return (await fetch("/v1/jobs", {method: "POST", headers, body})).status;
}"""


class _EmptyPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>foreign</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def foreign_port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def page() -> Iterator[Page]:
    # as if the owner of this name had pointed it to this machine
    with chromium("--host-resolver-rules=MAP evil.example 127.0.0.1") as browser:
        context = browser.new_context()
        yield context.new_page()
        context.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_foreign_page_submits_nothing_and_its_own_page_does(workerless, page, foreign_port, name):
    base = f"http://127.0.0.1:{workerless.http.base_url.port}"
    before = workerless.http.get("/v1/jobs").json()["data"]
    page.goto(f"http://{name}:{foreign_port}/")
    page.evaluate(_ATTACK, base)
    assert workerless.http.get("/v1/jobs").json()["data"] == before
    refused = [line for line in workerless.gateway.logs().splitlines() if "origin_not_all" in line]
    assert len(refused) >= 4
    page.goto(base)
    assert page.evaluate(_OWN) == 202
    page.goto(base.replace("127.0.0.1", "localhost"))
    assert page.evaluate(_OWN) == 202


def test_a_page_whose_name_points_to_this_machine_reads_nothing(workerless, page):
    secret = workerless.http.post("/v1/webhooks/secret/rotate").json()
    page.goto(f"http://evil.example:{workerless.http.base_url.port}/healthz")
    read = """async (path) => (await (await fetch(path)).json()).code"""
    for path in ("/v1/jobs", "/v1/webhooks/secret", "/v1/sessions"):
        assert page.evaluate(read, path) == "host_not_allowed"
    rotate = """async (path) => (await (await fetch(path, {method: "POST"})).json()).code"""
    assert page.evaluate(rotate, "/v1/webhooks/secret/rotate") == "host_not_allowed"
    assert workerless.http.get("/v1/webhooks/secret").json()["hint"] == secret["hint"]
