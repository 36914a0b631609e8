"""Flower without the controls that can do nothing here: `python -m shared.queue.flower`.

Takes the options of `celery flower`. A worker's slots, queues and limits are its settings; Celery's
own controls for them would fail, or starve jobs. What stays: shutting a worker down, and canceling
a job. A control that a newer Flower adds to its pages is shown, those of the API are refused.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flower.app
import flower.urls
from celery.bin.celery import celery
from tornado.template import Loader, Template
from tornado.web import RequestHandler

from shared.queue.flower_ends import TrueEvents

#: Paths of the API that change a worker, or start a task that is no job.
_REFUSED = (
    r"/api/worker/(?:pool|queue)/.*",
    r"/api/task/(?:rate-limit|timeout|apply|async-apply|send-task)/.*",
)
_WHY = (
    "Sightline does not offer this: set a worker's slots, queues and limits in its settings and "
    "restart it, and submit jobs with POST /v1/jobs.\n"
)
_IF_WRITABLE = "{% if not read_only %}"


class RefusedControl(RequestHandler):
    """Answers 403 and says what to do instead."""

    def check_xsrf_cookie(self) -> None:
        """Let the answer be the same for everybody."""

    def post(self) -> None:
        """Refuse."""
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(_WHY)


def _without_pool_and_limits(page: str) -> str:
    """Return the worker's page with its menu of actions, and no other control."""
    menu, _, rest = page.partition(_IF_WRITABLE)
    rest = rest.replace(_IF_WRITABLE, "{% if False %}")
    item = r'<li>\s*<button id="worker-pool-restart".*?</li>'
    tab = r'<li[^>]*>\s*<a [^>]*id="worker-tab-limits".*?</li>'
    for unwanted in (item, tab):
        rest = re.sub(unwanted, "", rest, flags=re.DOTALL)
    return menu + _IF_WRITABLE + rest


_CHANGES: dict[str, Callable[[str], str]] = {"worker.html": _without_pool_and_limits}


class ChangedTemplates(Loader):
    """Reads Flower's templates, and changes some of them."""

    def _create_template(self, name: str) -> Template:
        change = _CHANGES.get(name)
        if change is None:
            return super()._create_template(name)
        page = (Path(self.root) / name).read_text(encoding="utf-8")
        return Template(change(page), name=name, loader=self)


def main(arguments: list[str]) -> None:
    """Run Flower with these options."""
    refusals: list[Any] = [(path, RefusedControl) for path in _REFUSED]
    flower.urls.handlers[:0] = refusals
    flower.urls.settings["template_loader"] = ChangedTemplates(
        flower.urls.settings["template_path"]
    )
    flower.app.Events = TrueEvents
    celery(["-A", "shared.queue", "flower", *arguments], auto_envvar_prefix="CELERY")


if __name__ == "__main__":
    main(sys.argv[1:])
