"""A Redis that somebody else runs: users without rights, renamed commands, clusters."""

from __future__ import annotations

import pytest

from shared import config_check
from shared.errors import BadConfig
from shared.settings import Settings
from shared.store.redis_info import redis_state, refuse_cluster, roles
from tests.support.harness import QUICK, eventually, running_redis, running_system

#: No INFO, no CONFIG, no CLIENT SETINFO, nothing else that concerns the server itself.
_RULES = (
    "~* &* -@all +@read +@write +@connection +@transaction +@pubsub +@blocking +@scripting +time"
)
_FEWER = "-client -keys -flushall -flushdb -swapdb -info -config"


@pytest.mark.parametrize("renamed", [False, True])
def test_the_service_runs_where_it_may_not_ask_and_says_what_it_cannot_check(tmp_path, renamed):
    options = ("--rename-command", "INFO", "") if renamed else ()
    with running_redis(tmp_path, *options) as server:
        url = server.url
        if not renamed:
            user = ("ACL", "SETUSER", "tenant", "on", ">word", *_RULES.split(), *_FEWER.split())
            server.client().execute_command(*user)
            url = url.replace("redis://", "redis://tenant:word@")
        (client,) = roles(Settings(redis_url=url)).values()
        risks = list(config_check.check_redis("queue", redis_state(client)))
        (risk,) = risks
        assert "does not let this user see its persistence, eviction policy, memory limit" in risk
        if renamed:
            # for all else it is the same
            return
        with running_system(url, tmp_path, **QUICK) as system:
            system.worker()
            _, http = system.gateway()
            answer = http.post("/v1/jobs", json={"prompt": "hi"}, headers={"Prefer": "wait=60"})
            assert answer.json()["status"] == "succeeded"
            eventually(lambda: http.get("/readyz").status_code == 200)
            assert 'sightline_redis_up{role="queue"} 1.0' in http.get("/metrics").text


def test_a_cluster_is_refused_in_one_line(tmp_path):
    with running_redis(tmp_path, "--cluster-enabled", "yes") as server:
        with pytest.raises(BadConfig, match="the queue Redis is a Redis Cluster") as refused:
            refuse_cluster(Settings(redis_url=server.url))
        assert "\n" not in str(refused.value)
        with running_system(server.url, tmp_path, SIGHTLINE_MODEL="simulated") as system:
            worker = system.worker(wait=False)
            gateway, _ = system.gateway(wait=False)
            assert worker.wait() != 0
            assert gateway.wait() != 0
            for process in (worker, gateway):
                assert "cannot start: the queue Redis is a Redis Cluster" in process.logs()
