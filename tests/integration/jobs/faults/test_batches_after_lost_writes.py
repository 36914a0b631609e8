"""Batches in whose middle a restarted Redis lacks its newest writes: each line has its result."""

from __future__ import annotations

import shutil
import time

from tests.integration.openai.test_batches import chat_line, client_of, ended, lines_of, start
from tests.support.harness import QUICK, eventually, running_redis, running_system

#: Seconds of work that Redis loses.
LOST_S = 0.7


def test_every_line_has_one_result_whatever_redis_has_lost(tmp_path):
    count, losses = 160, 4
    env = QUICK | {"SIGHTLINE_SIMULATED_TOKEN_S": "0.001"}
    (folder := tmp_path / "redis").mkdir()
    with running_redis(folder) as redis, running_system(redis.url, tmp_path, **env) as system:
        system.worker(slots=16)
        _, http = system.gateway()
        client = client_of(http)
        batch = start(client, [chat_line(f"line {n}", f"question {n}") for n in range(count)])
        for reached in range(0, count, count // losses):
            eventually(
                lambda reached=reached: (
                    client.batches.retrieve(batch.id).request_counts.completed >= reached
                )
            )
            redis.save_data(tmp_path / "saved")
            time.sleep(LOST_S)
            redis.go_back(tmp_path / "saved")
            shutil.rmtree(tmp_path / "saved")
        done = ended(client, batch)
        assert (done.status, done.error_file_id) == ("completed", None)
        names = [line["custom_id"] for line in lines_of(client, done.output_file_id)]
        assert sorted(names) == sorted(f"line {n}" for n in range(count))
