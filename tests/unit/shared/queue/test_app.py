"""Doorbells, when the broker is not well."""

from __future__ import annotations

import logging

from shared import queue
from shared.store import Doorbell


def test_a_bell_that_cannot_be_rung_keeps_the_others_from_nothing(monkeypatch, caplog):
    rung = []

    def send_task(*_, task_id, **__):
        if task_id == "job_1":
            # as kombu does when its channel is closed by another thread
            raise AttributeError("'NoneType' object has no attribute 'client'")
        rung.append(task_id)

    monkeypatch.setattr(queue.app, "send_task", send_task)
    with caplog.at_level(logging.WARNING):
        queue.ring([Doorbell("job_1", "default"), Doorbell("job_2", "default")])
    assert rung == ["job_2"]
    (told,) = [record for record in caplog.records if record.getMessage() == "doorbell.failed"]
    assert told.job_id == "job_1"
