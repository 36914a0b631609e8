"""Request bodies with random damage always get a response with a code and a hint."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.images.image_bytes import quarters, saved

PNG = saved(quarters(), "PNG")
TEXT = json.dumps(
    {
        "prompt": "What does it say? 图中写了什么?",
        "images": ["data:image/png;base64," + base64.b64encode(PNG).decode()],
        "max_new_tokens": 8,
        "stop": ["\n"],
        "metadata": {"order": "42"},
        "deadline_s": 60.5,
    }
).encode()
_PART = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
FORM = (
    _PART % (b"prompt", b"", b"What?")
    + _PART % (b"image", b'; filename="a.png"\r\nContent-Type: image/png', PNG)
    + _PART % (b"max_new_tokens", b"", b"8")
    + b"--b--\r\n"
)
BODIES = {"application/json": TEXT, "multipart/form-data; boundary=b": FORM}
_AT = st.floats(0, 1, exclude_max=True)
#: Where, how many bytes go, and what comes instead.
CHANGES = st.lists(
    st.tuples(_AT, st.integers(0, 40), st.binary(max_size=12)), min_size=1, max_size=6
)


def _changed(body: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for share, removed, new in changes:
        at = int(share * len(body))
        body = body[:at] + new + body[at + removed :]
    return body


@pytest.mark.parametrize("kind", sorted(BODIES))
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/estimate", "/v1/images"])
def test_a_mutated_body_always_ends_typed(workerless, path, kind):
    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(changes=CHANGES)
    def check(changes: list[tuple[float, int, bytes]]) -> None:
        body = _changed(BODIES[kind], changes)
        answer = workerless.http.post(path, content=body, headers={"Content-Type": kind})
        assert answer.status_code < 500, (answer.text, body)
        if answer.status_code >= 400:
            problem = answer.json()
            assert problem["status"] == answer.status_code
            assert problem["code"]
            assert problem["hint"]

    check()
