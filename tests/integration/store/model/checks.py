"""What a walk compares: all that the store says of jobs must be what the model says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from shared.errors import Erased, NotFound
from shared.jobs import JobStatus
from shared.jobs.image import stored_file_mark
from shared.store import keys
from shared.store.jobs.events import EventReader
from shared.store.operations.job_board import JobBoard, Standing, Wanted
from tests.integration.store.model.rows import TERMINAL, Row
from tests.integration.store.model.world import TENANTS, World


class Checks(World):
    """Comparisons; each raises AssertionError where store and model differ."""

    def check(self) -> None:
        """Compare all that the store says with the model; raises AssertionError."""
        self.check_rows()
        self.check_sets()
        self.check_lists()
        self.check_positions()
        self.check_sessions()
        self.check_keys()

    def check_rows(self) -> None:
        for row in self.model.rows.values():
            stored = self.redis.hgetall(keys.job(row.id))
            seen = (
                *(stored.get("status"), stored.get("owner"), int(stored.get("attempt", -1))),
                *(int(stored.get("lost", 0)), int(stored.get("commits", 0))),
            )
            assert seen == (row.status, row.owner, row.attempt, row.lost, row.commits), (seen, row)
            if not row.parent:
                self.check_events(row)
                if row.status in TERMINAL or self.now() < row.images_ms:
                    needed = sorted(row.images)
                    assert None not in self.images.pngs(row.tenant, needed), row

    def check_events(self, row: Row) -> None:
        events = EventReader(self.redis, 1.0).read(row.id, 0)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        ends = [event.type for event in events if event.terminal]
        assert ends == ([f"job.{row.status}"] if row.status in TERMINAL else [])
        assert not ends or events[-1].terminal

    def check_sets(self) -> None:
        model, rows = self.model, self.model.rows.values()
        for tenant in TENANTS:
            assert self.redis.smembers(keys.UNFINISHED + tenant) == model.unfinished(tenant)
        queued = {row.id for row in rows if row.status == "queued"}
        for name in (keys.QUEUED, keys.QUEUED_SINCE):
            assert set(self.redis.zrange(name, 0, -1)) == queued, name
        assert set(self.redis.zrange(keys.LEASES, 0, -1)) == model.leased()
        assert set(self.redis.zrange(keys.EXPIRY, 0, -1)) == {
            row.id for row in rows if not row.parent and row.status not in TERMINAL
        }
        assert self.redis.smembers(keys.TILES_LIVE) == model.live
        assert dict(self.redis.zrange(keys.LONG, 0, -1, withscores=True)) == model.long
        tenants = self.redis.zrange(keys.LONG_TENANTS, 0, -1, withscores=True)
        assert dict(tenants) == model.long_tenants

    def check_lists(self) -> None:
        for tenant in TENANTS:
            for status in (None, *JobStatus):
                listed = list(self.listed(tenant, status=status))
                mine = self.model.jobs(tenant, status.value if status else None)
                assert listed == [row.id for row in mine], (status, listed, mine)
            for session in ("s1", "s2"):
                mine = [row for row in self.model.jobs(tenant) if row.session == session]
                listed = list(self.listed(tenant, session_id=session))
                assert listed == [row.id for row in mine], (listed, mine)

    def listed(self, tenant: str, **chosen: Any) -> Iterator[str]:
        after, more = None, True
        while more:
            rows, more = self.store.page(tenant, limit=4, after=after, **chosen)
            yield from (row.id for row in rows)
            after = rows[-1].id if rows else None

    def check_positions(self) -> None:
        queue = self.model.queue
        assert dict(self.redis.zrange(keys.TURNS, 0, -1, withscores=True)) == queue.turns
        for line, jobs in queue.lines.items():
            assert self.redis.zrange(keys.LINE + line, 0, -1) == [row_id for _, row_id in jobs]
        assert self.redis.zcard(keys.SLOTS) == sum(map(len, queue.lines.values()))
        for row_id, place in queue.positions().items():
            row = self.model.rows[row_id]
            if not row.parent:
                assert self.store.position(row_id, row.tenant) == place, row

    def check_sessions(self) -> None:
        for tenant in TENANTS:
            for name in ("s1", "s2"):
                talk = self.model.talks.get((tenant, name))
                turns = self.sessions.turns(tenant, name)
                assert [turn.job_id for turn in turns] == (talk.turns if talk else [])
                if talk:
                    busy = self.sessions.get(tenant, name).busy or ""
                    # a row that vanished blocks nothing, but is still named
                    assert (busy if busy in self.model.rows else "") == talk.busy
                    shown = sorted({image for turn in turns for image in turn.images})
                    assert None not in self.images.pngs(tenant, shown)

    def check_keys(self) -> None:
        """No row comes into being that nobody made, and of erased jobs only the tombstone stays."""
        for key in self.redis.scan_iter(keys.JOB + "*", count=1000):
            name = key.removeprefix(keys.JOB).partition(":")[0]
            assert name in self.model.rows, key
        for job_id in self.erased:
            try:
                self.store.get(job_id, self.model_tenant(job_id))
            except (Erased, NotFound):
                continue
            raise AssertionError(f"{job_id} is back")

    def is_claim_of_vanished(self, key: str) -> bool:
        """Tell whether a key names the job of a claim whose row somebody else deleted."""
        if not key.startswith(keys.CLAIMED):
            return False
        job_id = self.redis.get(key)
        return job_id not in self.erased | set(self.model.rows) and self.redis.ttl(key) > 0

    def model_tenant(self, job_id: str) -> str:
        _, _, tenant = (self.redis.get(keys.GONE + job_id) or "").partition(":")
        return str(tenant)

    def check_usage(self) -> None:
        """Raise AssertionError unless the usage of each tenant counts the jobs that have ended."""
        counted: Counter[tuple[str, str]] = Counter()
        for key in self.redis.scan_iter(keys.USAGE + "*"):
            tenant, period = key.removeprefix(keys.USAGE).split(":")
            # a walk over midnight has two days
            if period.count("-") == 2:
                row = self.redis.hgetall(key)
                counted.update({(tenant, status): int(row.get(status, 0)) for status in TERMINAL})
        assert +counted == +self.model.ended

    def clear(self) -> None:
        """Erase all; raises AssertionError if anything is left but counters and tombstones."""
        self.check_board()
        for row in [row for row in self.model.rows.values() if not row.parent]:
            self.store.erase(row.id, row.tenant)
        for tenant, name in self.model.talks:
            self.sessions.delete(tenant, name)
        self.check_usage()
        left = {
            key
            for key in self.redis.scan_iter("sl:*", count=1000)
            if not key.startswith((keys.GONE, keys.IMAGE, keys.PASSED, keys.USAGE))
            and not key.endswith(keys.JOBS_FILED_AT)
            and not self.is_claim_of_vanished(key)
        }
        owned = {keys.COUNTERS, keys.SEQUENCE, keys.TURN, keys.REAPED_AT, keys.TILES_ROOM}
        owned |= {keys.ERASED_FILES, keys.WEIGHTS, keys.RECONCILE_LOCK, keys.CURSORS}
        assert left <= owned, left
        self.check_marks()

    def check_board(self) -> None:
        """Check that operators see exactly the jobs of all tenants that are there."""
        board = JobBoard(self.redis)
        for standing in (standing for standing in Standing if standing.status.terminal):
            page = board.page(standing, Wanted(), None, 1000)
            ended = [row for row in self.model.rows.values() if row.status == standing.value]
            assert {job.id for job in page.jobs} == {row.id for row in ended if not row.parent}

    def check_marks(self) -> None:
        """Check that no image that is still stored is marked as erased."""
        stored = self.redis.scan_iter(f"{keys.IMAGE}*", count=1000)
        names = [key.removeprefix(keys.IMAGE).split(":") for key in stored]
        marks = {stored_file_mark(tenant, digest) for tenant, digest, *_ in names}
        assert not marks & set(self.redis.zrange(keys.ERASED_FILES, 0, -1))
