"""A write whose answer is lost: it is made once, and the caller hears what became of it."""

from __future__ import annotations

import itertools
import signal
import threading
import time

import pytest
import redis
from redis.commands.core import Script

from shared.errors import NotFound, OutcomeUnknown, StoreUnavailable
from shared.jobs import JobInput
from shared.jobs.image import StoredImage
from shared.settings import Settings
from shared.store import NewJob, Store, failures, keys
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.access.api_key_types import ApiKeyError, KeyTerms
from shared.store.session_store import SessionStore
from shared.store.uploads.image_store import ImageStore
from shared.store.webhooks.delivery_store import DeliveryStore
from shared.webhooks import Webhook
from tests.chaos.proxy import proxied

#: Far below the seconds for which answers are lost here.
TIMEOUT_S = 0.3
LOST_S = 0.8
IMAGE = StoredImage("img_" + "a" * 64, b"png", 4, 4, (4, 4), "PNG")
HOOK = Webhook("http://127.0.0.1:9/x", "http://127.0.0.1:9")


class Desk:
    """The stores of a gateway, behind a proxy that can lose answers."""

    def __init__(self, proxy):
        self._proxy = proxy
        self.settings = Settings(redis_url=proxy.url, redis_timeout_s=TIMEOUT_S)
        self.store = Store(self.settings)
        self.images = ImageStore(self.settings)
        self.deliveries = DeliveryStore(self.settings, self.store.redis)

    def add(self, **fields):
        return self.store.add(NewJob("t", JobInput(prompt="?"), **fields)).doorbell.job_id

    def without_answers(self, write):
        """Return what `write` returns while answers on open connections are lost."""
        losing = threading.Thread(target=self._proxy.lose_answers, args=(LOST_S,))
        losing.start()
        time.sleep(0.1)
        try:
            return write()
        finally:
            losing.join()


@pytest.fixture
def desk(redis_server):
    with proxied(redis_server.port) as proxy:
        made = Desk(proxy)
        # open connections and load scripts
        made.store.erase(made.add(), "t")
        made.images.put("t", IMAGE)
        made.deliveries.secret("t", "sign")
        yield made


def test_a_submission_whose_answer_is_lost_is_stored_once_and_accepted(desk):
    job = NewJob("t", JobInput(prompt="?"))
    stored = desk.without_answers(lambda: desk.store.add(job))
    assert stored.doorbell.job_id == job.id
    assert not stored.replayed
    assert desk.store.load().depths["default"] == 1


def test_a_cancel_whose_answer_is_lost_says_canceled(desk):
    job_id = desk.add()
    assert desk.without_answers(lambda: desk.store.cancel(job_id, "t")) == "canceled"


def test_erasing_a_job_twice_over_a_lost_answer_is_no_error(desk):
    job_id = desk.add()
    row = desk.store.get(job_id, "t")
    args = (job_id, "t", 60_000)
    script = desk.store._scripts["erase"]
    assert [script(keys=[], args=args) for _ in range(2)] == [1, 1]
    assert script(keys=[], args=(job_id, "other", 60_000)) == 0
    assert row.id == job_id


def test_an_image_whose_upload_loses_its_answer_is_stored(desk):
    desk.without_answers(lambda: desk.images.put("t", IMAGE, uploaded=True))
    assert desk.images.header("t", IMAGE.id).bytes == len(IMAGE.png)


def test_a_secret_whose_rotation_is_sent_twice_keeps_its_predecessor_and_is_shown(desk):
    old = desk.deliveries.secret("t", "show")
    assert old.fresh
    rotated = desk.without_answers(lambda: desk.deliveries.secret("t", "rotate"))
    assert rotated.fresh
    assert rotated.secret != old.secret
    assert rotated.previous == old.secret
    assert not desk.deliveries.secret("t", "show").fresh


def test_a_secret_that_nobody_has_seen_is_shown_after_a_lost_answer(desk):
    assert desk.without_answers(lambda: desk.deliveries.secret("t", "show")).fresh
    assert not desk.deliveries.secret("t", "show").fresh


def test_a_test_message_whose_answer_is_lost_is_sent_once(desk):
    desk.deliveries.try_out(HOOK, "t")
    before = desk.store.redis.zcard(
        keys.ENDPOINT + HOOK.endpoint_id("t") + "-test" + keys.ENDPOINT_DUE
    )
    desk.without_answers(lambda: desk.deliveries.try_out(HOOK, "t"))
    due = keys.ENDPOINT + HOOK.endpoint_id("t") + "-test" + keys.ENDPOINT_DUE
    assert desk.store.redis.zcard(due) == before + 1


@pytest.fixture
def every_second_answer_is_lost(monkeypatch):
    """Of scripts and pipelines; what they do is done."""

    def lose(owner, name):
        send, number = getattr(owner, name), itertools.count()

        def send_lossily(*args, **options):
            answer = send(*args, **options)
            if next(number) % 2 == 0:
                raise redis.TimeoutError("the answer was lost")
            return answer

        monkeypatch.setattr(owner, name, send_lossily)

    return lambda: (lose(Script, "__call__"), lose(redis.client.Pipeline, "execute"))


def test_a_conversation_that_is_deleted_over_lost_answers_leaves_no_image(
    desk, every_second_answer_is_lost
):
    row = desk.store.get(desk.add(session_id="talk"), "t")
    session = keys.session("t", "talk")
    desk.images.put("t", IMAGE)
    image = keys.image("t", IMAGE.id)
    client = desk.store.redis
    # as if a turn of it showed the image, and nobody else needed it
    client.sadd(session + keys.SESSION_IMAGES, image)
    client.zadd(image + keys.IMAGE_USERS, {session: row.created_ms + 60_000})
    sessions = SessionStore(client)
    every_second_answer_is_lost()
    sessions.delete("t", "talk")
    assert not client.exists(image)
    assert list(client.scan_iter(session + "*")) == []
    with pytest.raises(NotFound):
        sessions.delete("t", "talk")


def test_a_key_whose_making_and_changes_lose_their_answers_is_made_once(
    desk, every_second_answer_is_lost
):
    api_keys = ApiKeyStore(desk.store.redis)
    every_second_answer_is_lost()
    made, secret = api_keys.create("one", KeyTerms({"requests": 7}))
    assert (made.limits["requests"], [end for end, _ in made.secrets]) == (7, [secret[-4:]])
    assert [key.id for key in api_keys.all()] == [made.id]
    with pytest.raises(ApiKeyError, match="already exists"):
        api_keys.create("one", KeyTerms())
    assert [key.id for key in api_keys.all()] == [made.id]
    second = api_keys.rotate("one", 60)
    assert [end for end, _ in api_keys.get("one").secrets] == [secret[-4:], second[-4:]]
    api_keys.change("one", KeyTerms({"requests": 9}, 3))
    assert (api_keys.get("one").limits["requests"], api_keys.get("one").weight) == (9, 3)
    revoked = api_keys.revoke("one")
    assert revoked.revoked_ms
    assert revoked.secrets == []
    with pytest.raises(ApiKeyError, match="revoked"):
        api_keys.rotate(made.id, 60)


def test_what_cannot_be_known_is_said_with_the_id_of_the_job(own_redis, monkeypatch):
    monkeypatch.setattr(failures, "CONFIRM_S", 0.5)
    store = Store(Settings(redis_url=own_redis.url, redis_timeout_s=TIMEOUT_S))
    store.add(NewJob("t", JobInput(prompt="?")))
    job = NewJob("t", JobInput(prompt="unsure"))
    own_redis.signal(signal.SIGSTOP)
    with pytest.raises(OutcomeUnknown) as caught:
        store.add(job)
    own_redis.signal(signal.SIGCONT)
    assert caught.value.extra == {"job_id": job.id}
    assert caught.value.status == 504
    assert "may or may not" in caught.value.detail
    # it was in Redis' socket all the time
    assert store.get(job.id, "t").id == job.id


def test_what_was_never_sent_is_refused_for_certain(own_redis):
    store = Store(Settings(redis_url=own_redis.url, redis_timeout_s=TIMEOUT_S))
    own_redis.kill()
    with pytest.raises(StoreUnavailable) as caught:
        store.add(NewJob("t", JobInput(prompt="?")))
    assert not isinstance(caught.value, OutcomeUnknown)
