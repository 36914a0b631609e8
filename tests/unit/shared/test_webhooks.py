from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time

import httpx
import openai
import pytest
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret
from standardwebhooks import Webhook, WebhookVerificationError

from shared import webhooks

#: The vector of the specification.
VECTOR = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"type": "job.succeeded", "data": {"ü": "图😀"}}, ensure_ascii=False).encode()


def signed(*keys, body=BODY):
    return webhooks.signed_headers(keys, "dlv_1", int(time.time()), body)


def by_standardwebhooks(secret, headers, body):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def by_openai(secret, headers, body):
    client = openai.OpenAI(api_key="x", webhook_secret=secret)
    try:
        client.webhooks.verify_signature(body.decode(), headers)
    except openai.InvalidWebhookSignatureError:
        return False
    return True


def by_replicate(secret, headers, body):
    request = httpx.Request("POST", "http://x", headers=headers, content=body)
    try:
        Webhooks.validate(request, secret=WebhookSigningSecret(key=secret))
    except InvalidSignatureError:
        return False
    return True


VERIFIERS = [by_standardwebhooks, by_openai, by_replicate]


def test_the_vector_of_the_specification():
    told = webhooks.signature(
        VECTOR, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("accepts", VERIFIERS)
def test_verifiers_in_use_accept_our_signature_and_no_other(accepts):
    secret = webhooks.new_secret()
    headers = signed(secret)
    assert accepts(secret, headers, BODY)
    assert not accepts(secret, headers, BODY.replace(b"succeeded", b"failed"))
    assert not accepts(webhooks.new_secret(), headers, BODY)
    assert not accepts(secret, headers | {"webhook-id": "dlv_2"}, BODY)


@pytest.mark.parametrize("accepts", VERIFIERS)
def test_during_a_rotation_both_secrets_verify(accepts):
    new, old = webhooks.new_secret(), webhooks.new_secret()
    headers = signed(new, old)
    assert accepts(new, headers, BODY)
    assert accepts(old, headers, BODY)


def test_a_secret_has_32_random_bytes_and_its_hint_tells_four_characters():
    secret = webhooks.new_secret()
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != webhooks.new_secret()
    assert webhooks.hint(secret) == "whsec_…" + secret[-4:]


def test_a_body_above_20_kb_is_thin_by_bytes_and_not_by_characters():
    job = {"id": "job_1", "status": "succeeded", "urls": {"result": "/r"}, "output": "图" * 7000}
    told = json.loads(webhooks.message("job.succeeded", "now", job))
    assert told["data"] == {
        "id": "job_1",
        "status": "succeeded",
        "urls": {"result": "/r"},
        "thin": True,
    }
    whole = json.loads(webhooks.message("job.succeeded", "now", job | {"output": "图" * 6000}))
    assert whole["data"]["output"] == "图" * 6000


def test_half_a_character_is_told_in_json():
    assert "\\ud83d" in webhooks.message("t", "now", {"id": "\ud83d"})


_NODE = """
const {createHmac} = require('crypto');
const {secret, headers, body} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const key = Buffer.from(secret.slice(6), 'base64');
const text = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
const wanted = 'v1,' + createHmac('sha256', key).update(text).digest('base64');
process.exit(headers['webhook-signature'].split(' ').includes(wanted) ? 0 : 1);
"""


def test_javascript_comes_to_the_same_signature():
    if shutil.which("node") is None:
        assert not os.environ.get("CI"), "no node on this machine; the test needs it"
        pytest.skip("no node on this machine")
    secret = webhooks.new_secret()
    told = {"secret": secret, "headers": signed(secret), "body": BODY.decode()}
    done = subprocess.run(["node", "-e", _NODE], input=json.dumps(told).encode(), check=False)
    assert done.returncode == 0
