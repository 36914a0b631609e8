"""A courier whose machine's clock is wrong signs messages that receivers accept."""

from __future__ import annotations

import sys

import pytest

from sightline import verify_webhook
from tests.support.harness import QUICK, RedisServer, eventually, running_system
from tests.support.servers.receivers import receiving

OUTWARD = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8", "SIGHTLINE_ALLOW_PORTS": "1-65535"}
STEPPED = """
import sys, time
real = time.time
time.time = lambda: real() + float(sys.argv[1])
from worker.courier.__main__ import main
main()
"""


@pytest.mark.parametrize("ahead_s", [3600, -3600])
def test_a_courier_with_a_wrong_clock_signs_by_that_of_redis(
    redis_server: RedisServer, tmp_path, ahead_s: int
):
    with running_system(redis_server.url, tmp_path, **QUICK | OUTWARD) as system:
        system.worker()
        courier = system.spawn([sys.executable, "-c", STEPPED, str(ahead_s)], "courier", {})
        eventually(lambda: "courier.ready" in courier.logs())
        _, http = system.gateway()
        secret = http.post("/v1/webhooks/secret/rotate").json()["secret"]
        with receiving() as receiver:
            http.post("/v1/jobs", json={"prompt": "?", "webhook": receiver.url + "/x"})
            eventually(lambda: receiver.requests)
        (request,) = receiver.requests
        assert verify_webhook(request.body, request.headers, secret).type == "job.succeeded"
