"""The steps of a walk: what callers, workers and time do, to the store and to the model alike."""

from __future__ import annotations

from shared.errors import SessionBusy, TooManyInFlight
from shared.jobs import (
    JobInput,
    JobStatus,
    Priority,
    TileInfo,
    TileOutcome,
    Tiling,
    TilingTask,
    Turn,
)
from shared.jobs.image import StoredImage
from shared.queue import broker_lists
from shared.store import Claim, NewJob, Verdict, keys
from shared.store.access.rate_limits import RateLimits
from shared.store.jobs.tile_store import NewTile
from tests.integration.store.model.rows import TERMINAL, Row
from tests.integration.store.model.world import IN_FLIGHT, PICTURES, ROOM, SESSIONS, TENANTS, World


class CallerSteps(World):
    """What callers and operators do."""

    def add(self) -> None:
        dice, tenant = self.dice, self.dice.choice(TENANTS)
        session, priority = dice.choice(SESSIONS), dice.choice(list(Priority))
        pictures = dice.sample(PICTURES, dice.randint(0, 2))
        is_long = dice.random() < 0.4
        tiling = Tiling(task=TilingTask.READ, budget=1 << 20, planned=3, strict=dice.random() < 0.3)
        ttl_s = dice.choice([600, 7000, 90_000])
        deadline_s = dice.choice([None, None, float(dice.randint(50, 500))])
        job = NewJob(
            tenant,
            JobInput(
                prompt="what?",
                images=tuple(picture.id for picture in pictures),
                tiling=tiling if is_long else None,
            ),
            priority=priority,
            ttl_s=ttl_s,
            deadline_s=deadline_s,
            session_id=session or None,
            limits=RateLimits(in_flight=IN_FLIGHT),
        )
        for picture in pictures:
            self.images.put(tenant, picture, job_id=job.id)
        talk = self.model.talks.get((tenant, session)) if session else None
        try:
            self.store.add(job)
        except SessionBusy:
            assert talk
            assert talk.busy in self.model.rows
        except TooManyInFlight:
            assert len(self.model.unfinished(tenant)) >= IN_FLIGHT
        else:
            assert not (talk and talk.busy), "two questions of a conversation at once"
            assert len(self.model.unfinished(tenant)) < IN_FLIGHT
            row = Row(job.id, tenant, 0, 0, ttl_ms=1000 * ttl_s, session=session)
            row.images = {picture.id for picture in pictures}
            row.strict = tiling.strict
            deadline_ms = None if deadline_s is None else 1000 * deadline_s
            self.model.add(row, list(Priority).index(priority), deadline_ms, self.now())
            if dice.random() < 0.1:
                assert self.store.add(job).doorbell.job_id == job.id, "sent twice"
            return
        self.images.release(tenant, [picture.id for picture in pictures], job.id)

    def any_job(self) -> Row | None:
        jobs = [row for row in self.model.rows.values() if not row.parent]
        return self.dice.choice(jobs) if jobs else None

    def cancel(self) -> None:
        if row := self.any_job():
            outcome = self.store.cancel(row.id, row.tenant)
            was = row.status
            self.model.cancel(row, self.now())
            expected = "canceling" if row.status == "running" else row.status
            assert outcome == (was if was in TERMINAL else expected)

    def erase(self) -> None:
        if row := self.any_job():
            self.erase_row(row)

    def delete_session(self) -> None:
        if self.model.talks:
            tenant, name = self.dice.choice(sorted(self.model.talks))
            self.sessions.delete(tenant, name)
            del self.model.talks[tenant, name]

    def vanish(self) -> None:
        """An operator deletes a row; the reaper forgets it in time."""
        row = self.any_job()
        if row and row.status not in TERMINAL and not row.phase:
            self.redis.delete(keys.job(row.id))
            talk = self.model.talks.get((row.tenant, row.session))
            if talk and talk.busy == row.id:
                talk.busy = ""
            self.model.forget(row)
            # one tenant after the other, and none after a silence or twice in a millisecond
            for _ in range(4 * len(TENANTS)):
                if not self.redis.sismember(keys.UNFINISHED + row.tenant, row.id):
                    break
                self.reap()


class WorkerSteps(World):
    """What workers do, living and dead ones."""

    def claim_next(self) -> None:
        claim = self.store.claim_next("w")
        row = self.model.claim_next(self.now())
        if row is None:
            assert claim == "nothing"
            return
        assert isinstance(claim, Claim), (claim, row)
        assert claim.row.id == row.id, "not whose turn it was"
        row.owner = claim.owner
        self.claims.append(claim)

    def claim_one(self) -> None:
        queued = [row for row in self.model.rows.values() if row.status == "queued"]
        if not queued:
            return
        row = self.dice.choice(queued)
        claim = self.store.claim(row.id, "w")
        if self.model.refuses(row, self.now()):
            assert claim == "expired"
            return
        assert isinstance(claim, Claim)
        self.model.start(row, self.now(), in_turn=False)
        row.owner = claim.owner
        self.claims.append(claim)

    def held(self) -> tuple[Claim, Row | None] | None:
        """Return a claim, often a late one, and its row if it is still good."""
        if not self.claims:
            return None
        recent = self.claims[-12:]
        claim = self.dice.choice(recent)
        row = self.model.rows.get(claim.row.id)
        good = row is not None and row.status == "running" and row.owner == claim.owner
        return claim, row if good else None

    def beat(self) -> None:
        if held := self.held():
            claim, row = held
            [verdict] = self.store.beat([(claim.row.id, claim.owner)])
            assert verdict is verdict_of(row)
            if row:
                row.lease_ms = self.now() + 100_000

    def report(self) -> None:
        if held := self.held():
            claim, row = held
            reported = self.store.report(claim.row.id, claim.owner, "x", progress={"percent": 5})
            assert reported.verdict is (Verdict.GO_ON if row and row.parent else verdict_of(row))

    def release(self) -> None:
        if held := self.held():
            claim, row = held
            again = self.is_released_by(claim)
            doorbell = self.store.release(claim.row.id, claim.owner)
            if row:
                self.model.release(row, self.now())
                self.released[row.id] = claim.owner
            assert bool(doorbell) == bool(again or (row and row.status == "queued"))

    def is_released_by(self, claim: Claim) -> bool:
        """Tell whether a row waits because of this claim's owner, who is told so again."""
        row = self.model.rows.get(claim.row.id)
        return bool(row and row.status == "queued" and self.released.get(row.id) == claim.owner)

    def finish(self) -> None:
        if not (held := self.held()):
            return
        claim, row = held
        if claim.row.parent:
            self.finish_tile(claim, row)
            return
        status = self.dice.choice([JobStatus.SUCCEEDED, JobStatus.SUCCEEDED, JobStatus.FAILED])
        fields = {"output": {"text": "x", "partial": False}}
        turn = None
        if claim.row.session_id and status is JobStatus.SUCCEEDED:
            turn = Turn(
                job_id=claim.row.id,
                prompt="what?",
                images=claim.row.input.images,
                max_pixels=1,
                text="x",
                finish_reason="stop",
                created_ms=1,
            )
        # sent again by who has finished the job, it is accepted once more and changes nothing
        again = claim.owner in self.finished and claim.row.id in self.model.rows
        accepted = self.store.finish(claim.row.id, claim.owner, status, fields, turn=turn)
        assert accepted == (bool(row) or again)
        if row:
            self.model.finish(row, status.value, self.now())
            self.finished.add(claim.owner)

    def finish_tile(self, claim: Claim, row: Row | None) -> None:
        outcome = self.dice.choice([TileOutcome(text="x"), TileOutcome(gap=True), None])
        again = self.is_released_by(claim) or self.has_ended_tile(claim)
        doorbells = self.tiles.finish(claim, outcome, ROOM)
        assert (doorbells is None) == (row is None and not again)
        if row is None:
            return
        if outcome is None:
            self.model.requeue(row, self.now())
            self.released[row.id] = claim.owner
        else:
            self.model.end_tile(row, self.now(), gap=outcome.gap)
            self.tile_ends[claim.owner] = row.parent

    def has_ended_tile(self, claim: Claim) -> bool:
        """Tell whether this claim's owner has ended its tile, of a job that goes on."""
        parent = self.model.rows.get(self.tile_ends.get(claim.owner, ""))
        return bool(parent and parent.status not in TERMINAL)

    def split(self) -> None:
        if not (held := self.held()):
            return
        claim, row = held
        if claim.row.parent or claim.row.input.tiling is None or claim.row.phase:
            return
        infos, work = [], []
        for number in range(self.dice.randint(1, 5)):
            picture = StoredImage(f"img_{100 + number:064x}", b"tile", 8, 8, (8, 8), "PNG")
            stored = self.images.put(
                claim.row.tenant, picture, job_id=claim.row.id, owner=claim.owner
            )
            assert stored == bool(row)
            seam = {"image": 0}
            infos.append(TileInfo(id=picture.id, box=(0, 0, 8, 8), mark="[?]", seam=seam))
            is_blank = self.dice.random() < 0.2
            work.append(NewTile(TileOutcome() if is_blank else JobInput(prompt="read")))
        again = claim.row.id in self.model.rows and self.split_by.get(claim.row.id) == claim.owner
        doorbells = self.tiles.split(claim, infos, work, together=False, room=ROOM)
        assert (doorbells is None) == (row is None and not again)
        if row:
            if not row.canceled:
                self.split_by[row.id] = claim.owner
            tiles = self.redis.hgetall(keys.job(row.id) + keys.JOB_TILES)
            children = [tiles.get(f"id:{number}", "") for number in range(len(infos))]
            images = {info.id for info in infos}
            row.images |= images
            self.model.split(row, [] if row.canceled else children, images, self.now())


class TimeSteps(World):
    """What happens by itself."""

    def lose_lease(self) -> None:
        if leased := sorted(self.model.leased()):
            row = self.model.rows[self.dice.choice(leased)]
            self.redis.zadd(keys.LEASES, {row.id: 1})
            row.lease_ms = 1
            self.reap()

    def reconcile(self) -> None:
        queued = {row.id for row in self.model.rows.values() if row.status == "queued"}
        assert {doorbell.job_id for doorbell in self.store.reconcile(broker_lists())} <= queued

    def tick(self) -> None:
        self.advance(self.dice.choice([5_000, 20_000, 60_000]))

    def sleep(self) -> None:
        self.advance(self.dice.choice([150_000, 1_000_000, 8_000_000, 100_000_000]))


def verdict_of(row: Row | None) -> Verdict:
    """Return what the owner of a row should be answered; None is a claim that is no longer good."""
    if row is None:
        return Verdict.LOST
    return Verdict.STOP if row.canceled else Verdict.GO_ON
