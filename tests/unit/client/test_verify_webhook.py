"""Verification of webhooks by receivers."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest
from standardwebhooks import Webhook

from shared import webhooks
from sightline import WebhookError, verify_webhook
from sightline.errors import BadPayload, BadSecret, BadSignature, BadTimestamp, MissingHeader

SECRET = webhooks.new_secret()
NOW = 1_790_000_000
BODY = webhooks.build_message(
    "job.succeeded", "2026-09-21T13:33:20.000Z", {"id": "job_1", "ü": "图😀"}
).encode()


def signed(*keys, body=BODY, at=NOW):
    return webhooks.sign_headers(keys or (SECRET,), "dlv_1", at, body)


def verify(body=BODY, headers=None, secret=SECRET, **options):
    return verify_webhook(body, headers or signed(), secret, **{"now": NOW} | options)


def test_a_message_of_the_service_is_told_whole():
    event = verify()
    assert (event.id, event.type) == ("dlv_1", "job.succeeded")
    assert event.timestamp == "2026-09-21T13:33:20.000Z"
    assert event.data == {"id": "job_1", "ü": "图😀"}
    assert verify(BODY.decode()) == event
    titled = {name.title(): value for name, value in signed().items()}
    assert verify(headers=titled) == event


def test_a_message_signed_by_the_official_library_is_taken():
    moment = dt.datetime.fromtimestamp(NOW, tz=dt.UTC)
    headers = signed() | {"webhook-signature": Webhook(SECRET).sign("dlv_1", moment, BODY.decode())}
    assert verify(headers=headers).id == "dlv_1"


def test_during_a_rotation_either_side_may_know_two_secrets():
    old, new, other = (webhooks.new_secret() for _ in range(3))
    for secret in (old, new, [other, old], (new, other)):
        verify(headers=signed(new, old), secret=secret)
    verify(headers=signed(old), secret=[new, old])
    with pytest.raises(BadSignature):
        verify(headers=signed(new, old), secret=other)


@pytest.mark.parametrize(
    "headers",
    [
        signed() | {"webhook-id": "dlv_2"},
        signed() | {"webhook-timestamp": str(NOW + 1)},
        signed() | {"webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")},
        signed() | {"webhook-signature": "v1,"},
        signed() | {"webhook-signature": "v1,图"},
        signed() | {"webhook-signature": "nonsense"},
        signed(webhooks.new_secret()),
    ],
)
def test_what_was_changed_or_signed_by_others_is_refused(headers):
    with pytest.raises(BadSignature):
        verify(headers=headers)


def test_a_changed_body_is_refused_even_if_it_means_the_same():
    with pytest.raises(BadSignature):
        verify(json.dumps(json.loads(BODY)))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name):
    with pytest.raises(MissingHeader, match=name):
        verify(headers={key: value for key, value in signed().items() if key != name})


@pytest.mark.parametrize("age", [-301, 301])
def test_a_message_out_of_time_is_refused(age):
    with pytest.raises(BadTimestamp):
        verify(headers=signed(at=NOW - age))
    verify(headers=signed(at=NOW - age), tolerance=dt.timedelta(seconds=301))


@pytest.mark.parametrize("moment", ["", "yesterday", "1e9", "-5", "١٢٣", "9" * 400, "1.5"])
def test_a_time_that_is_none_is_refused_and_nothing_else_is_raised(moment):
    with pytest.raises(WebhookError):
        verify(headers=signed() | {"webhook-timestamp": moment})


@pytest.mark.parametrize("body", [b"[]", b"1", b'{"type": "x"}', b"\xff", b"{"])
def test_a_signed_message_of_no_shape_is_refused(body):
    with pytest.raises(BadPayload):
        verify(body, signed(body=body))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_*", [], ["whsec_!"]])
def test_a_broken_secret_is_the_receivers_own_fault_and_stays_unsaid(secret):
    with pytest.raises(BadSecret) as raised:
        verify(secret=secret)
    assert "!" not in str(raised.value)


def test_a_secret_may_come_without_its_prefix():
    bare = base64.b64encode(b"k" * 24).decode()
    verify(headers=signed("whsec_" + bare), secret=bare)
