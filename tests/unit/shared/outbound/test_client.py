from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from shared.addresses import Policy, parse_ports
from shared.errors import UrlFetchFailed, UrlNotAllowed
from shared.outbound.client import Ending, FetchLimits, GuardedClient
from shared.outbound.dialer import resolve_by_system
from shared.settings import Settings
from tests.support.harness import ROOT
from tests.support.servers.receivers import dripping, raw, receiving

ALL_PORTS = parse_ports("1-65535")
STRICT = Policy(ports=ALL_PORTS)
LOCAL = Policy.parse("127.0.0.0/8", "1-65535")
LIMITS = FetchLimits(total_s=5, connect_s=2, body_bytes=20_000)

#: What the names of these tests resolve to.
NAMES = {
    "inside.example": ["10.0.0.5"],
    "metadata.example": ["169.254.169.254"],
    "loop6.example": ["::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "mixed.example": ["8.8.8.8", "127.0.0.1"],
    "mixed6.example": ["2606:4700::1111", "fd00::1"],
    "scoped.example": ["fe80::1%1"],
    "bücher.example": ["192.168.1.1"],
    "xn--bcher-kva.example": ["192.168.1.1"],
    "localhost": ["127.0.0.1"],
    "localtest.example": ["127.0.0.1"],
}


def resolver(host, port):
    if host.endswith(".localhost"):
        return ["127.0.0.1"]
    return NAMES.get(host) or resolve_by_system(host, port)


@pytest.fixture
def connections(monkeypatch):
    """Note every address that is connected to, and connect to none."""
    made = []

    def refuse(address, *args, **kwargs):
        made.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    return made


INTERNAL = """
127.0.0.1 127.1 127.0.1 127.127.127.127 2130706433 0x7f000001 0x7f.0.0.1 0177.0.0.1 017700000001
0x7f.1 127.0.0.1. 0.0.0.0 0 0x0 00 10.0.0.1 10.1.2.3 172.16.0.1 172.31.255.255 192.168.0.1
3232235521 0xc0a80001 169.254.169.254 2852039166 0xa9fea9fe 169.254.43518 100.64.0.1 100.100.100.200
168.63.129.16 192.0.0.192 192.0.0.170 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 192.88.99.1
224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
[::1] [::] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:10.0.0.1]
[::ffff:169.254.169.254] [::ffff:0:127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::127.0.0.1]
[64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:a9fe:a9fe::] [2001::1] [2001:db8::1] [fe80::1] [fec0::1]
[fc00::1] [fd00:ec2::254] [ff02::1] [3fff::1] [5f00::1] [100::1] [4000::1]
localhost LOCALHOST localhost. a.localhost inside.example metadata.example loop6.example
mapped.example mixed.example mixed6.example scoped.example bücher.example xn--bcher-kva.example
localtest.example ①②⑦.⓪.⓪.① １２７.０.０.１ 127。0。0。1 127.0.0.1%2f.example 127.0.0.1%00.example
0x7f000001. 127.0.0.09 1.2.3.4.5 256.1.1.1 [::1%25lo] [fe80::1%25eth0]
user@127.0.0.1 user:pass@127.0.0.1 8.8.8.8@127.0.0.1 127.0.0.1@8.8.8.8 8.8.8.8\\@127.0.0.1
"""


@pytest.mark.parametrize("host", INTERNAL.split())
@pytest.mark.parametrize("form", ["http://{}/", "https://{}/x?y=1"])
def test_no_spelling_of_an_internal_address_is_connected_to(connections, host, form):
    client = GuardedClient(STRICT, resolver=resolver)
    with pytest.raises(UrlNotAllowed):
        client.fetch("GET", form.format(host), LIMITS)
    assert connections == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://8.8.8.8/",
        "gopher://8.8.8.8/_x",
        "unix:///run/docker.sock",
        "http:///x",
        "http://",
        "//8.8.8.8/",
        "8.8.8.8",
        "http://8.8.8.8 /",
        "http://8.8.8.8\r\nHost: x/",
        "http://8.8.8.8\t/",
        "http://8.8.8.8:22/",
        "http://8.8.8.8:6379/",
        "http://8.8.8.8:99999/",
        "http://8.8.8.8/" + "a" * 3000,
    ],
)
def test_only_plain_web_urls_are_fetched(connections, url):
    with pytest.raises(UrlNotAllowed):
        GuardedClient(Policy(), resolver=resolver).fetch("GET", url, LIMITS)
    assert connections == []


def test_a_public_address_is_connected_to_as_it_was_checked(connections):
    names = {"public.example": ["8.8.8.8", "2606:4700::1111"]}
    client = GuardedClient(Policy(), resolver=lambda host, port: names[host])
    with pytest.raises(UrlFetchFailed):
        client.fetch("GET", "https://public.example/", LIMITS)
    assert connections == [("8.8.8.8", 443), ("2606:4700::1111", 443)]


def test_a_name_that_changes_its_address_is_asked_only_once(connections):
    answers = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
    client = GuardedClient(Policy(), resolver=lambda *_: next(answers))
    with pytest.raises(UrlFetchFailed):
        client.fetch("GET", "http://rebinding.example/", LIMITS)
    assert connections == [("8.8.8.8", 80)]
    with pytest.raises(UrlNotAllowed):
        client.fetch("GET", "http://rebinding.example/", LIMITS)


def test_an_allowed_network_opens_nothing_else(connections):
    client = GuardedClient(Policy.parse("10.1.0.0/16", "80"), resolver=resolver)
    for url in ("http://10.2.0.1/", "http://127.0.0.1/", "http://10.1.0.1:81/"):
        with pytest.raises(UrlNotAllowed):
            client.fetch("GET", url, LIMITS)
    assert connections == []
    with pytest.raises(UrlFetchFailed):
        client.fetch("GET", "http://[::ffff:10.1.0.1]/", LIMITS)
    assert len(connections) == 1


def test_an_exchange_carries_method_headers_and_body():
    with receiving(lambda _: (201, {"X-Told": "yes"}, b"thanks")) as receiver:
        answer = GuardedClient(LOCAL, resolver=resolver).fetch(
            "POST",
            f"http://receiver.localhost:{receiver.port}/a%20b?c=d",
            LIMITS,
            headers={"webhook-id": "1"},
            content="ü".encode(),
        )
    assert (answer.status, answer.body, answer.ending) == (201, b"thanks", Ending.WHOLE)
    assert answer.headers["x-told"] == "yes"
    (request,) = receiver.requests
    assert request.path == "/a%20b?c=d"
    assert request.headers["host"] == f"receiver.localhost:{receiver.port}"
    assert (request.headers["webhook-id"], request.body) == ("1", "ü".encode())


def test_a_redirect_is_not_followed():
    with receiving() as inner, receiving(lambda _: (302, {"Location": inner.url}, b"")) as outer:
        answer = GuardedClient(LOCAL, resolver=resolver).fetch("GET", outer.url, LIMITS)
    assert answer.status == 302
    assert inner.requests == []


def test_proxies_of_the_environment_are_ignored(monkeypatch):
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        GuardedClient(LOCAL, resolver=resolver).fetch("GET", receiver.url, LIMITS)
    assert proxy.requests == []
    assert len(receiver.requests) == 1


def test_a_body_is_read_up_to_its_cap():
    with receiving(lambda _: (200, {}, b"x" * 50_000)) as receiver:
        answer = GuardedClient(LOCAL, resolver=resolver).fetch("GET", receiver.url, LIMITS)
    assert (len(answer.body), answer.ending) == (20_000, Ending.CAPPED)


def test_a_body_that_breaks_off_says_so():
    with receiving(lambda _: (200, {"Content-Length": "50"}, b"half")) as receiver:
        answer = GuardedClient(LOCAL, resolver=resolver).fetch("GET", receiver.url, LIMITS)
    assert (answer.body, answer.ending) == (b"half", Ending.BROKEN)


def _endless_headers(peer):
    while True:
        peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def test_a_peer_cannot_send_for_ever_before_its_answer():
    with raw(_endless_headers) as port, pytest.raises(UrlFetchFailed):
        GuardedClient(LOCAL, resolver=resolver).fetch("GET", f"http://127.0.0.1:{port}/", LIMITS)


SLOW = {
    "headers": (dripping(b"HTTP/1.1 200 OK\r\nX-A: "), "http"),
    "silence": (lambda peer: time.sleep(20), "http"),
    "handshake": (dripping(b"\x16\x03\x03\x40\x00"), "https"),
    "name": (None, "http"),
}


@pytest.mark.parametrize("what", SLOW)
def test_a_slow_peer_ends_at_the_deadline(what):
    behave, scheme = SLOW[what]
    client = GuardedClient(
        LOCAL, resolver=(lambda *_: time.sleep(20)) if what == "name" else resolver
    )
    limits = FetchLimits(total_s=1.0, connect_s=0.7, body_bytes=100)
    with raw(behave or _endless_headers) as port:
        began = time.monotonic()
        with pytest.raises(UrlFetchFailed):
            client.fetch("GET", f"{scheme}://slow.localhost:{port}/", limits)
    assert time.monotonic() - began < 10


def test_a_dripping_body_ends_at_the_deadline_with_its_status():
    with raw(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")) as port:
        answer = GuardedClient(LOCAL, resolver=resolver).fetch(
            "GET",
            f"http://127.0.0.1:{port}/",
            FetchLimits(total_s=1, connect_s=1, body_bytes=20_000),
        )
    assert (answer.status, answer.ending) == (200, Ending.LATE)
    assert answer.body


def test_a_peer_that_takes_no_bytes_ends_at_the_deadline():
    with raw(lambda peer: time.sleep(20)) as port, pytest.raises(UrlFetchFailed):
        GuardedClient(LOCAL, resolver=resolver).fetch(
            "POST",
            f"http://127.0.0.1:{port}/",
            FetchLimits(total_s=1, connect_s=1, body_bytes=1),
            content=b"x" * (64 << 20),
        )


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = f"-subj /CN=x.localhost -days 2 -keyout {key} -out {certificate}"
    options += " -addext subjectAltName=DNS:x.localhost"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *options.split()],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def behave(peer):
        with context.wrap_socket(peer, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with raw(behave) as port:
        url = f"https://x.localhost:{port}/"
        with pytest.raises(UrlFetchFailed, match="certificate is not valid"):
            GuardedClient(LOCAL, resolver=resolver).fetch("GET", url, LIMITS)
        trusting = ssl.create_default_context(cafile=str(certificate))
        assert (
            GuardedClient(LOCAL, resolver=resolver, tls=trusting).fetch("GET", url, LIMITS).body
            == b"ok"
        )
        other = f"https://y.localhost:{port}/"
        with pytest.raises(UrlFetchFailed, match="certificate is not valid"):
            GuardedClient(LOCAL, resolver=resolver, tls=trusting).fetch("GET", other, LIMITS)
        settings = Settings(
            allow_nets="127.0.0.0/8", allow_ports="1-65535", ca_file=str(certificate)
        )
        built = GuardedClient.build(settings)
        built._resolver = resolver
        assert built.fetch("GET", url, LIMITS).body == b"ok"


_UNDER_GEVENT = """
from gevent import monkey; monkey.patch_all()
import sys, time, gevent
from shared.addresses import Policy
from shared.errors import UrlFetchFailed
from shared.outbound.client import FetchLimits, GuardedClient
ticks = []
def tick():
    while True:
        ticks.append(1); gevent.sleep(0.01)
gevent.spawn(tick)
client = GuardedClient(Policy.parse("127.0.0.0/8", "1-65535"))
for url in sys.argv[1:]:
    began = time.monotonic()
    try:
        client.fetch("GET", url, FetchLimits(1.0, 0.7, 100))
    except UrlFetchFailed:
        pass
    else:
        sys.exit("no deadline")
    assert time.monotonic() - began < 10, url
assert len(ticks) > 20, len(ticks)
"""


def test_under_gevent_a_deadline_holds_and_others_go_on():
    with raw(dripping(b"HTTP/1.1 200")) as plain, raw(dripping(b"\x16\x03\x03\x40\x00")) as secure:
        urls = [f"http://localhost:{plain}/", f"https://localhost:{secure}/"]
        done = subprocess.run(
            [sys.executable, "-c", _UNDER_GEVENT, *urls],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr


def test_many_threads_share_one_client():
    with receiving() as receiver:
        client = GuardedClient(LOCAL)
        threads = [
            threading.Thread(target=client.fetch, args=("GET", receiver.url, LIMITS))
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(receiver.requests) == 20
