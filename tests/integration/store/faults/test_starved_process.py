"""A process that got no CPU while Redis answered uses the answer that has come meanwhile."""

from __future__ import annotations

import subprocess
import sys

#: A reader's time is over while nothing else runs; before it is told so, another greenlet runs,
#: and Redis answers meanwhile.
_STARVED = """
from gevent import monkey
starve, blocking = monkey.get_original("time", "sleep"), monkey.get_original("socket", "socket")
monkey.patch_all()
import os
import sys
from urllib.parse import urlsplit
import gevent
import redis
from gevent.socket import wait_read
from shared.settings import Settings
from shared.store.connection import connect

url = urlsplit(sys.argv[1])
pushing = blocking()
pushing.connect((url.hostname, url.port))
client = connect(Settings(redis_url=sys.argv[1], redis_timeout_s=0.5))
client.ping()


def work(ready, answers):
    wait_read(ready)
    if answers:
        pushing.sendall(b"RPUSH starved reply\\r\\n")
    starve(0.3)


def read_starved(*, answers):
    ready, begin = os.pipe()
    gevent.spawn(work, ready, answers)
    reading = gevent.spawn(client.blpop, ["starved"], 5)
    gevent.sleep(0.1)
    os.write(begin, b"x")
    starve(1.0)
    return reading.get()


print(read_starved(answers=True))
try:
    read_starved(answers=False)
except redis.TimeoutError:
    print("timeout", client.ping())
"""


def test_a_reply_that_came_while_the_process_was_starved_is_used(redis_server):
    ran = subprocess.run(
        [sys.executable, "-c", _STARVED, redis_server.url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.splitlines() == ["('starved', 'reply')", "timeout True"], ran.stderr
