"""A real browser on the page: how tests open it, hand it pictures and look for barriers."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support import tools

_AXE = tools.NODE / "node_modules" / "axe-core" / "axe.min.js"


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser; end it before anything else wants an event loop."""
    program = tools.browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """One person's page, and everything that it complained of or asked others for."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url.rstrip("/")
        self.complaints: list[str] = []
        self._context = browser.new_context(
            **{"locale": "en-US", "reduced_motion": "reduce", **options}
        )
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("console", lambda said: self._hear(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda asked: self._watch(asked.url))
        self.page.goto(self.url)

    def _hear(self, kind: str, text: str) -> None:
        # a refusal of the API that the page handles is told there as well
        if kind == "error" and "Failed to load resource" not in text:
            self.complaints.append(text)

    def _watch(self, url: str) -> None:
        if not re.match(rf"{re.escape(self.url)}/|blob:|data:", url):
            self.complaints.append(f"asked a stranger: {url}")

    def give(self, name: str, data: bytes, kind: str = "image/png") -> None:
        file = {"name": name, "mimeType": kind, "buffer": data}
        self.page.set_input_files("#files", files=[file])

    def ask(self, words: str) -> None:
        self.page.fill("#question", words)
        self.page.press("#question", "Enter")

    def answered(self, turns: int = 1) -> str:
        """Return the last answer once that many are complete."""
        expect(self.page.locator(".turn .facts")).to_have_count(turns, timeout=60_000)
        return self.page.locator(".turn .words").last.inner_text()

    def barriers(self) -> list[str]:
        """Return what axe-core finds wrong on the page as it is."""
        self.page.evaluate(_AXE.read_text(encoding="utf-8"))
        report = self.page.evaluate("() => axe.run(document)")
        return [
            f"{violation['id']}: {node['html']} {node['failureSummary']}"
            for violation in report["violations"]
            for node in violation["nodes"]
        ]

    def close(self) -> None:
        self._context.close()


def picture(text: str, width: int = 320, height: int = 64) -> bytes:
    """Return a PNG of dark words on white."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).text((8, 10), text, fill="black", font=ImageFont.load_default(26))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
