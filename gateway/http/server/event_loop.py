"""Gives the event loop a turn in the middle of work that one client causes."""

from __future__ import annotations

import gevent


def let_others_run() -> None:
    """Return after one turn of the event loop, in which whatever else is ready has run."""
    hub = gevent.get_hub()
    # sleep(0) may come back 50 times before the loop looks at its sockets again
    hub.wait(hub.loop.timer(0))
