"""Our signatures before the verifiers that receivers use, in Python and in JavaScript."""

from __future__ import annotations

import json
import subprocess
import time

import httpx
import openai
import pytest
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret
from standardwebhooks import Webhook, WebhookVerificationError

from shared import webhooks
from sightline import WebhookError, verify_webhook
from tests.support import tools

BODY = webhooks.build_message(
    "job.succeeded", "2026-01-31T00:00:00.000Z", {"id": "job_1", "object": "event", "ü": "图😀"}
).encode()


def signed(*keys, body=BODY):
    return webhooks.sign_headers(keys, "dlv_1", int(time.time()), body)


def by_standardwebhooks(secret, headers, body):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def by_openai(secret, headers, body):
    client = openai.OpenAI(api_key="x", webhook_secret=secret)
    try:
        event = client.webhooks.unwrap(body.decode(), headers)
    except openai.InvalidWebhookSignatureError:
        return False
    assert event.type == "job.succeeded"
    return True


def by_replicate(secret, headers, body):
    request = httpx.Request("POST", "http://x", headers=headers, content=body)
    try:
        Webhooks.validate(request, secret=WebhookSigningSecret(key=secret))
    except InvalidSignatureError:
        return False
    return True


def by_sightline(secret, headers, body):
    try:
        verify_webhook(body, headers, secret)
    except WebhookError:
        return False
    return True


@pytest.fixture(scope="module")
def official_javascript():
    command = [tools.node(), str(tools.NODE / "verify.mjs")]

    def accepts(secret, headers, body):
        line = json.dumps({"secret": secret, "headers": headers, "body": body.decode()})
        done = subprocess.run(command, input=line.encode(), capture_output=True, check=True)
        verdict = json.loads(done.stdout)
        # a refusal for another reason would hide behind a false signature
        assert verdict["accepted"] or verdict["why"] == "WebhookVerificationError", verdict
        assert not verdict["accepted"] or verdict["message"] == json.loads(body)
        return verdict["accepted"]

    return accepts


@pytest.fixture(
    params=[by_standardwebhooks, by_openai, by_replicate, by_sightline, "official_javascript"],
    ids=["standardwebhooks", "openai", "replicate", "sightline", "javascript"],
)
def accepts(request):
    if callable(request.param):
        return request.param
    return request.getfixturevalue(request.param)


def test_verifiers_in_use_accept_our_signature_and_no_other(accepts):
    secret = webhooks.new_secret()
    headers = signed(secret)
    assert accepts(secret, headers, BODY)
    assert not accepts(secret, headers, BODY.replace(b"succeeded", b"failed"))
    assert not accepts(webhooks.new_secret(), headers, BODY)
    assert not accepts(secret, headers | {"webhook-id": "dlv_2"}, BODY)


def test_during_a_rotation_both_secrets_verify(accepts):
    new, old = webhooks.new_secret(), webhooks.new_secret()
    headers = signed(new, old)
    assert accepts(new, headers, BODY)
    assert accepts(old, headers, BODY)
    assert not accepts(webhooks.new_secret(), headers, BODY)
