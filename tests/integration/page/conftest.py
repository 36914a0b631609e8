"""A browser for every test of the page, and visits that may have no complaints."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Visit, chromium


@pytest.fixture(scope="module")
def browser(served) -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def open_page(browser, served) -> Iterator[Callable[..., Visit]]:
    """Open the page at a path, of another gateway if one is named.

    At the end of the test, no visit may have complaints.
    """
    with contextlib.ExitStack() as open_pages:

        def opened(path: str = "", at: str = "", **options: object) -> Visit:
            one = Visit(browser, at or str(served.http.base_url), **options)
            open_pages.callback(one.close)
            visits.append(one)
            if path:
                one.page.goto(f"{one.url}/{path}")
            return one

        visits: list[Visit] = []
        yield opened
        assert [visit.complaints for visit in visits] == [[] for _ in visits]
