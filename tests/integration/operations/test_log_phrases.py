"""Phrases that operators search the logs for."""

from __future__ import annotations

import socket
import struct

from tests.support.harness import eventually
from tests.support.images.image_bytes import plain_png


def test_a_damaged_image_and_too_many_tokens_are_logged_in_the_words_people_search_for(served):
    png = plain_png("white", 2048, 2048)
    image = served.http.post("/v1/images", files={"image": png}).json()["id"]
    long = {"prompt": "?", "images": [image] * 8, "detail": "high"}
    assert served.http.post("/v1/jobs", json=long).status_code == 422
    eventually(lambda: "Input too long" in served.gateway.logs())
    broken = bytearray(png)
    broken[60:64] = b"\xff\xff\xff\xff"
    assert served.http.post("/v1/images", files={"image": bytes(broken)}).status_code == 422
    eventually(lambda: "Image decode failed" in served.gateway.logs())


def test_a_client_that_resets_its_connection_is_logged(served):
    job = served.submit(max_new_tokens=500)
    with socket.create_connection(("127.0.0.1", served.http.base_url.port)) as client:
        # closing with a linger of nothing sends a reset instead of an end
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(f"GET {job['urls']['events']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        stream = b""
        while b"event: " not in stream:
            stream += client.recv(4096)
    eventually(lambda: "Connection reset by peer" in served.gateway.logs())
    served.http.post(job["urls"]["cancel"])
