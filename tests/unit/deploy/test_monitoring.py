"""The dashboard and the alerts query only metrics that exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from gateway.metrics import exposition
from gateway.metrics.http_metrics import HttpMetrics
from shared.prediction.cost_model import FleetSnapshot
from shared.prediction.heartbeat import Heartbeat
from shared.store.fleet.forecasts import PredictionAccuracy
from shared.store.jobs import job_metrics
from shared.store.jobs.reader import Load
from shared.store.redis_info import RedisState
from shared.store.webhooks.delivery_types import Outbox
from tests.support.harness import ROOT
from tests.support.tools import promtool

RULES = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "sightline.json"
SERVER = RedisState("Redis 7", 100, 200, "noeviction", 0, aof=True)


def _exposed() -> Iterator[str]:
    tally = job_metrics.JobMetrics()
    tally.observe("stage_seconds", 1.0, stage="queue")
    tally.add("tokens", 1, kind="image")
    figures = job_metrics.read({field: str(amount) for field, amount in tally.increments.items()})
    workers = [Heartbeat("w", "m", seconds_per_job=1.0)]
    families = [
        *exposition.collect_servers({"queue": SERVER}),
        *exposition.collect_queues(Load({"default": 1}, 1, 0.5), FleetSnapshot(tuple(workers))),
        *exposition.collect_backlog(1.0),
        *exposition.collect_predictions(PredictionAccuracy(1, 1.0, 1.0, {0: 1})),
        *exposition.collect_workers(workers),
        *exposition.collect_counters({}),
        *exposition.collect_job_metrics(figures),
        *exposition.collect_outbox(Outbox(0.0, 0, 0)),
        *HttpMetrics().registry().collect(),
    ]
    for family in families:
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        for suffix in suffixes.get(family.type, ("",)):
            yield family.name + suffix


def _queried_figures() -> dict[str, str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    texts = {"dashboard": " ".join(queries), "alerts": (RULES / "alerts.yml").read_text()}
    return {
        name: place
        for place, text in texts.items()
        for name in re.findall(r"\bsightline_[a-z_]+(?=[{\[)\s])", text)
    }


def test_the_dashboard_and_the_alerts_ask_for_figures_that_exist():
    queried = _queried_figures()
    assert len(queried) > 20
    assert set(queried) - set(_exposed()) == set()


def test_no_two_panels_cover_each_other():
    cells = [
        (x, y)
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", "--syntax-only", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ],
)
def test_promtool_finds_the_alerts_right(command):
    completed = subprocess.run(
        [promtool(), *command], cwd=RULES, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_alerts_are_sent_to_somebody_who_reads_them():
    folder = ROOT / "deploy" / "alertmanager"
    routing = yaml.safe_load((folder / "alertmanager.yml").read_text())
    receivers = {one["name"]: one.get("webhook_configs", []) for one in routing["receivers"]}
    (operator,) = receivers["operator"]
    assert operator["url_file"] == "/run/secrets/alert-webhook"
    routes = {one["matchers"][0]: one["receiver"] for one in routing["route"]["routes"]}
    assert routing["route"]["receiver"] == routes['severity="critical"'] == "operator"
    severities = set(re.findall(r"severity: (\w+)", (RULES / "alerts.yml").read_text()))
    assert severities == {"critical", "warning", "info"}
    names = set(re.findall(r"alert: (\w+)", (RULES / "alerts.yml").read_text()))
    assert set(re.findall(r'alertname="(\w+)"', (folder / "alertmanager.yml").read_text())) <= names
    scraped = yaml.safe_load((RULES / "prometheus.yml").read_text())
    (manager,) = scraped["alerting"]["alertmanagers"]
    assert manager["dns_sd_configs"][0]["names"] == ["alertmanager"]


def test_promtool_understands_every_query_of_the_dashboard(tmp_path):
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [{"record": f"q{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    completed = subprocess.run(
        [promtool(), "check", "rules", os.fspath(file)], capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
