"""The operations page in a browser: what it shows, asks before it acts, and who may use it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from shared.store.fleet.starting_workers import StartingWorker, StartingWorkers
from tests.integration.access.keyed_service import KeyedService, keyed_service
from tests.support.browser import Visit

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def test_an_operator_sees_cancels_and_retries_jobs_and_drains_a_worker(served, open_page):
    http = served.http
    # one that waits as long as the test needs
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    job = served.submit("a secret question", not_before=later)["id"]
    here = open_page("ops", viewport={"width": 1300, "height": 900})
    page = here.page
    row = page.locator("#rows tr").filter(has=page.locator(f'[title="{job}"]'))
    page.click("[data-status=scheduled]")
    expect(row).to_contain_text("anonymous")
    expect(page.locator("#pulse")).to_have_text("Live")
    expect(page.locator("#workers li")).to_contain_text(["simulated"])
    assert here.barriers() == []
    assert "secret" not in page.content()
    row.get_by_role("button", name="Cancel").click()
    page.click("#sure >> text=No")
    assert http.get(f"/v1/jobs/{job}").json()["status"] != "canceled"
    row.get_by_role("button", name="Cancel").click()
    assert here.barriers() == []
    page.click("#sure >> text=Yes")
    expect(row).to_have_count(0)
    page.click("[data-status=canceled]")
    page.fill("#filters [name=key]", "anonymous")
    row.locator(".id").click()
    expect(page.locator("#details")).to_contain_text("Canceled")
    assert here.barriers() == []
    page.click("#details >> text=Retry")
    page.click("#sure >> text=Yes")
    expect(page.locator("#said")).to_contain_text("Retried as job_")
    retried = page.locator("#said").inner_text().split()[-1].rstrip(".")
    assert http.get(f"/v1/jobs/{retried}").json()["retry_of"] == job
    page.fill("#search [name=id]", retried)
    page.click("#search button")
    expect(page.locator("#details-title")).to_have_text(retried)
    page.keyboard.press("Escape")
    page.fill("#search [name=id]", "job_of_nobody")
    page.click("#search button")
    expect(page.locator("#said")).to_contain_text("ID")
    page.fill("#filters [name=model]", "another")
    expect(page.locator("#nothing")).to_have_text("No job matches the filters.")
    http.post(f"/v1/jobs/{retried}/cancel")
    worker = page.locator("#workers li").first
    worker.get_by_role("button", name="Drain").click()
    page.click("#sure >> text=No")
    expect(worker).to_contain_text("ready")


def show_starting_workers(service: KeyedService) -> None:
    """Let a worker be loading its model, and another have given up."""
    with service.redis.client() as redis:
        workers = StartingWorkers(redis)
        loading = StartingWorker("small@host", "qwen-2b", "loading the model", "load", 43, 12.0)
        reason = "12.0 GiB are free, 16.0 GiB are needed"
        failed = StartingWorker("large@host", "qwen-8b", problem="disk_full", reason=reason)
        for worker in (loading, failed):
            workers.tell(worker, 600)


@pytest.mark.parametrize(("language", "title"), [("en", "Operations"), ("zh", "运维")])
def test_the_page_fits_a_phone_in_both_languages(open_page, language, title):
    here = open_page(f"ops?lang={language}", color_scheme="dark", **PHONE)
    expect(here.page.locator("h1")).to_have_text(title)
    expect(here.page.locator("#workers li").first).to_be_visible()
    assert here.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert here.barriers() == []


def test_only_a_key_with_the_scope_admin_opens_the_page(browser, tmp_path):
    with keyed_service(tmp_path) as service:
        usual = service.key("usual")["Authorization"].split()[1]
        boss = service.key("boss", "--scope", "admin")["Authorization"].split()[1]
        here = Visit(browser, str(service.gateways[0].base_url))
        page = here.page
        page.goto(f"{here.url}/ops")
        expect(page.locator("#keys")).to_be_visible()
        assert here.barriers() == []
        page.fill("#keys-input", usual)
        page.keyboard.press("Enter")
        expect(page.locator("#keys-trouble")).to_contain_text("lacks the scope admin")
        page.fill("#keys-input", boss)
        page.keyboard.press("Enter")
        expect(page.locator("#keys")).to_be_hidden()
        expect(page.locator("#no-workers")).to_be_visible()
        expect(page.locator("#pulse")).to_have_text("Live")
        expect(page.locator("#starting li")).to_have_count(0)
        show_starting_workers(service)
        cards = page.locator("#starting li")
        expect(cards).to_have_count(2)
        expect(cards.first).to_contain_text("gave up")
        expect(cards.first).to_contain_text("The model cannot be downloaded: the disk is full")
        expect(cards.first).to_contain_text("12.0 GiB are free")
        expect(cards.last).to_contain_text("Loading the model")
        expect(cards.last).to_contain_text("43 %, 12 s left")
        assert here.barriers() == []
        listed = service.admin("list", area="workers").stdout
        assert "disk_full: 12.0 GiB are free" in listed
        assert "loading the model (43 %, 12 s left)" in listed
        assert here.complaints == []
        here.close()
