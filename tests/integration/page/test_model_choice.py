"""The page lets people choose a model where there are several, and only there."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.support.harness import QUICK, running_redis, running_system
from tests.support.images.image_bytes import text_png


def test_a_model_is_chosen_where_several_are_served(served, open_page, tmp_path: Path):
    here = open_page("")
    expect(here.page.locator("#health-words")).to_have_text("simulated")
    expect(here.page.locator("#models")).to_be_hidden()
    with running_redis(tmp_path) as redis, running_system(redis.url, tmp_path, **QUICK) as system:
        for name in ("alpha", "beta"):
            system.worker(slots=1, SIGHTLINE_MODEL_NAME=name)
        _, http = system.gateway(SIGHTLINE_DEFAULT_MODEL="beta")
        here = open_page(at=str(http.base_url))
        page = here.page
        expect(page.locator("#model option")).to_have_text(["beta (default)", "alpha"])
        page.select_option("#model", "alpha")
        here.give("gate.png", text_png("Gate 12"))
        here.ask("What is it?")
        here.answered()
        page.reload()
        expect(page.locator("#model")).to_have_value("alpha")
        assert here.barriers() == []
        jobs = http.get("/v1/jobs").json()["data"]
        assert {job["input"]["model"] for job in jobs} == {"alpha"}
        page.close()
