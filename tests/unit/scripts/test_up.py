"""The launcher as `make up` runs it, with small programs instead of the service."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.service.instance import ROOT, Instance, RecordedProcess, wait_until
from scripts.service.preflight import find_bind_error, free_port

GATEWAY = """
import http.server, os
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
address = os.environ["SIGHTLINE_HOST"], int(os.environ["SIGHTLINE_PORT"])
http.server.HTTPServer(address, Ready).serve_forever()
"""
#: Ends soon after the gateway answers.
SHORT_LIVED = """
import os, socket, time
while True:
    try:
        socket.create_connection(("127.0.0.1", int(os.environ["SIGHTLINE_PORT"]))).close()
        break
    except OSError:
        time.sleep(0.1)
time.sleep(1)
"""
PROCFILE = "gateway: exec python {gateway}\nworker: exec {worker}\n"


class Launcher:
    """One run of `python -m scripts.up` and what it printed."""

    def __init__(
        self, folder: Path, worker: str, output: int | None = None, **environ: str
    ) -> None:
        self.port = free_port()
        self.instance = Instance(self.port, folder)
        gateway, procfile = folder / "gateway.py", folder / "Procfile"
        gateway.write_text(GATEWAY)
        procfile.write_text(PROCFILE.format(gateway=gateway, worker=worker))
        self.environ = {
            **{name: value for name, value in os.environ.items() if "SIGHTLINE" not in name},
            "SIGHTLINE_PORT": str(self.port),
            "SIGHTLINE_RUN_DIR": str(folder),
            "SIGHTLINE_MODEL": "simulated",
            **environ,
        }
        self._output = (folder / "output").open("wb")
        self.process = self.start("scripts.up", str(procfile), output=output)

    def start(self, *arguments: str, output: int | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=self.environ,
            stdout=output or self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        return Path(self._output.name).read_text()

    def says(self, pattern: str, seconds: float = 20) -> bool:
        return wait_until(lambda: re.search(pattern, self.output) is not None, seconds)

    def ready(self) -> bool:
        return self.says("Sightline is ready")

    def running(self, name: str) -> RecordedProcess:
        processes: dict[str, RecordedProcess] = {}

        def there() -> bool:
            processes.update({one.name: one for one in self.instance.processes()})
            return name in processes

        assert wait_until(there, 60)
        return processes[name]

    def nothing_is_left(self) -> bool:
        return not self.instance.processes() and find_bind_error("127.0.0.1", self.port) is None

    def group_has_ended(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.instance.sweep()
        self._output.close()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[type[Launcher]]:
    launched: list[Launcher] = []

    def start(worker: str = "sleep 300", **options: Any) -> Launcher:
        launched.append(Launcher(tmp_path, worker, **options))
        return launched[-1]

    yield start
    for launcher in launched:
        launcher.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_nothing_is_left(launch, number):
    launcher = launch()
    assert launcher.ready()
    names = {one.name for one in launcher.instance.processes()}
    assert names == {"up", "redis", "gateway", "worker"}
    os.killpg(launcher.process.pid, number)
    assert launcher.process.wait(60) == 0
    assert launcher.nothing_is_left()


def test_ctrl_c_before_it_is_ready_leaves_nothing_either(launch):
    launcher = launch()
    assert launcher.says("started")
    os.killpg(launcher.process.pid, signal.SIGINT)
    assert launcher.process.wait(60) == 0
    assert launcher.nothing_is_left()


def test_when_ready_it_tells_where_to_look_and_what_to_try(launch):
    launcher = launch()
    assert launcher.ready()
    assert f"http://127.0.0.1:{launcher.port}/docs" in launcher.output
    assert re.search(r"Flower.*user sightline, password \S{24}", launcher.output)
    assert re.search(rf"curl .*note\.png.*:{launcher.port}/predict", launcher.output)


def test_it_goes_on_and_ends_cleanly_when_nobody_reads_its_output(launch):
    launcher = launch(output=subprocess.PIPE)
    with launcher.process.stdout as reader:
        assert any(b"Sightline is ready" in line for line in reader)
    killed = launcher.running("worker")
    killed.signal(signal.SIGKILL)
    assert wait_until(lambda: launcher.running("worker").pid != killed.pid, 60)
    assert launcher.start("scripts.down").wait(60) == 0
    assert launcher.nothing_is_left()


def test_a_process_that_dies_before_it_is_ready_is_one_clear_line(launch):
    launcher = launch(worker="sh -c 'echo no memory; exit 3'")
    assert launcher.process.wait(60) == 1
    assert "make up: worker ended before it was ready (exit 3)" in launcher.output
    assert "Traceback" not in launcher.output
    assert launcher.nothing_is_left()


def test_a_worker_that_is_killed_later_is_started_again(launch):
    launcher = launch()
    assert launcher.ready()
    killed = launcher.running("worker")
    killed.signal(signal.SIGKILL)
    assert launcher.says("worker .*restarting it")
    assert wait_until(lambda: launcher.running("worker").pid != killed.pid, 60)
    launcher.process.send_signal(signal.SIGTERM)
    assert launcher.process.wait(60) == 0
    assert launcher.nothing_is_left()


def test_a_redis_that_is_killed_is_started_again(launch):
    launcher = launch()
    assert launcher.ready()
    killed = launcher.running("redis")
    killed.signal(signal.SIGKILL)
    assert launcher.says("Redis died, restarting it")
    assert wait_until(lambda: launcher.running("redis").pid != killed.pid, 60)


def test_a_worker_that_dies_again_and_again_ends_the_service(launch, tmp_path):
    (tmp_path / "worker.py").write_text(SHORT_LIVED)
    launcher = launch(worker=f"python {tmp_path}/worker.py")
    assert launcher.process.wait(60) == 1
    assert "make up: worker ended repeatedly (exit 0)" in launcher.output
    assert launcher.nothing_is_left()


def test_down_stops_it_from_elsewhere(launch):
    launcher = launch()
    assert launcher.ready()
    assert launcher.start("scripts.down").wait(60) == 0
    assert launcher.process.wait(60) == 0
    assert f"stopped port {launcher.port}" in launcher.output
    assert launcher.nothing_is_left()


def test_down_ends_what_a_killed_launcher_left(launch):
    launcher = launch()
    assert launcher.ready()
    launcher.process.kill()
    launcher.process.wait()
    assert find_bind_error("127.0.0.1", launcher.port) is not None
    assert launcher.start("scripts.down").wait(60) == 0
    assert wait_until(launcher.group_has_ended, 60)
    assert launcher.nothing_is_left()


def test_a_taken_port_is_one_line(launch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        launcher = launch(SIGHTLINE_PORT=str(port))
        assert launcher.process.wait(60) == 1
    assert launcher.output.count("\n") == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in launcher.output


def test_a_missing_model_is_one_line(launch):
    launcher = launch(SIGHTLINE_MODEL="/no/such/model")
    assert launcher.process.wait(60) == 1
    assert launcher.output.count("\n") == 1
    assert "MODEL=/no/such/model" in launcher.output


def test_a_redis_url_that_does_not_answer_is_one_line(launch):
    launcher = launch(SIGHTLINE_REDIS_URL="redis://127.0.0.1:1/0")
    assert launcher.process.wait(60) == 1
    assert launcher.output.count("\n") == 1
    assert "127.0.0.1:1/0 does not respond" in launcher.output
