from __future__ import annotations

import base64
import json

from shared import webhooks

#: The vector of the specification.
VECTOR = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_vector_of_the_specification():
    signature = webhooks.sign_message(
        VECTOR, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_has_32_random_bytes_and_its_hint_tells_four_characters():
    secret = webhooks.new_secret()
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != webhooks.new_secret()
    assert webhooks.mask_secret(secret) == "whsec_…" + secret[-4:]


def test_a_body_above_20_kb_is_thin_by_bytes_and_not_by_characters():
    job = {"id": "job_1", "status": "succeeded", "urls": {"result": "/r"}, "output": "图" * 7000}
    message = json.loads(webhooks.build_message("job.succeeded", "now", job))
    assert message["data"] == {
        "id": "job_1",
        "status": "succeeded",
        "urls": {"result": "/r"},
        "thin": True,
    }
    whole = json.loads(
        webhooks.build_message("job.succeeded", "now", job | {"output": "图" * 6000})
    )
    assert whole["data"]["output"] == "图" * 6000


def test_half_a_character_is_told_in_json():
    assert "\\ud83d" in webhooks.build_message("t", "now", {"id": "\ud83d"})
