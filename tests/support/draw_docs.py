"""Makes the screenshots of docs/pictures and docs/tour.md, on a service with the bundled model."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from shared.settings import BUNDLED_MODEL
from tests.support.browser import Visit, chromium
from tests.support.harness import running_redis, running_system
from tests.support.images.image_bytes import text_png

DOCS = Path(__file__).resolve().parents[2] / "docs"
HOME = DOCS / "pictures"
TOUR_HEAD = """# A tour

What [examples/tour.py](examples/tour.py) prints with the small bundled model, mistakes
included. To run it yourself, start `make up` first:

```sh
.venv/bin/python docs/examples/tour.py
```

"""
DESKTOP = {"viewport": {"width": 1180, "height": 800}}
DARK = DESKTOP | {"color_scheme": "dark"}
CHINESE = DESKTOP | {"locale": "zh-CN"}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "locale": "zh-CN",
    "color_scheme": "dark",
}
INVOICE = DOCS / "examples" / "tries" / "invoice.png"


def main() -> None:
    """Start the service and a browser, ask on the page, and save screenshots and the tour."""
    if not subprocess.check_output(["fc-list", ":lang=zh"]):
        raise SystemExit("The Chinese page needs a font with Chinese characters; install one.")
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            running_redis(folder) as redis,
            running_system(redis.url, folder, SIGHTLINE_MODEL=BUNDLED_MODEL) as system,
            chromium() as browser,
        ):
            _, http = system.gateway()
            system.worker(slots=4)
            url = str(http.base_url).rstrip("/")
            _visit(browser, url)
            (DOCS / "tour.md").write_text(TOUR_HEAD + tour(url).strip() + "\n", encoding="utf-8")


def tour(url: str) -> str:
    """Return what the tour prints for the service at a URL; raises RuntimeError if it fails."""
    completed = subprocess.run(
        [sys.executable, str(DOCS / "examples" / "tour.py")],
        env=os.environ | {"SIGHTLINE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if completed.returncode:
        raise RuntimeError(completed.stderr)
    return completed.stdout


def _visit(browser: Browser, url: str) -> None:
    earlier = Visit(browser, url, **DESKTOP)
    earlier.give("gate.png", text_png("Gate 12, left"))
    earlier.ask("Which gate?")
    earlier.answered()
    _keep(_read_invoice(earlier), "page.png")
    session = earlier.page.url.partition("#")[2]
    _keep(_reread(Visit(browser, url, **DARK), session), "page-dark.png")
    _keep(_reread(Visit(browser, url, **CHINESE), session), "page-zh.png")
    _keep(_reread(Visit(browser, url, **PHONE), session), "page-phone-zh-dark.png")
    _keep(_new(Visit(browser, url, **DESKTOP)), "page-welcome.png")
    _keep(_new(Visit(browser, url, **CHINESE)), "page-welcome-zh.png")


def _read_invoice(visit: Visit) -> Page:
    """Have the invoice of the examples read in a new chat, and point at one of its cells."""
    visit.page.click("#new")
    visit.give("invoice.png", INVOICE.read_bytes())
    visit.page.click("#presets button >> text=Read the text")
    visit.answered()
    return _pointed_at(visit)


def _reread(visit: Visit, session: str) -> Page:
    visit.page.goto(f"{visit.url}/#{session}")
    visit.answered()
    return _pointed_at(visit)


def _pointed_at(visit: Visit) -> Page:
    visit.page.wait_for_selector(".stage polygon")
    cell = visit.page.locator(".words [data-spot]", has_text="18.50").first
    cell.focus()
    visit.page.wait_for_selector(".stage polygon.picked")
    visit.page.mouse.move(0, 0)
    visit.page.evaluate("document.querySelector('#scroll').scrollTop = 0")
    return visit.page


def _new(visit: Visit) -> Page:
    visit.page.wait_for_selector("#health:not([hidden])")
    return visit.page


def _keep(page: Page, name: str) -> None:
    page.wait_for_timeout(400)
    path = HOME / name
    page.screenshot(path=path)
    print(f"{path.name}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
