"""What a process says while it starts."""

from __future__ import annotations

import logging
import threading

from shared import long_steps
from shared.log.text_lines import STEP_MARK, TextFormatter, worth_reading
from shared.long_steps import STEP_EVENT, long_step


def test_a_long_step_is_said_at_once_and_again_with_how_far_it_is(monkeypatch, caplog):
    monkeypatch.setattr(long_steps, "_EVERY_S", 0.01)
    said = threading.Event()
    percents = iter(range(1000))

    def how_far() -> str:
        percent = next(percents)
        if percent == 2:
            said.set()
        return f"{percent} %"

    with caplog.at_level(logging.INFO), long_step("loading the model", how_far):
        assert said.wait(60)
    records = [record for record in caplog.records if record.msg == STEP_EVENT]
    lines = [TextFormatter().format(record) for record in records]
    assert lines[0] == f"{STEP_MARK}loading the model"
    assert lines[1].startswith(f"{STEP_MARK}loading the model, 0 %")
    assert all(worth_reading(record) for record in records)
