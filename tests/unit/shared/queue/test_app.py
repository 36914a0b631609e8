"""Doorbells while the broker fails."""

from __future__ import annotations

import logging

from shared import queue
from shared.store import Doorbell


def test_a_doorbell_that_cannot_be_sent_does_not_stop_the_others(monkeypatch, caplog):
    sent = []

    def send_task(*_, task_id, **__):
        if task_id == "job_1":
            # as kombu does when its channel is closed by another thread
            raise AttributeError("'NoneType' object has no attribute 'client'")
        sent.append(task_id)

    monkeypatch.setattr(queue.app, "send_task", send_task)
    with caplog.at_level(logging.WARNING):
        queue.send_doorbells([Doorbell("job_1", "default"), Doorbell("job_2", "default")])
    assert sent == ["job_2"]
    (record,) = [one for one in caplog.records if one.getMessage() == "doorbell.failed"]
    assert record.job_id == "job_1"
