"""`make up` as in the README: a question over HTTP, Ctrl-C, and no process left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.service.instance import Instance, wait_until
from scripts.service.preflight import find_bind_error
from tests.support.harness import BIN, ROOT, eventually, free_port

pytestmark = pytest.mark.timeout(420)

NOTE = ROOT / "docs" / "examples" / "note.png"
PROMPT = "What does it say, by the way?"
READY_S = 180


class MakeUp:
    """`make up` in a process group of its own, as a terminal starts it."""

    def __init__(self, folder: Path, port: int, **environ: str) -> None:
        self.port = port
        self.instance = Instance(port, folder)
        self._folder = folder
        self._log = folder / f"output-{len(list(folder.glob('output-*')))}"
        inherited = {name: v for name, v in os.environ.items() if not name.startswith("SIGHTLINE")}
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                ["make", "up", f"PORT={port}", "MODEL=simulated"],
                cwd=ROOT,
                env=inherited | {"SIGHTLINE_RUN_DIR": str(folder)} | environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)

    @property
    def output(self) -> str:
        return self._log.read_text()

    def ready(self) -> bool:
        ended = wait_until(
            lambda: "Sightline is ready" in self.output or self.process.poll() is not None, READY_S
        )
        return ended and self.process.poll() is None

    def submit(self, **headers: str) -> dict[str, object]:
        with NOTE.open("rb") as image:
            answer = self.http.post(
                "/v1/jobs", files={"image": image}, data={"prompt": PROMPT}, headers=headers
            )
        assert answer.is_success, answer.text
        return answer.json()

    def ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(60)

    def left(self) -> list[str]:
        """Return the command lines of processes that carry our run directory."""
        mark = f"SIGHTLINE_RUN_DIR={self._folder}".encode()
        commands = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    commands.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return commands

    def close(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(60)
        self.instance.sweep()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeUp]:
    # slow enough for the README's cancel to find its job running
    slow = {"SIGHTLINE_SIMULATED_IMAGE_S": "1"}
    running = MakeUp(tmp_path_factory.mktemp("run"), free_port(), **slow)
    try:
        assert running.ready(), running.output
        yield running
    finally:
        running.close()
    assert running.left() == []


def test_a_question_is_answered_and_names_the_simulated_model(service):
    job = service.submit(Prefer="wait=60")
    assert job["status"] == "succeeded"
    assert "simulated" in job["input"]["model"]


def test_flower_wants_the_printed_password_and_shows_ids_only(service):
    line = re.search(r"Flower\)\s+(\S+)\s+user (\S+), password (\S+)", service.output)
    assert line is not None
    url, *login = line.groups()
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as flower:
        assert flower.get("/api/tasks").status_code == 401
        flower.auth = tuple(login)
        submitted = []

        def whole() -> str | None:
            # Flower begins to listen some time after the service is ready
            submitted.append(service.submit(Prefer="wait=60")["id"])
            tasks = flower.get("/api/tasks").json()
            ended = [job for job in submitted if tasks.get(job, {}).get("state") == "SUCCESS"]
            return next((job for job in ended if tasks[job]["args"]), None)

        job = eventually(whole, every_s=0.5)
        task = flower.get(f"/api/task/info/{job}")
    assert job in task.json()["args"]
    assert task.json()["result"].endswith(" tokens")
    assert PROMPT not in task.text


def printed_examples(text: str) -> str:
    return "".join(re.findall(r"<!-- run -->\n```sh\n(.*?)```", text, re.DOTALL))


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/ask-with-curl.md"])
def test_the_examples_work_as_they_stand(service, page):
    text = (ROOT / page).read_text()
    head = re.search(r"```sh\n(URL=.*?)```", text, re.DOTALL)
    script = (head[1] if head else "") + printed_examples(text)
    script = script.replace("7860", str(service.port)).replace(".venv/bin/", f"{BIN}/")
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("curl ", "curl -sS --fail-with-body ")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"no_proxy": "*", "SIGHTLINE_URL": f"http://127.0.0.1:{service.port}"},
    )
    assert completed.returncode == 0, completed.stdout[-800:] + completed.stderr
    assert "succeeded" in completed.stdout


def test_a_second_one_on_the_same_port_is_told_so(service):
    second = subprocess.run(
        ["make", "-s", "up", f"PORT={service.port}", "MODEL=simulated"],
        cwd=ROOT,
        env=os.environ | {"SIGHTLINE_RUN_DIR": str(service.instance.directory.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode != 0
    assert f"make down PORT={service.port}" in second.stderr
    assert "Traceback" not in second.stderr


def test_ctrl_c_leaves_nothing_and_the_next_start_goes_on_with_the_jobs(tmp_path):
    slow = {"SIGHTLINE_SIMULATED_IMAGE_S": "1", "SIGHTLINE_SLOTS": "2"}
    port = free_port()
    first = MakeUp(tmp_path, port, **slow)
    try:
        assert first.ready(), first.output
        ids = [first.submit()["id"] for _ in range(8)]
        first.ctrl_c()
        assert first.left() == []
        assert find_bind_error("127.0.0.1", port) is None
    finally:
        first.close()
    second = MakeUp(tmp_path, port)
    try:
        assert second.ready(), second.output
        for job_id in ids:
            assert wait_until(lambda job_id=job_id: has_succeeded(second, job_id), 60), job_id
    finally:
        second.close()
    assert second.left() == []


def has_succeeded(service: MakeUp, job_id: str) -> bool:
    return service.http.get(f"/v1/jobs/{job_id}").json()["status"] == "succeeded"
