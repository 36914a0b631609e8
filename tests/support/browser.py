"""Drives the web page in a real browser: opens it, uploads images, asks, audits accessibility."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from tests.support import tools

#: Milliseconds that a page may take on a busy machine.
_PATIENCE_MS = 60_000
expect.set_options(timeout=_PATIENCE_MS)

_AXE = tools.NODE / "node_modules" / "axe-core" / "axe.min.js"


@contextlib.contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """Start a browser; it ends with the block, as playwright occupies the event loop."""
    program = tools.browser()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", *options]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


class Visit:
    """One visitor's page; `complaints` are its errors and its requests to other hosts."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url.rstrip("/")
        self.complaints: list[str] = []
        self._context = browser.new_context(
            **{"locale": "en-US", "reduced_motion": "reduce", **options}
        )
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(_PATIENCE_MS)
        self.page.on("console", lambda message: self._note_error(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._note_request(request.url))
        self.page.goto(self.url)

    def _note_error(self, kind: str, text: str) -> None:
        # refusals of the API that the page handles are logged as errors as well
        if kind == "error" and "Failed to load resource" not in text:
            self.complaints.append(text)

    def _note_request(self, url: str) -> None:
        if not re.match(rf"{re.escape(self.url)}(/|$)|blob:|data:", url):
            self.complaints.append(f"requested another host: {url}")

    def give(self, name: str, data: bytes, kind: str = "image/png") -> None:
        """Choose a file for upload."""
        file = FilePayload(name=name, mimeType=kind, buffer=data)
        self.page.set_input_files("#files", files=[file])

    def ask(self, question: str) -> None:
        """Send a question."""
        self.page.fill("#question", question)
        self.page.press("#question", "Enter")

    def answered(self, turns: int = 1) -> str:
        """Return the last answer, once `turns` answers are complete."""
        expect(self.page.locator(".turn .facts")).to_have_count(turns)
        return self.page.locator(".turn .words").last.inner_text()

    def barriers(self) -> list[str]:
        """Return the accessibility violations that axe-core finds on the page as it is."""
        self.page.evaluate(_AXE.read_text(encoding="utf-8"))
        report = self.page.evaluate("() => axe.run(document)")
        return [
            f"{violation['id']}: {node['html']} {node['failureSummary']}"
            for violation in report["violations"]
            for node in violation["nodes"]
        ]

    def close(self) -> None:
        self._context.close()
