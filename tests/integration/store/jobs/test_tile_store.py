"""Each transition of a long job, on a real Redis and without processes."""

from __future__ import annotations

import pytest

from shared.errors import NotFound
from shared.jobs import JobInput, JobStatus, TileInfo, TileOutcome, Tiling, TilingTask, Usage
from shared.jobs.image import StoredImage
from shared.jobs.row import JobRow
from shared.prediction.cost_model import Prediction, Stages
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.workload import Demand, HeldParts, WaitingJob
from shared.queue import broker_lists
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, Verdict, keys
from shared.store.fleet.forecasts import Forecasts
from shared.store.fleet.worker_registry import WorkerRegistry
from shared.store.jobs.events import EventReader, JobEvent
from shared.store.jobs.tile_store import NewTile, TileStore
from shared.store.uploads.image_store import ImageStore
from worker.engine.api import ModelInfo
from worker.jobs.tiled.steps import TiledSteps
from worker.jobs.upright import Upright
from worker.tiling import Tile, can_stream, unread_mark

TILING = Tiling(task=TilingTask.READ, budget=1 << 20, planned=4)


class Longs:
    """Long jobs whose tiles this test works on by hand."""

    def __init__(self, settings: Settings) -> None:
        self.store = Store(settings)
        self.tiles = TileStore(self.store)
        self.images = ImageStore(settings)
        info = ModelInfo("m", "r", 4096, "none")
        self.steps = TiledSteps(self.tiles, self.images, info, lambda: 100, Upright(frozenset()))

    def add(self, tenant: str = "t", *, strict: bool = False, **fields) -> str:
        tiling = TILING.model_copy(update={"strict": strict})
        job = NewJob(tenant, JobInput(prompt="read", tiling=tiling), **fields)
        return self.store.add(job).doorbell.job_id

    def claim(self, job_id: str) -> Claim:
        claim = self.store.claim(job_id, "w1")
        assert isinstance(claim, Claim), claim
        return claim

    def next(self) -> Claim:
        """Claim whoever's turn it is, as a worker does."""
        claim = self.store.claim_next("w1")
        assert isinstance(claim, Claim), claim
        return claim

    def live(self, infos: list[TileInfo]) -> list[bool]:
        return can_stream([Tile(box=info.box, **info.seam) for info in infos])

    def split(
        self, job_id: str, count: int = 4, *, room: int = 100, blank: int = -1, overlaps: int = -1
    ) -> list[str]:
        """Split a job and return the ids of the children that were queued."""
        claim = self.claim(job_id)
        infos = []
        for number in range(count):
            image = StoredImage(f"img_{number:064x}", b"png", 8, 8, (8, 8), "PNG")
            self.images.put(claim.row.tenant, image)
            overlap = 4 if number == overlaps else 0
            part = Tile(number, (0, 8 * number, 8, 8 * number + 8), "y", overlap)
            seam = {"order": number, "overlap": overlap}
            infos.append(TileInfo(id=image.id, box=part.box, mark=unread_mark(part), seam=seam))
        work = [
            NewTile(TileOutcome())
            if number == blank
            else NewTile(JobInput(prompt="read", images=(info.id,)), live)
            for number, (info, live) in enumerate(zip(infos, self.live(infos), strict=True))
        ]
        doorbells = self.tiles.split(claim, infos, work, together=False, room=room)
        assert doorbells is not None
        self.steps.stream_text(job_id)
        return [doorbell.job_id for doorbell in doorbells]

    def end(self, claim: Claim, text: str | None, *, room: int = 100) -> list[str]:
        """End a tile with a text, or with a gap."""
        outcome = TileOutcome(text=text) if text is not None else TileOutcome(gap=True)
        doorbells = self.tiles.finish(claim, outcome, room)
        assert doorbells is not None
        self.steps.stream_text(claim.row.parent)
        return [doorbell.job_id for doorbell in doorbells]

    def get(self, job_id: str) -> JobRow:
        return self.store.get(job_id, "t")

    def events(self, job_id: str) -> list[JobEvent]:
        return EventReader(self.store.redis, 1.0).read(job_id, 0)

    def streamed(self, job_id: str) -> list[tuple[str, object]]:
        """Return the text that was streamed, by tile, and where it began again."""
        return [
            (e.data["text"], e.data["tile"]) if e.type == "output.delta" else ("reset", None)
            for e in self.events(job_id)
            if e.type.startswith("output.")
        ]

    def queued(self) -> list[str]:
        return list(self.store.redis.zrange(keys.QUEUED, 0, -1))

    def leftovers(self, job_id: str) -> list[str]:
        """Return the keys of children and of what only a running long job needs."""
        redis = self.store.redis
        names = [key for key in redis.keys(keys.JOB + "*") if job_id not in key]
        names += [n for n in redis.hkeys(keys.job(job_id) + keys.JOB_TILES) if n[:4] != "out:"]
        return names + redis.keys(keys.LONG + "*") + redis.keys(keys.TILES_LIVE)

    def reusable_texts(self, job_id: str) -> list[str]:
        """Return what a repetition of the job would find read already."""
        return [outcome.text for _, outcome in self.tiles.read_finished(job_id)]


@pytest.fixture
def longs(settings) -> Longs:
    return Longs(settings)


def test_guesses_are_counted_beside_the_outcomes_which_older_workers_join(longs):
    job_id = longs.add()
    claims = [longs.claim(child) for child in longs.split(job_id, 3)]
    usage = Usage(prompt_tokens=9, completion_tokens=5, draft_tokens=4, accepted_tokens=3)
    for claim in claims[:2]:
        assert longs.tiles.finish(claim, TileOutcome(text="a", usage=usage), 100) is not None
    # the same call again: its first answer was lost on the way
    longs.tiles.finish(claims[1], TileOutcome(text="a", usage=usage), 100)
    longs.end(claims[2], None)
    drafts = longs.tiles.read_drafts(job_id)
    assert drafts == Usage(draft_tokens=8, accepted_tokens=6)
    outcomes = longs.tiles.read_outcomes(longs.get(job_id))
    assert [one.usage.completion_tokens for one in outcomes] == [5, 5, 0]
    stored = longs.store.redis.hget(keys.job(job_id) + keys.JOB_TILES, "out:0")
    assert "draft" not in stored
    assert longs.tiles.read_drafts(longs.add()) == Usage()


def test_a_tile_knows_what_those_before_it_say(longs):
    job_id = longs.add()
    claims = [longs.claim(child) for child in longs.split(job_id, 5)]
    for number in (0, 1, 2, 4):
        longs.end(claims[number], f"text {number}")
    assert longs.tiles.read_texts_before(claims[0].row) == []
    assert longs.tiles.read_texts_before(claims[1].row) == ["text 0"]
    assert longs.tiles.read_texts_before(claims[3].row) == ["text 2", "text 1", "text 0"]
    assert longs.tiles.read_texts_before(claims[4].row) == ["text 2", "text 0"]
    assert longs.tiles.read_texts_before(longs.get(job_id)) == []


def test_the_last_tiles_end_queues_the_merge_and_its_finish_ends_the_job(longs):
    job_id = longs.add()
    children = longs.split(job_id)
    claims = [longs.claim(child) for child in children]
    assert [claim.row.tile for claim in claims] == [0, 1, 2, 3]
    queued = [longs.end(claims[n], f"text {n}") for n in (2, 0, 3)]
    assert queued == [[], [], []]
    assert longs.end(claims[1], "text 1") == [job_id]
    merge = longs.claim(job_id)
    assert merge.row.phase == "merge"
    assert [o.text for o in longs.tiles.read_outcomes(merge.row)] == [f"text {n}" for n in range(4)]
    assert longs.store.finish(job_id, merge.owner, JobStatus.SUCCEEDED, {"output": {"text": "x"}})
    row = longs.get(job_id)
    assert (row.status, row.commits) == (JobStatus.SUCCEEDED, 1)
    assert longs.leftovers(job_id) == []
    assert longs.reusable_texts(job_id) == []


def test_to_its_caller_a_long_job_runs_from_the_cut_to_the_merge(longs):
    job_id = longs.add()
    (child,) = longs.split(job_id, 1)
    assert longs.get(job_id).status is JobStatus.RUNNING
    longs.end(longs.claim(child), "text")
    assert longs.get(job_id).status is JobStatus.RUNNING
    started = longs.get(job_id).started_ms
    assert longs.claim(job_id).row.started_ms == started
    assert [e.type for e in longs.events(job_id)].count("job.started") == 1


def test_text_streams_in_reading_order_while_tiles_end_in_any(longs):
    job_id = longs.add()
    claims = [longs.claim(child) for child in longs.split(job_id)]
    longs.end(claims[2], "two")
    assert longs.streamed(job_id) == []
    longs.end(claims[0], "zero")
    assert longs.streamed(job_id) == [("zero", 0)]
    longs.end(claims[1], "one")
    longs.end(claims[3], "three")
    assert longs.streamed(job_id)[1:] == [("\none", 1), ("\ntwo", 2), ("\nthree", 3)]


def say(longs: Longs, claim: Claim, text: str, percent: int = 50) -> Verdict:
    at = longs.store.redis.strlen(keys.job(claim.row.id) + keys.JOB_TEXT)
    report = longs.store.report(
        claim.row.id, claim.owner, text, at=at, progress={"percent": percent}
    )
    return report.verdict


def test_the_first_unfinished_tile_streams_as_it_is_read(longs):
    job_id = longs.add()
    claims = [longs.claim(child) for child in longs.split(job_id, 2)]
    say(longs, claims[0], "ze")
    say(longs, claims[1], "o")
    say(longs, claims[0], "ro")
    longs.end(claims[0], "zero!")
    say(longs, claims[1], "ne")
    longs.end(claims[1], "one")
    assert longs.streamed(job_id) == [("ze", 0), ("ro", 0), ("!", 0), ("\no", 1), ("ne", 1)]


def test_what_two_tiles_show_is_streamed_once(longs):
    job_id = longs.add()
    claims = [longs.claim(child) for child in longs.split(job_id, 2, overlaps=1)]
    longs.end(claims[0], "one line\nanother line\na third one")
    assert longs.streamed(job_id) == []
    longs.end(claims[1], "another line\na third one\nthe end")
    assert longs.streamed(job_id) == [("one line\nanother line\na third one\nthe end", 1)]


def test_a_tile_that_ended_unlike_it_spoke_is_told_anew(longs):
    job_id = longs.add()
    claims = [longs.claim(child) for child in longs.split(job_id, 2)]
    longs.end(claims[0], "zero")
    say(longs, claims[1], "on and on")
    longs.end(claims[1], "on")
    assert longs.streamed(job_id)[2:] == [("reset", None), ("zero", 0), ("\non", 1)]


def test_what_its_worker_did_not_live_to_tell_is_told_before_the_merge(longs):
    job_id = longs.add()
    (child,) = longs.split(job_id, 1)
    longs.tiles.finish(longs.claim(child), TileOutcome(text="text"), 100)
    assert longs.streamed(job_id) == []
    longs.claim(job_id)
    longs.steps.stream_text(job_id)
    longs.steps.stream_text(job_id)
    assert longs.streamed(job_id) == [("text", 0)]


def test_a_tile_that_starts_over_takes_back_only_what_was_told_of_it(longs):
    job_id = longs.add()
    claims = [longs.claim(child) for child in longs.split(job_id, 2)]
    longs.end(claims[0], "zero")
    say(longs, claims[1], "wro")
    longs.store.release(claims[1].row.id, claims[1].owner)
    again = longs.claim(claims[1].row.id)
    say(longs, again, "one")
    assert longs.streamed(job_id)[2:] == [("reset", None), ("zero", 0), ("\none", 1)]


def test_progress_counts_tiles_and_their_parts(longs):
    job_id = longs.add()
    claims = [longs.claim(child) for child in longs.split(job_id)]
    assert longs.get(job_id).progress["tiles_total"] == 4
    longs.end(claims[0], "zero")
    progress = longs.get(job_id).progress
    assert (progress["tiles_done"], progress["percent"]) == (1, 24)
    longs.store.redis.hset(keys.job(job_id), "progress_ms", 0)
    say(longs, claims[1], "on", percent=60)
    assert longs.get(job_id).progress["percent"] == 39


def test_a_killed_workers_tile_is_started_again_and_the_finished_ones_are_not(longs):
    job_id = longs.add()
    claims = [longs.claim(child) for child in longs.split(job_id, 3)]
    longs.end(claims[0], "zero")
    longs.store.redis.zadd(keys.LEASES, {claims[1].row.id: 1})
    longs.store.reap()
    assert longs.queued() == [claims[1].row.id]
    again = longs.claim(claims[1].row.id)
    assert again.row.attempt == 2
    assert longs.tiles.finish(claims[1], TileOutcome(text="late"), 100) is None
    longs.end(again, "one")
    assert longs.end(claims[2], "two") == [job_id]


def lose_three_times(longs: Longs, child: str) -> None:
    for _ in range(3):
        longs.claim(child)
        longs.store.redis.zadd(keys.LEASES, {child: 1})
        longs.store.reap()


def test_a_tile_that_kills_three_workers_leaves_a_gap(longs):
    job_id = longs.add()
    children = longs.split(job_id, 3)
    lose_three_times(longs, children[1])
    longs.end(longs.claim(children[0]), "zero")
    assert longs.end(longs.claim(children[2]), "two") == [job_id]
    assert [text for text, _ in longs.streamed(job_id)] == [
        "zero",
        "\n[unread: x 0-8, y 8-16]",
        "\ntwo",
    ]
    outcomes = longs.tiles.read_outcomes(longs.claim(job_id).row)
    assert [outcome.gap for outcome in outcomes] == [False, True, False]
    assert outcomes[1].error["code"] == "poison"


def test_a_gap_fails_a_strict_job_and_stops_its_other_tiles(longs):
    job_id = longs.add(strict=True)
    children = longs.split(job_id, 3)
    other = longs.claim(children[0])
    lose_three_times(longs, children[1])
    row = longs.get(job_id)
    assert (row.status, row.error["code"]) == (JobStatus.FAILED, "tile_failed")
    assert longs.store.beat([(other.row.id, other.owner)]) == [Verdict.LOST]
    assert longs.leftovers(job_id) == []


def test_a_tile_may_ask_to_be_tried_again(longs):
    longs.split(longs.add(), 2)
    child = longs.queued()[0]
    doorbells = longs.tiles.finish(longs.claim(child), None, 100)
    assert [doorbell.job_id for doorbell in doorbells] == [child]
    assert longs.claim(child).row.attempt == 2


def test_a_canceled_long_job_keeps_what_was_read_and_stops_all_tiles(longs):
    job_id = longs.add()
    children = longs.split(job_id)
    claims = [longs.claim(child) for child in children[:3]]
    longs.end(claims[0], "zero")
    longs.end(claims[2], "two")
    assert longs.store.cancel(job_id, "t") == "canceled"
    assert longs.store.beat([(claims[1].row.id, claims[1].owner)]) == [Verdict.LOST]
    row = longs.get(job_id)
    assert row.status is JobStatus.CANCELED
    assert (row.output["text"], row.output["partial"]) == ("zero\ntwo", True)
    assert [tile["text"] for tile in row.output["tiles"]] == ["zero", None, "two", None]
    assert row.output["finish_reason"] == "canceled"
    assert longs.leftovers(job_id) == []
    assert longs.queued() == []
    assert longs.reusable_texts(job_id) == ["zero", "two"]
    assert longs.store.redis.ttl(keys.job(job_id) + keys.JOB_TILES) > 0
    longs.store.erase(job_id, "t")
    assert not longs.store.redis.exists(keys.job(job_id) + keys.JOB_TILES)


def test_a_long_job_past_its_time_expires_with_what_was_read(longs):
    job_id = longs.add(deadline_s=3600)
    children = longs.split(job_id)
    longs.end(longs.claim(children[0]), "zero")
    longs.store.redis.zadd(keys.EXPIRY, {job_id: 1})
    longs.store.reap()
    row = longs.get(job_id)
    assert (row.status, row.output["text"]) == (JobStatus.EXPIRED, "zero")
    assert row.output["finish_reason"] == "deadline"
    assert longs.leftovers(job_id) == []


def test_erasing_a_long_job_removes_its_children_and_its_tiles_images(longs):
    job_id = longs.add()
    longs.claim(longs.split(job_id)[0])
    longs.store.erase(job_id, "t")
    assert longs.leftovers(job_id) == []
    assert longs.store.redis.keys(keys.IMAGE + "*") == []


def test_children_are_nobodys_jobs(longs):
    job_id = longs.add()
    child = longs.split(job_id)[0]
    with pytest.raises(NotFound):
        longs.store.get(child, "t")
    with pytest.raises(NotFound):
        longs.store.cancel(child, "t")
    assert [row.id for row in longs.store.page("t", limit=10)[0]] == [job_id]
    with pytest.raises(NotFound):
        longs.store.erase(child, "t")


def test_a_doorbell_lost_with_the_last_tile_is_rung_again(longs):
    job_id = longs.add()
    (child,) = longs.split(job_id, 1)
    longs.end(longs.claim(child), "text")
    longs.store.redis.zadd(keys.QUEUED_SINCE, {job_id: 1})
    assert [doorbell.job_id for doorbell in longs.store.reconcile(broker_lists())] == [job_id]


def test_a_tile_without_ink_needs_no_child(longs):
    job_id = longs.add()
    children = longs.split(job_id, 3, blank=1)
    assert len(children) == 2
    longs.end(longs.claim(children[0]), "zero")
    assert longs.end(longs.claim(children[1]), "two") == [job_id]
    assert longs.streamed(job_id) == [("zero", 0), ("\ntwo", 2)]


def test_an_image_without_any_ink_is_merged_at_once(longs):
    job_id = longs.add()
    assert longs.split(job_id, 1, blank=0) == [job_id]
    assert longs.claim(job_id).row.phase == "merge"


def test_a_job_canceled_while_it_was_cut_ends_without_children(longs):
    job_id = longs.add()
    claim = longs.claim(job_id)
    longs.store.cancel(job_id, "t")
    info = TileInfo(id="img_" + "0" * 64, box=(0, 0, 8, 8), mark="")
    work = [NewTile(JobInput(prompt="read"))]
    assert longs.tiles.split(claim, [info], work, together=False, room=4) == []
    assert longs.get(job_id).status is JobStatus.CANCELED
    assert longs.leftovers(job_id) == []


def test_two_long_jobs_share_the_room(longs):
    first, second = longs.add(), longs.add()
    longs.split(first, 12, room=2)
    longs.split(second, 12, room=2)
    order = []
    for _ in range(12):
        claim = longs.next()
        order.append(claim.row.parent)
        longs.end(claim, "text", room=2)
        assert longs.store.redis.scard(keys.TILES_LIVE) == 2
    # those of the first that were queued before the second came go before it
    assert order[-6:].count(first) == order[-6:].count(second) == 3


def test_long_jobs_of_two_tenants_take_turns(longs):
    first, second = longs.add("t"), longs.add("other")
    longs.split(first, 6, room=12)
    longs.split(second, 6, room=12)
    order = [longs.next().row.parent for _ in range(8)]
    assert order.count(first) == order.count(second) == 4


def test_twenty_long_jobs_of_one_tenant_do_not_delay_the_only_one_of_another(longs):
    crowd = [longs.add("t") for _ in range(20)]
    for job_id in crowd:
        longs.split(job_id, 6, room=2)
    only = longs.add("other")
    longs.split(only, 6, room=2)
    order = []
    for _ in range(11):
        claim = longs.next()
        order.append(claim.row.parent)
        longs.end(claim, "text", room=2)
    # two of the others' tiles were queued before it came
    assert order.count(only) >= 4
    assert len(set(order) - {only}) >= 4, "the long jobs of one tenant take turns as well"


def test_a_long_job_that_an_older_version_has_filed_has_its_turn(longs):
    first, second = longs.add("t"), longs.add("other")
    longs.split(first, 4, room=1)
    longs.split(second, 4, room=1)
    redis = longs.store.redis
    # as the scripts of an older version leave it
    redis.delete(keys.LONG_OF + "other")
    redis.zrem(keys.LONG_TENANTS, "other")
    order = []
    for _ in range(6):
        claim = longs.next()
        order.append(claim.row.parent)
        longs.end(claim, "text", room=1)
    assert order.count(second) >= 2
    # and what it has taken out is not met again
    for job_id in (first, second):
        redis.zrem(keys.LONG, job_id)
    longs.end(longs.next(), "text", room=2)
    names = [keys.LONG_OF + "t", keys.LONG_OF + "other", keys.LONG_TENANTS]
    assert redis.exists(keys.LONG, *names) <= 1


@pytest.mark.parametrize("tenant", ["t", "other"])
def test_a_short_job_waits_behind_one_tile_of_a_long_one_at_most(longs, tenant):
    longs.split(longs.add("t"), 6, room=6)
    longs.end(longs.next(), "text")
    short = longs.add(tenant)
    assert short in [longs.next().row.id for _ in range(2)]
    assert longs.store.position(longs.add(tenant), tenant) <= 2


def test_a_long_job_does_not_starve_behind_short_ones(longs):
    children = longs.split(longs.add("other"), 3, room=3)
    for _ in range(9):
        longs.add("t")
    assert set(children) <= {longs.next().row.id for _ in range(6)}


def test_the_room_of_a_canceled_long_job_goes_to_the_next(longs):
    first, second = longs.add(), longs.add()
    longs.split(first, 3, room=1)
    assert longs.split(second, 3, room=1) == []
    longs.store.cancel(first, "t")
    assert len(longs.store.reap()) == 1
    assert longs.next().row.parent == second


def test_the_work_ahead_counts_tiles_that_are_not_queued_yet(longs):
    forecasts = Forecasts(longs.store.redis, WorkerRegistry(longs.store.redis, 10))
    job_id = longs.add(prediction=Prediction(0, 0.0, Stages(), busy_s=100.0))
    assert forecasts.predict_work_s() == pytest.approx(100)
    first, second = longs.split(job_id, 10, room=2)
    assert forecasts.predict_work_s() == pytest.approx(100)
    claim = longs.claim(first)
    assert forecasts.predict_work_s() == pytest.approx(100)
    longs.end(claim, "text", room=2)
    assert forecasts.predict_work_s() == pytest.approx(90)
    other = longs.add(prediction=Prediction(0, 0.0, Stages(), busy_s=30.0))
    longs.split(other, 3, room=2, blank=1)
    assert forecasts.predict_work_s() == pytest.approx(90 + 20)
    for one in (job_id, other):
        longs.store.cancel(one, "t")
    assert forecasts.predict_work_s() == 0
    assert longs.store.redis.zscore(keys.QUEUED, second) is None


def test_a_forecast_knows_what_waits_runs_and_is_held_of_each_job(longs):
    forecasts = Forecasts(longs.store.redis, WorkerRegistry(longs.store.redis, 10))
    long, short = Demand(0.5, 2.0, 4, 3.0, 10.0), Demand(1.0, 5.0)
    job_id = longs.add(prediction=Prediction(0, 0.0, Stages(), busy_s=20.0, demand=long))
    longs.add("other", prediction=Prediction(0, 0.0, Stages(), busy_s=2.0, demand=short))
    # a row of an older gateway
    longs.add("third")
    ahead = forecasts.read().fleet.backlog.ahead
    assert sorted(ahead, key=str) == sorted(map(WaitingJob, (long, short, None)), key=str)
    longs.split(job_id, 5, room=2)
    held = forecasts.read().fleet.backlog.held
    # the plan was four tiles, and five are cut
    assert held == (HeldParts(3, Demand(2.4, 8.0)),)
    claims = [longs.next() for _ in range(4)]
    backlog = forecasts.read().fleet.backlog
    tiles = [job for job in backlog.observed if job.tile]
    assert len(claims) == len(backlog.observed) == 4
    assert [job.left for job in tiles] == [Demand(2.4, 8.0)] * 2
    assert {job.left for job in backlog.observed if not job.tile} == {short, None}
    assert (backlog.ahead, all(job.worker for job in backlog.observed)) == ((), True)


def test_the_work_ahead_of_unknown_tiles_is_what_the_workers_measured(longs):
    registry = WorkerRegistry(longs.store.redis, 10)
    forecasts = Forecasts(longs.store.redis, registry)
    longs.split(longs.add(), 10, room=2)
    assert forecasts.predict_work_s() is None
    registry.beat(Heartbeat("w", "m", seconds_per_job=3.0))
    assert forecasts.predict_work_s() == pytest.approx(30)
