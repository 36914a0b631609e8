"""`make up`: starts Redis and the Procfile, prints when the service is ready, ends all of it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import honcho.environ

from scripts.redis_server import PrivateRedis, check_redis, find_program
from scripts.service import preflight
from scripts.service.instance import LAUNCHER, ROOT, Instance, InstanceError
from scripts.service.preflight import Address
from scripts.service.supervise import SteadyOutput, Supervisor, print_line
from shared.settings import BUNDLED_MODEL, Settings

FLOWER_USER = "sightline"
#: Seconds beyond drain_s to release jobs, close streams and exit.
STOP_S = 20.0
NOT_READY_EVERY_S = 30.0
EXAMPLE = "docs/examples/note.png"
#: Without a proxy: the service is on this machine.
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Launch:
    """One run of the service."""

    settings: Settings
    model: str
    instance: Instance
    flower: Address
    flower_login: str
    redis: PrivateRedis | None

    @property
    def address(self) -> Address:
        """Where the gateway answers."""
        return Address(self.settings.host, self.settings.port)

    def environment(self) -> dict[str, str]:
        """Return the environment of every process."""
        programs = Path(sys.executable).parent
        # the processes write to a pipe, so they cannot see the terminal behind it
        log_format = {"SIGHTLINE_LOG_FORMAT": "text"} if sys.stdout.isatty() else {}
        return (
            log_format
            | os.environ
            | {
                "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
                "PYTHONUNBUFFERED": "1",
                "SIGHTLINE_HOST": self.settings.host,
                "SIGHTLINE_PORT": str(self.settings.port),
                "SIGHTLINE_MODEL": self.model,
                "SIGHTLINE_SLOTS": str(self.settings.jobs_at_once),
                "SIGHTLINE_REDIS_URL": self.redis.url if self.redis else self.settings.redis_url,
                "FLOWER_PORT": str(self.flower.port),
                "FLOWER_BASIC_AUTH": self.flower_login,
                "FLOWER_PERSISTENT": "False",
            }
        )

    def run(self, procfile: Path) -> None:
        """Run the processes until they are stopped; raises InstanceError if one ended by itself."""
        self.instance.publish(self.address.url)
        supervisor = Supervisor(self.instance, self.settings.drain_s + STOP_S, self._watch)
        environment = self.environment()
        for name, command in honcho.environ.parse_procfile(procfile.read_text()).processes.items():
            supervisor.add_process(name, command, env=environment, cwd=str(ROOT))
        try:
            supervisor.loop()
        finally:
            self.instance.sweep(keep=(LAUNCHER, "redis"))
        for name, code in supervisor.died:
            when = "repeatedly" if supervisor.phase.ready.is_set() else "before it was ready"
            raise InstanceError(f"{name} ended {when} (exit {code}); see its last lines above")

    def _watch(self, supervisor: Supervisor) -> None:
        phase = supervisor.phase
        print_at = time.monotonic() + NOT_READY_EVERY_S
        while not phase.stopping.is_set() and (missing := find_missing(self.address.url)):
            if time.monotonic() > print_at and not SteadyOutput.shows_step():
                print_line(f"not ready yet: {missing}")
                print_at = time.monotonic() + NOT_READY_EVERY_S
            phase.stopping.wait(0.5)
        if not phase.stopping.is_set():
            phase.ready.set()
            print_line(self.render_welcome())
        self._keep_redis(supervisor)

    def _keep_redis(self, supervisor: Supervisor) -> None:
        while not supervisor.phase.stopping.wait(0.5):
            if self.redis and self.redis.died():
                print_line("Redis died, restarting it")
                try:
                    self.redis.restart()
                except InstanceError as trouble:
                    print_line(f"make up: {trouble}")
                    supervisor.terminate()

    def render_welcome(self) -> str:
        """Return the text for the terminal once the service is ready."""
        port, url = self.settings.port, self.address.url
        user, _, password = self.flower_login.partition(":")
        jobs = (
            f"stored in {self.instance.directory}/redis" if self.redis else "stored in your Redis"
        )
        data = shlex.quote(f"image=@{EXAMPLE}")
        return f"""
Sightline is ready.
  web page          {url}
  API documentation {url}/docs
  operations        {url}/ops
  queues (Flower)   {self.flower.url}   user {user}, password {password}
  model             {self._describe_model()}
  jobs              {jobs}
Try it from another shell in this folder:
  .venv/bin/sightline ask {EXAMPLE} "What does it say?"
  curl -F {data} -F 'prompt=What does it say?' {url}/predict
Stop it with Ctrl-C, or from another shell with: make down PORT={port}
"""

    def _describe_model(self) -> str:
        if self.model != BUNDLED_MODEL:
            return self.model
        return """the bundled demonstration model: it reads short printed text, no photographs
                    for real work: make up MODEL=Qwen/Qwen3-VL-2B-Instruct (4 GB, downloaded
                    once), or MODEL=/a/folder that has it"""


def find_missing(url: str) -> str | None:
    """Return what is missing by /readyz; None if the service is ready."""
    try:
        with _HTTP.open(f"{url}/readyz", timeout=5):
            return None
    except urllib.error.HTTPError as error:
        return _detail(error.read())
    except OSError:
        return "the gateway does not respond"


def _detail(body: bytes) -> str:
    try:
        problem = json.loads(body)
        return str(problem.get("detail") or problem)
    except (ValueError, AttributeError):
        return body.decode(errors="replace")[:200]


def launch(procfile: Path) -> None:
    """Check, start, run and end everything; raises InstanceError."""
    preflight.check_environment(Path(sys.executable).parent)
    settings = preflight.read_settings()
    for line in preflight.find_ignored(os.environ):
        print_line(line)
    model = preflight.check_model(settings.model)
    instance = Instance(settings.port)
    with contextlib.ExitStack() as stack:
        stack.enter_context(instance.claim())
        preflight.check_address(settings)
        flower = preflight.choose_flower_address(settings.port)
        login = os.environ.get("FLOWER_BASIC_AUTH") or (
            f"{FLOWER_USER}:{instance.secret('flower-password')}"
        )
        redis = None
        if "redis_url" in settings.model_fields_set:
            check_redis(settings.redis_url)
        else:
            redis = stack.enter_context(PrivateRedis(instance, find_program()))
        url = redis.url if redis else settings.redis_url
        preflight.check_access(settings.model_copy(update={"redis_url": url}))
        Launch(settings, model, instance, flower, login, redis).run(procfile)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.up", description=__doc__)
    parser.add_argument(
        "procfile", nargs="?", default="Procfile", help="Procfile with the processes to start"
    )
    parser.add_argument("--verbose", action="store_true", help="log at DEBUG")
    parser.add_argument("--log-file", metavar="FILE", help="log to this file as well")
    return parser.parse_args()


def main() -> int:
    """Return the exit code of `make up`."""
    arguments = _arguments()
    if arguments.verbose:
        os.environ["SIGHTLINE_LOG_LEVEL"] = "DEBUG"
    if arguments.log_file:
        os.environ["SIGHTLINE_LOG_FILE"] = str(Path(arguments.log_file).resolve())
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        launch(ROOT / arguments.procfile)
    except KeyboardInterrupt:
        return 0
    except (InstanceError, OSError) as trouble:
        print(f"make up: {trouble}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
