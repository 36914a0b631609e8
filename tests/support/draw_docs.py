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
DESKTOP = {"viewport": {"width": 1180, "height": 740}}
PHONE = {"viewport": {"width": 390, "height": 760}, "has_touch": True, "is_mobile": True}


def main() -> None:
    """Start the service and a browser, ask on the page, and save screenshots and the tour."""
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
    earlier.give("invoice.png", text_png("INVOICE 2041"))
    earlier.ask("Which invoice is it?")
    earlier.answered()
    here = Visit(browser, url, **DESKTOP)
    _keep(here.page, "page-welcome.png")
    here.page.click("#examples button >> nth=1")
    here.answered()
    _keep(here.page, "page.png")
    phone = Visit(browser, url, **PHONE, locale="zh-CN", color_scheme="dark")
    phone.page.goto(f"{url}/#{here.page.url.partition('#')[2]}")
    phone.answered()
    _keep(phone.page, "page-phone-zh-dark.png")
    for visit in (earlier, here, phone):
        visit.close()


def _keep(page: Page, name: str) -> None:
    page.wait_for_timeout(400)
    path = HOME / name
    page.screenshot(path=path)
    print(f"{path.name}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
