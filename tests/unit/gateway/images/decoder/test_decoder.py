"""The children are bounded, replaced when they fail, shared fairly, and gone with their gateway."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.images.uploads import Upload
from shared.errors import ImageDecodeFailed, ImageError, Unavailable
from shared.sandbox import pool
from tests.support.images.hostile_files import REFUSED
from tests.support.images.image_bytes import chunk, ihdr, noise, png, quarters, rows, saved

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
ROOT = Path(__file__).parents[5]
SMALL = Upload(saved(quarters(), "PNG"))
LARGE = Upload(saved(noise(1200, 1200), "BMP"))


def _costly():
    """49 megapixels in 60 kB: 200 MB as soon as it has colours."""
    palette = chunk(b"PLTE", bytes(range(6)))
    return Upload(png(ihdr(7000, 7000, 1, 3), rows(7000, bytes(875)), palette))


def _only_child(decoder):
    decoder.decode(SMALL)
    (child,) = decoder.sandbox.pool._idle.queue
    return child


def _until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def _gone(pid):
    """No process and no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _ended(pid):
    """Like _gone, or a zombie: an orphan is for the first process of the system to reap."""
    stat = Path(f"/proc/{pid}/stat")
    return _gone(pid) or (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


@pytest.fixture
def lone(decoder_with):
    """A decoder of one child, so that tests know which one answers."""
    return decoder_with(decoder_children=1)


def test_a_child_serves_many_images(lone):
    pids = {_only_child(lone).pid for _ in range(5)}
    assert len(pids) == 1


def test_a_child_that_overruns_its_time_is_killed_and_replaced(decoder_with):
    decoder = decoder_with(decoder_children=1, decoder_timeout_s=1.5)
    child = _only_child(decoder)
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(ImageDecodeFailed, match=r"^Image decode failed: .* 1.5 seconds") as failed:
        decoder.decode(SMALL, pointer="/images/0")
    assert failed.value.pointer == "/images/0"
    assert _gone(child.pid)
    assert _only_child(decoder).pid != child.pid


def test_a_child_that_does_not_take_its_request_is_killed_too(decoder_with):
    decoder = decoder_with(decoder_children=1, decoder_timeout_s=1.5)
    os.kill(_only_child(decoder).pid, signal.SIGSTOP)
    with pytest.raises(ImageDecodeFailed, match=r"1.5 seconds"):
        decoder.decode(LARGE)
    assert decoder.decode(SMALL).format == "PNG"


def test_an_image_that_needs_too_much_memory_is_refused_and_its_child_replaced(decoder_with):
    decoder = decoder_with(decoder_children=1, decoder_memory_bytes=256 << 20)
    child = _only_child(decoder)
    with pytest.raises(ImageDecodeFailed, match="memory"):
        decoder.decode(_costly())
    assert _gone(child.pid)
    assert decoder.decode(SMALL).format == "PNG"


@linux_only
def test_the_largest_images_fit_into_the_memory_of_a_child(decoder_with):
    # a busy machine may take its time: this is about memory
    decoder = decoder_with(decoder_children=1, decoder_timeout_s=60)
    decoder.decode(_costly())
    (child,) = decoder.sandbox.pool._idle.queue
    status = Path(f"/proc/{child.pid}/status").read_text()
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    assert peak_kib << 10 < 1 << 30


def _struck_at_work(lone, killer):
    """Kill the child while it holds a large image; return what became of that and of others."""
    child = _only_child(lone)
    os.kill(child.pid, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        own = threads.submit(lone.decode, LARGE)
        _until(lambda: child._served == 2)
        others = [threads.submit(lone.decode, SMALL) for _ in range(3)]
        os.kill(child.pid, killer)
        os.kill(child.pid, signal.SIGCONT)
    assert _gone(child.pid)
    return own, others


def test_a_child_that_somebody_kills_costs_no_request(lone):
    own, others = _struck_at_work(lone, signal.SIGKILL)
    assert own.result().format == "BMP"
    assert {other.result().id for other in others} == {lone.decode(SMALL).id}


def test_a_child_that_the_kernel_ends_for_its_cpu_time_takes_only_its_own_request(lone):
    own, others = _struck_at_work(lone, signal.SIGXCPU)
    with pytest.raises(ImageDecodeFailed, match="10 seconds"):
        own.result()
    assert {other.result().id for other in others} == {lone.decode(SMALL).id}


def test_an_image_whose_decoder_dies_twice_is_refused(lone, monkeypatch):
    crash = "import os, socket; gateway = socket.socket(fileno=0);"
    crash += "gateway.sendall(bytes((0, 0, 0, 2, 0, 0, 0, 0)) + b'{}'); gateway.recv(1); os.abort()"
    monkeypatch.setattr(pool, "_COMMAND", (sys.executable, "-c", crash))
    with pytest.raises(ImageDecodeFailed, match=r"^Image decode failed: .*signal 6"):
        lone.decode(SMALL)


def test_an_idle_child_that_was_killed_costs_no_request(lone):
    child = _only_child(lone)
    os.kill(child.pid, signal.SIGKILL)
    assert lone.decode(SMALL).format == "PNG"
    assert _gone(child.pid)


def test_a_child_that_breaks_the_protocol_is_replaced(lone, monkeypatch):
    script = (
        "import socket; gateway = socket.socket(fileno=0);"
        "gateway.sendall(bytes((0, 0, 0, 2, 0, 0, 0, 0)) + b'{}' + b'\\xff' * 9); gateway.recv(1)"
    )
    monkeypatch.setattr(pool, "_COMMAND", (sys.executable, "-c", script))
    with pytest.raises(ImageDecodeFailed, match="the decoder process ended"):
        lone.decode(LARGE)
    monkeypatch.undo()
    assert lone.decode(LARGE).format == "BMP"


def test_a_worn_child_is_replaced(lone, monkeypatch):
    monkeypatch.setattr(pool, "_REQUESTS_PER_CHILD", 3)
    pids = [_only_child(lone).pid for _ in range(6)]
    assert len(set(pids)) == 3


def test_twenty_images_at_once_go_through_two_children(decoder_with):
    decoder = decoder_with(decoder_children=2)
    with ThreadPoolExecutor(20) as threads:
        images = list(threads.map(decoder.decode, [SMALL, LARGE] * 10))
    assert len({image.id for image in images}) == 2
    assert 1 <= len(decoder.sandbox.pool.pids()) <= 2


@pytest.mark.parametrize("command", [("/bin/false",), ("/no/such/program",)])
def test_a_program_that_does_not_start_is_our_fault_and_is_not_started_in_a_loop(
    lone, monkeypatch, command
):
    monkeypatch.setattr(pool, "_COMMAND", command)
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        pool.subprocess, "Popen", lambda *a, **k: started.append(a) or popen(*a, **k)
    )
    with pytest.raises(Unavailable) as unavailable:
        lone.decode(SMALL)
    assert unavailable.value.retry_after_s
    assert len(started) == 1
    monkeypatch.undo()
    assert lone.decode(SMALL).format == "PNG"


def test_a_request_does_not_wait_for_ever_for_a_busy_child(decoder_with):
    decoder = decoder_with(decoder_children=1, decoder_timeout_s=0.1)
    decoder.start()
    lent = decoder.sandbox.pool._take(1)
    with pytest.raises(Unavailable, match="busy"):
        decoder.decode(SMALL)
    decoder.sandbox.pool._give_back(lent, keep=True)


@linux_only
def test_a_child_sees_no_secret_and_has_hard_limits(lone, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_SECRET", "hush")
    child = _only_child(lone)
    proc = Path(f"/proc/{child.pid}")
    assert b"hush" not in (proc / "environ").read_bytes()
    lines = (proc / "limits").read_text().splitlines()
    limits = {line[:25].strip(): line[25:].split()[0] for line in lines}
    assert 1 << 30 < int(limits["Max address space"]) < 3 << 29
    assert int(limits["Max cpu time"]) < 20
    assert limits["Max core file size"] == "0"
    assert {str(fd.readlink()) for fd in (proc / "fd").iterdir() if fd.name != "0"} == {"/dev/null"}


def test_close_ends_every_child_and_a_later_image_starts_new_ones(lone):
    child = _only_child(lone)
    lone.close()
    assert _gone(child.pid)
    assert _only_child(lone).pid != child.pid


def test_closing_ends_a_busy_child_when_it_is_given_back(lone):
    child = _only_child(lone)
    os.kill(child.pid, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        last = threads.submit(lone.decode, SMALL)
        _until(lambda: child._served == 2)
        lone.close()
        os.kill(child.pid, signal.SIGCONT)
        assert last.result().format == "PNG"
    assert _gone(child.pid)


def _run(script):
    """Run a program in the project's root; return its output, which must not end in an error."""
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(
        command, cwd=ROOT, text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


_PRELUDE = """
import os, signal, sys, time
from gateway.images.decoder.decoder import Decoder
from gateway.images.uploads import Upload
from shared.settings import Settings
from tests.support.images.image_bytes import noise, quarters, saved
decoder = Decoder(Settings(decoder_children=1))
small = Upload(saved(quarters(), "PNG"))
decode = lambda: decoder.decode(small)
"""


def test_other_greenlets_run_while_an_image_decodes_under_gevent():
    """The child is stopped: only another greenlet can wake it, so a blocked hub would time out."""
    finished, replaced = _run(
        "from gevent import monkey; monkey.patch_all(); import gevent\n"
        + _PRELUDE
        + """
decode()
first = decoder.sandbox.pool.pids()[0]
os.kill(first, signal.SIGSTOP)
jobs = [gevent.spawn(decode) for _ in range(5)]
for _ in range(20):
    gevent.sleep(0.01)
assert not any(job.ready() for job in jobs)
os.kill(first, signal.SIGCONT)
gevent.joinall(jobs, raise_error=True)
print(len({job.value.id for job in jobs}))
os.kill(first, signal.SIGKILL)
decode()
print(decoder.sandbox.pool.pids()[0] != first)
decoder.close()
"""
    )
    assert (finished, replaced) == ("1", "True")


def test_a_forked_process_has_children_of_its_own():
    (same, mine, its) = _run(
        _PRELUDE
        + """
one = decode().id
read, write = os.pipe()
fork = os.fork()
if not fork:
    try:
        os.write(write, f"{decode().id == one} {decoder.sandbox.pool.pids()[0]}".encode())
        decoder.close()
    finally:
        os._exit(0)
os.waitpid(fork, 0)
same, its = os.read(read, 100).decode().split()
assert decode().id == one
print(same, decoder.sandbox.pool.pids()[0], its)
decoder.close()
"""
    )
    assert same == "True"
    assert mine != its


@pytest.mark.parametrize("work", ["small", "costly"], ids=["idle", "busy"])
def test_children_die_with_a_gateway_that_is_killed(work):
    """The child answers the small image at once and is killed at work on the costly one."""
    script = f"""
import threading
from tests.support.images.image_bytes import chunk, ihdr, png, rows
costly = Upload(png(ihdr(7000, 7000, 1, 3), rows(7000, bytes(875)), chunk(b"PLTE", bytes(6))))
decode()
print(decoder.sandbox.pool.pids()[0], flush=True)
threading.Thread(target=decoder.decode, args=({work},)).start()
signal.pause()
"""
    command = [sys.executable, "-c", _PRELUDE + script]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            child = int(gateway.stdout.readline())
            time.sleep(0.2)
        finally:
            gateway.kill()
    _until(lambda: _ended(child))


def test_importing_the_gateways_decoder_starts_nothing():
    assert _run(
        "import gateway.images.decoder.decoder, threading; print(threading.active_count())"
    ) == ["1"]


@linux_only
def test_no_hostile_file_makes_a_child_hold_more_than_its_memory(lone):
    most_kib = 0
    for case in REFUSED:
        with contextlib.suppress(ImageError):
            lone.decode(Upload(case.build()))
        for pid in lone.sandbox.pool.pids():
            status = Path(f"/proc/{pid}/status").read_text()
            most_kib = max(most_kib, int(status.split("VmHWM:")[1].split()[0]))
    assert 0 < most_kib < 1 << 20
