"""What a job's life should be, in plain Python: the rules that the scripts of the store keep.

It shares nothing with them but the words: lines are lists, rows name their images, and where a job
stands in the queue is found out by taking the others first.
"""

from __future__ import annotations

from collections import Counter

from tests.integration.store.model.rows import SPAN, TERMINAL, Queue, Row, Talk


class Model:
    """All jobs and conversations; every method is one transition at time `now` (ms)."""

    def __init__(
        self, *, lease_ms: float, gap_ms: float, attempts: int, talk_ms: float, room: int
    ) -> None:
        self.lease_ms, self.gap_ms, self.attempts = lease_ms, gap_ms, attempts
        self.talk_ms, self.room = talk_ms, room
        self.queue = Queue({"b": 2})
        self.rows: dict[str, Row] = {}
        self.talks: dict[tuple[str, str], Talk] = {}
        #: How many jobs of each tenant have ended, in which way.
        self.ended: Counter[tuple[str, str]] = Counter()
        self.long: dict[str, int] = {}
        #: Of each tenant that has such jobs, when it was served last.
        self.long_tenants: dict[str, int] = {}
        self.live: set[str] = set()
        self.reaped_ms: float | None = None
        self.number = 0

    # reading

    def jobs(self, tenant: str, status: str | None = None) -> list[Row]:
        """Return a tenant's jobs, newest first."""
        mine = [row for row in self.rows.values() if row.tenant == tenant and not row.parent]
        return sorted(
            (row for row in mine if status in (None, row.shown)), key=lambda row: -row.number
        )

    def unfinished(self, tenant: str) -> set[str]:
        return {row.id for row in self.jobs(tenant) if row.status not in TERMINAL}

    def leased(self) -> set[str]:
        return {row.id for row in self.rows.values() if row.status == "running" and row.owner}

    def talk_of(self, row: Row) -> Talk | None:
        """Return the conversation that a job belongs to, if it is still that one."""
        talk = self.talks.get((row.tenant, row.session))
        return talk if talk and talk.generation == row.generation else None

    # what callers do

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def add(self, row: Row, priority: int, deadline_ms: float | None, now: float) -> None:
        row.number = self.next_number()
        row.score = priority * SPAN + row.number
        row.images_ms = now + 2 * row.ttl_ms
        row.expire_ms = now + (row.ttl_ms if deadline_ms is None else deadline_ms)
        row.look_ms = row.expire_ms
        self.rows[row.id] = row
        self.queue.put(row.line, row.score, row.id)
        if row.session:
            talk = self.talks.setdefault((row.tenant, row.session), Talk(row.number, 0))
            row.generation = talk.generation
            talk.busy = row.id
            talk.until_ms = max(talk.until_ms, now + self.talk_ms)

    def cancel(self, row: Row, now: float) -> None:
        if row.status == "queued" or (row.status == "running" and row.phase == "tiles"):
            self.end(row, "canceled", now)
        elif row.status == "running":
            row.canceled = True

    def erase(self, row: Row) -> None:
        self.forget(row)
        talk = self.talks.get((row.tenant, row.session))
        if talk:
            talk.turns = [one for one in talk.turns if one != row.id]
            talk.busy = "" if talk.busy == row.id else talk.busy

    def forget(self, row: Row) -> None:
        """Take a row out of everything; its tiles go with it."""
        self.queue.remove(row.line, row.id)
        self.unfile(row)
        for child in filter(None, row.tiles):
            self.drop(child)
        self.rows.pop(row.id, None)

    # what workers do

    def refuses(self, row: Row, now: float) -> bool:
        """Tell whether a queued row may not start; end it if its time is over."""
        if now < row.expire_ms:
            return False
        if not row.parent:
            self.end(row, "expired", now)
        return True

    def claim_next(self, now: float) -> Row | None:
        for line in self.queue.in_order():
            for _, row_id in list(self.queue.lines.get(line, [])):
                if not self.refuses(self.rows[row_id], now):
                    self.start(self.rows[row_id], now, in_turn=True)
                    return self.rows[row_id]
        return None

    def start(self, row: Row, now: float, *, in_turn: bool) -> None:
        self.queue.take(row.line, row.id, in_turn=in_turn)
        row.status, row.attempt, row.lease_ms = "running", row.attempt + 1, now + self.lease_ms

    def finish(self, row: Row, status: str, now: float) -> None:
        talk = self.talk_of(row) if row.session and status == "succeeded" else None
        if talk:
            talk.turns.append(row.id)
            talk.until_ms = max(talk.until_ms, now + self.talk_ms)
        row.commits += 1
        self.end(row, status, now)

    def release(self, row: Row, now: float) -> None:
        row.attempt -= 1
        self.requeue(row, now)

    def split(self, row: Row, children: list[str], images: set[str], now: float) -> None:
        if row.canceled:
            self.end(row, "canceled", now)
            return
        row.images |= images
        row.images_ms = max(row.images_ms, now + 2 * row.ttl_ms)
        row.phase, row.owner, row.tiles = "tiles", "", children
        row.done = children.count("")
        for child in filter(None, children):
            self.rows[child] = Row(
                child, row.tenant, 0, 0, "held", parent=row.id, expire_ms=row.expire_ms
            )
        if row.done == len(children):
            self.merge(row)
        else:
            self.long[row.id] = self.next_number()
            self.long_tenants.setdefault(row.tenant, self.long[row.id])
            self.schedule()

    def end_tile(self, child: Row, now: float, *, gap: bool) -> None:
        row = self.rows[child.parent]
        row.done += 1
        self.drop(child.id)
        if gap and row.strict:
            self.end(row, "failed", now)
            self.schedule()
            return
        self.schedule()
        if row.done == len(row.tiles):
            self.merge(row)

    # what follows from it

    def end(self, row: Row, status: str, now: float) -> None:
        self.queue.remove(row.line, row.id)
        self.unfile(row)
        row.status, row.owner, row.gone_ms = status, "", now + row.ttl_ms
        self.ended[row.tenant, status] += 1
        for child in filter(None, row.tiles):
            self.drop(child)
        row.tiles = []
        talk = self.talks.get((row.tenant, row.session))
        if talk and talk.busy == row.id:
            talk.busy = ""

    def requeue(self, row: Row, now: float) -> None:
        row.owner = ""
        if not row.parent and row.canceled:
            self.end(row, "canceled", now)
        elif not row.parent and now >= row.expire_ms:
            self.end(row, "expired", now)
        else:
            row.status = "queued"
            self.queue.put(row.line, row.score, row.id)

    def drop(self, child: str) -> None:
        row = self.rows.pop(child, None)
        self.live.discard(child)
        if row:
            self.queue.remove(row.line, child)

    def merge(self, row: Row) -> None:
        row.phase, row.attempt, row.status = "merge", 0, "queued"
        self.queue.put(row.line, row.score, row.id)

    def unfile(self, row: Row) -> None:
        self.long.pop(row.id, None)
        if not any(self.rows[job_id].tenant == row.tenant for job_id in self.long):
            self.long_tenants.pop(row.tenant, None)

    def schedule(self) -> None:
        while len(self.live) < self.room and self.long:
            # at the same time the name decides, as it does in Redis
            _, tenant = min((at, name) for name, at in self.long_tenants.items())
            mine = [one for one in self.long if self.rows[one].tenant == tenant]
            parent = self.rows[min(mine, key=lambda one: self.long[one])]
            if parent.next_tile >= len(parent.tiles):
                self.unfile(parent)
                continue
            child = self.rows.get(parent.tiles[parent.next_tile])
            parent.next_tile += 1
            if child:
                number = self.next_number()
                child.score = parent.score - parent.number + number
                child.status = "queued"
                self.queue.put(child.line, child.score, child.id)
                self.live.add(child.id)
                self.long[parent.id] = self.long_tenants[tenant] = number

    # what time does

    def reap(self, now: float) -> None:
        last, self.reaped_ms = self.reaped_ms, now
        held = [self.rows[row_id] for row_id in self.leased()]
        if last is not None and now - last > self.gap_ms:
            for row in held:
                row.lease_ms = now + self.lease_ms
            return
        for row in sorted(held, key=lambda row: (row.lease_ms, row.id)):
            if row.id in self.rows and row.lease_ms <= now:
                self.lose(row, now)
        for row in sorted(self.rows.values(), key=lambda row: row.look_ms):
            if row.parent or row.status in TERMINAL or row.look_ms > now:
                continue
            if row.status == "queued" or row.phase == "tiles":
                self.end(row, "expired", now)
            else:
                row.look_ms = now + self.lease_ms
        self.schedule()

    def lose(self, row: Row, now: float) -> None:
        row.lost += 1
        if row.attempt < self.attempts:
            self.requeue(row, now)
        elif row.parent:
            self.end_tile(row, now, gap=True)
        else:
            self.end(row, "failed", now)

    def expire(self, now: float) -> None:
        """Drop the rows and conversations whose time is over, as Redis does."""
        self.rows = {
            row.id: row
            for row in self.rows.values()
            if row.status not in TERMINAL or row.gone_ms > now
        }
        self.talks = {name: talk for name, talk in self.talks.items() if talk.until_ms > now}

    def moments(self) -> list[float]:
        """Return the times at which something will be over."""
        rows = self.rows.values()
        return [
            *(row.gone_ms for row in rows if row.status in TERMINAL),
            *(row.images_ms for row in rows if row.status not in TERMINAL),
            *(row.expire_ms for row in rows if row.status not in TERMINAL),
            *(row.look_ms for row in rows if row.status not in TERMINAL),
            *(row.lease_ms for row in rows if row.owner),
            *(talk.until_ms for talk in self.talks.values()),
        ]
