"""The service from outside: questions, webhooks, keys, figures, alerts."""

from __future__ import annotations

import base64
import json
import os

from stack import (
    GATEWAY,
    call,
    check,
    compose,
    eventually,
    fetch,
    logs,
    run,
    secret,
    submit,
)


def check_service() -> dict[str, str]:
    """Questions, figures, webhooks, keys and alerts; return the headers of a key."""
    upload = ["-F", "image=@docs/examples/note.png", "-F", "prompt=What does it say?"]
    text = run("curl", "-s", *upload, f"{GATEWAY}/predict").stdout
    check("a real question is answered", "Lisbon" in text, text[:60].replace("\n", " "))
    bearer = {"Authorization": f"Bearer {secret('SIGHTLINE_METRICS_TOKEN')}"}
    statuses = [fetch(f"{GATEWAY}/metrics")[0], fetch(f"{GATEWAY}/metrics", headers=bearer)[0]]
    check("/metrics asks for its token", statuses == [401, 200], statuses)
    login = base64.b64encode(secret("flower-login").encode()).decode()
    flower = f"http://127.0.0.1:{os.environ['FLOWER_PORT']}/workers"
    statuses = [fetch(flower)[0], fetch(flower, headers={"Authorization": f"Basic {login}"})[0]]
    check("Flower asks for its login", statuses == [401, 200], statuses)
    (job,) = submit(1, max_new_tokens=4, webhook="http://receiver:8080/hook")
    check("the courier delivers", eventually(lambda: job in logs("receiver"), 60))
    made = compose("run", "--rm", "admin", "keys", "create", "shop").stdout.split()
    key = {"Authorization": f"Bearer {made[-1]}"}
    statuses = [
        call("/v1/jobs", headers=key)[0],
        call("/v1/jobs", headers={"Authorization": "Bearer no"})[0],
    ]
    check("admin makes a key that opens", statuses == [200, 401], statuses)
    return key


def check_monitoring() -> None:
    """Prometheus scrapes, its rules are sound, and Alertmanager sends what matters."""
    url = f"http://127.0.0.1:{os.environ['PROMETHEUS_PORT']}/api/v1"

    def ask(path: str) -> dict:
        status, text = fetch(f"{url}/{path}")
        return json.loads(text)["data"] if status == 200 else {}

    up = eventually(
        lambda: [t for t in ask("targets").get("activeTargets", []) if t["health"] == "up"], 90
    )
    rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
    sound = rules and all(rule["health"] in ("ok", "unknown") for rule in rules)
    check(
        "Prometheus scrapes with the token and its alerts are sound",
        up and sound,
        f"{len(rules)} alerts",
    )
    managers = eventually(lambda: ask("alertmanagers").get("activeAlertmanagers"), 60)
    check("Prometheus finds Alertmanager", managers, managers)
    alerts = [
        {"labels": {"alertname": f"Try{severity}", "severity": severity}}
        for severity in ("critical", "info")
    ]
    fetch(f"http://127.0.0.1:{os.environ['ALERTMANAGER_PORT']}/api/v2/alerts", alerts)
    sent = eventually(lambda: "Trycritical" in logs("receiver"), 60)
    check(
        "Alertmanager calls the operator, but not for what is only worth a look",
        sent and "Tryinfo" not in logs("receiver"),
    )
