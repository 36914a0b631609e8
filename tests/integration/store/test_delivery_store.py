"""Deliveries in a real Redis without processes: leases, fences and what an answer means."""

from __future__ import annotations

import time

import pytest

from shared.addresses import Policy
from shared.errors import NotFound
from shared.jobs import JobInput, JobStatus
from shared.outbound.client import GuardedClient
from shared.settings import Settings
from shared.store import NewJob, Store, keys
from shared.store.webhooks.delivery_store import DeliveryStore
from shared.webhooks import Webhook, WebhookEvent
from tests.support.servers.receivers import receiving
from worker.courier.delivery import DeliverySender, retry_after_s

LOCAL = GuardedClient(Policy.parse("127.0.0.0/8", "1-65535"))
BEGIN = {"webhook_schedule_s": (0, 0, 0), "webhook_timeout_s": 0.4, "webhook_grace_s": 0.2}


class Desk:
    """A store, its deliveries and a courier's hands."""

    def __init__(self, redis, client=LOCAL, **options):
        self.settings = Settings(redis_url=redis.url, **BEGIN | options)
        self.store = Store(self.settings)
        self.redis = self.store.redis
        self.deliveries = DeliveryStore(self.settings, self.redis)
        self.hands = DeliverySender(self.store, self.deliveries, client, self.settings)

    def ended(self, url, *events, tenant="t"):
        """Run a job to its end; return its id."""
        hook = Webhook(url, url.rpartition("/")[0], events or (WebhookEvent.COMPLETED,))
        job = NewJob(tenant=tenant, input=JobInput(prompt="?"), webhook=hook)
        job_id = self.store.add(job).doorbell.job_id
        claim = self.store.claim(job_id, "w")
        self.store.report(job_id, claim.owner, progress={"percent": 1})
        assert self.store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, {})
        return job_id

    def deliver(self):
        """Attempt all that is due, once; return how many."""
        batch = self.deliveries.take(100)
        for one in batch.deliveries:
            settlement = self.hands.attempt(one, batch.owner)
            assert self.deliveries.settle(one, batch.owner, settlement)
        return len(batch.deliveries)

    def lose_leases(self):
        """Let the leases of all deliveries that couriers hold run out."""
        for held in list(self.redis.scan_iter(f"{keys.ENDPOINT}*{keys.ENDPOINT_HELD}")):
            endpoint = held.removeprefix(keys.ENDPOINT).removesuffix(keys.ENDPOINT_HELD)
            self.redis.zadd(held, dict.fromkeys(self.redis.zrange(held, 0, -1), 1))
            self.redis.zadd(keys.DELIVERIES, {endpoint: 1})

    def deliveries_of(self, job_id):
        return self.deliveries.of_job(job_id)


@pytest.fixture
def desk(redis_server):
    made = Desk(redis_server)
    yield made
    made.redis.close()


@pytest.fixture
def patient_desk(redis_server):
    """One whose leases end when the test says so."""
    made = Desk(redis_server, webhook_timeout_s=60)
    yield made
    made.redis.close()


def test_the_record_is_there_as_soon_as_the_job_has_ended(desk):
    job_id = desk.ended("http://127.0.0.1:1/")
    ((delivery, attempts),) = desk.deliveries_of(job_id)
    assert (delivery.status, delivery.type, attempts) == ("pending", "job.succeeded", [])
    assert desk.redis.zcard(keys.DELIVERIES) == 1
    assert desk.redis.llen(keys.DELIVERIES_BELL) == 1


def test_a_courier_that_dies_between_any_two_steps_loses_nothing(patient_desk):
    desk = patient_desk
    with receiving() as receiver:
        job_id = desk.ended(receiver.url + "/")
        first = desk.deliveries.take(10)
        assert desk.deliveries.take(10).deliveries == []
        desk.lose_leases()
        second = desk.deliveries.take(10)
        frozen = desk.deliveries.freeze(second.deliveries[0], second.owner, '{"first": 1}')
        assert frozen == '{"first": 1}'
        desk.lose_leases()
        third = desk.deliveries.take(10)
        settlement = desk.hands.attempt(third.deliveries[0], third.owner)
        desk.lose_leases()
        fourth = desk.deliveries.take(10)
        assert [one.id for one in fourth.deliveries] == [one.id for one in first.deliveries]
        # the third has sent, but speaks too late
        assert not desk.deliveries.settle(third.deliveries[0], third.owner, settlement)
        settlement = desk.hands.attempt(fourth.deliveries[0], fourth.owner)
        assert desk.deliveries.settle(fourth.deliveries[0], fourth.owner, settlement)
    assert [request.body for request in receiver.requests] == [b'{"first": 1}'] * 2
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert desk.deliveries_of(job_id)[0][0].status == "delivered"
    assert desk.redis.zcard(keys.DELIVERIES) == 0


def test_a_late_courier_sends_nothing(patient_desk):
    desk = patient_desk
    with receiving() as receiver:
        desk.ended(receiver.url + "/")
        late = desk.deliveries.take(1)
        desk.lose_leases()
        desk.deliveries.take(1)
        assert desk.hands.attempt(late.deliveries[0], late.owner) is None
    assert receiver.requests == []


def test_an_erased_job_is_not_told_even_by_a_courier_that_has_taken_it(desk):
    with receiving() as receiver:
        job_id = desk.ended(receiver.url + "/")
        batch = desk.deliveries.take(1)
        desk.store.erase(job_id, "t")
        assert desk.hands.attempt(batch.deliveries[0], batch.owner) is None
    assert receiver.requests == []
    assert [key for key in desk.redis.keys("*") if "dlv_" in key] == []
    assert desk.redis.zcard(keys.DELIVERIES) == 0


def test_a_job_that_lived_shorter_than_its_message_waited_is_still_told(desk):
    with receiving() as receiver:
        job_id = desk.ended(receiver.url + "/")
        desk.redis.delete(keys.job(job_id))
        assert desk.deliver() == 1
    assert job_id.encode() in receiver.requests[0].body
    assert b'"status":"succeeded"' in receiver.requests[0].body


def test_a_name_that_leads_inside_fails_for_good(redis_server):
    inward = GuardedClient(Policy(), resolver=lambda *_: ["8.8.8.8", "10.0.0.1"])
    desk = Desk(redis_server, inward)
    job_id = desk.ended("http://rebinding.example/")
    desk.deliver()
    ((delivery, (attempt,)),) = desk.deliveries_of(job_id)
    assert (delivery.status, delivery.reason) == ("failed", "url_not_allowed")
    assert attempt.status is None
    assert "10.0.0.1" not in attempt.error
    desk.redis.close()


def test_no_more_than_its_cap_of_one_endpoint_is_under_way(desk):
    for _ in range(10):
        desk.ended("http://127.0.0.1:1/")
    desk.ended("http://127.0.0.1:2/")
    deliveries = desk.deliveries.take(100).deliveries
    assert sorted(one.url[-2] for one in deliveries) == ["1"] * 4 + ["2"]
    assert desk.deliveries.take(100).deliveries == []


def test_the_same_host_of_two_tenants_is_two_endpoints(desk):
    for tenant in ("a", "b"):
        for _ in range(6):
            desk.ended("http://127.0.0.1:1/", tenant=tenant)
    deliveries = desk.deliveries.take(100).deliveries
    assert sorted(one.tenant for one in deliveries) == ["a"] * 4 + ["b"] * 4


def test_an_open_breaker_lets_one_probe_through_and_closes_on_success(redis_server):
    desk = Desk(redis_server, webhook_breaker_s=0.3)
    good = []
    with receiving(lambda _: (200 if good else 503, {}, b"")) as receiver:
        for _ in range(12):
            desk.ended(receiver.url + "/")
        assert desk.deliver() == 4
        assert desk.deliver() == 4
        assert desk.deliver() == 0
        assert desk.deliveries.endpoints("t")[0].failures == 8
        time.sleep(2.5)
        good.append(1)
        assert desk.deliver() == 1
        assert desk.deliver() == 4
    assert desk.deliveries.endpoints("t")[0].open_until is None
    desk.redis.close()


def test_a_receiver_that_says_no_quickly_opens_no_breaker(desk):
    with receiving(lambda _: (400, {}, b"")) as receiver:
        for _ in range(12):
            desk.ended(receiver.url + "/")
        assert [desk.deliver() for _ in range(3)] == [4, 4, 4]


def test_progress_is_told_one_at_a_time_and_not_after_the_end(desk):
    job_id = desk.ended("http://127.0.0.1:1/", *WebhookEvent)
    assert [one.type for one, _ in desk.deliveries_of(job_id)] == ["job.started", "job.succeeded"]


def test_a_poisoned_or_expired_job_is_told_too(redis_server):
    desk = Desk(redis_server)
    hook = Webhook("http://127.0.0.1:1/", "http://127.0.0.1:1")
    job = NewJob(tenant="t", input=JobInput(prompt="?"), webhook=hook, deadline_s=0.05)
    job_id = desk.store.add(job).doorbell.job_id
    time.sleep(0.1)
    desk.store.reap()
    assert [one.type for one, _ in desk.deliveries_of(job_id)] == ["job.expired"]
    desk.redis.close()


def test_another_tenant_sees_and_replays_nothing(desk):
    job_id = desk.ended("http://127.0.0.1:1/")
    ((delivery, _),) = desk.deliveries_of(job_id)
    for call in (desk.deliveries.get, desk.deliveries.replay):
        with pytest.raises(NotFound):
            call(delivery.id, "stranger")
    assert desk.deliveries.endpoints("stranger") == []
    assert desk.deliveries.secret("stranger", "sign") != desk.deliveries.secret("t", "sign")


def test_the_old_secret_stops_signing_after_the_overlap(redis_server):
    desk = Desk(redis_server, webhook_rotation_s=1)
    old = desk.deliveries.secret("t", "show").secret
    new = desk.deliveries.secret("t", "rotate")
    assert new.keys == [new.secret, old]
    time.sleep(1.1)
    assert desk.deliveries.secret("t", "sign").keys == [new.secret]
    desk.redis.close()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("999999", 3600),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
        ("", 0),
    ],
)
def test_retry_after_is_honoured_within_bounds(header, seconds):
    # 2015-10-21T07:28:00Z
    assert retry_after_s({"retry-after": header}, now=1_445_412_480) == seconds
