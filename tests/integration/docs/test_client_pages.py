"""Code blocks of the client's pages, run unchanged."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time

import httpx
import pytest

from shared import webhooks
from tests.support.harness import QUICK, ROOT, running_redis, running_system

PAGE = (ROOT / "docs" / "client.md").read_text()
RECEIVERS = re.findall(
    r"## (Flask|FastAPI)\n\n```python\n(.*?)```",
    (ROOT / "docs" / "how-to" / "receive-webhooks.md").read_text(),
    re.DOTALL,
)


def blocks(language):
    return re.findall(rf"<!-- run -->\n```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A gateway with fast answers: no example needs to find a job running."""
    folder = tmp_path_factory.mktemp("quick")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
        system.worker(slots=8, SIGHTLINE_SIMULATED_TOKEN_S="0.005")
        yield system.gateway()[1].base_url


@pytest.fixture
def environment(quick, tmp_path):
    (tmp_path / "sightline").write_text(f'#!/bin/sh\nexec {sys.executable} -m sightline "$@"\n')
    (tmp_path / "sightline").chmod(0o755)
    return os.environ | {
        "SIGHTLINE_URL": str(quick),
        "PYTHONPATH": str(ROOT / "client"),
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }


@pytest.mark.parametrize("number", range(4))
def test_the_pages_python_runs(environment, number):
    examples = blocks("python")
    assert len(examples) == 4
    command = [sys.executable, "-W", "error", "-c", examples[number]]
    completed = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout


def test_the_pages_commands_run(environment, tmp_path):
    (script,) = blocks("sh")
    script = script.replace("--out texts", f"--out {tmp_path}/texts")
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert (tmp_path / "texts" / "note.txt").read_text().strip()


def post_to_flask(app, body, headers):
    return app.test_client().post("/sightline", data=body, headers=headers).status_code


def post_to_fastapi(app, body, headers):
    async def post():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return (await client.post("/sightline", content=body, headers=headers)).status_code

    return asyncio.run(post())


@pytest.mark.parametrize(("name", "source"), RECEIVERS, ids=[name for name, _ in RECEIVERS])
def test_the_pages_receivers_take_what_is_signed_and_each_message_once(
    name, source, monkeypatch, capsys
):
    old, new = webhooks.new_secret(), webhooks.new_secret()
    monkeypatch.setenv("SIGHTLINE_WEBHOOK_SECRET", f"{old} {new}")
    there = {"__name__": "receiver"}
    exec(compile(source, name, "exec", dont_inherit=True), there)
    post = {"Flask": post_to_flask, "FastAPI": post_to_fastapi}[name]
    body = webhooks.build_message("job.succeeded", "now", {"id": "job_1", "ü": "图😀"}).encode()
    headers = webhooks.sign_headers([new], "dlv_1", int(time.time()), body)
    assert post(there["app"], body, headers) == 204
    assert post(there["app"], body, headers) == 204
    assert capsys.readouterr().out == "job.succeeded job_1\n"
    assert post(there["app"], body + b" ", headers) == 400
    late = webhooks.sign_headers([new], "dlv_1", int(time.time()) - 600, body)
    assert post(there["app"], body, late) == 400


def test_both_receivers_are_there():
    assert [name for name, _ in RECEIVERS] == ["Flask", "FastAPI"]
