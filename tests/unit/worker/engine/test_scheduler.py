"""What the engine does next, without weights."""

from __future__ import annotations

from dataclasses import dataclass

from worker.engine.memory.budget import MemoryBudget, MemoryNeed
from worker.engine.scheduler import Phase, Scheduler

SMALL = MemoryNeed(kv_bytes=10)


@dataclass(eq=False)
class Work:
    phase: Phase = Phase.PREFILL
    prefill_left: int = 300
    need: MemoryNeed = SMALL
    background: bool = False
    block_s: float = 0.0


def running(*works: Work, slots: int = 8) -> Scheduler[Work]:
    scheduler: Scheduler[Work] = Scheduler(slots, MemoryBudget(kv_bytes=1000, work_bytes=100))
    for work in works:
        scheduler.add(work)
    list(scheduler.admit())
    return scheduler


def test_every_running_answer_gets_a_token_in_every_step() -> None:
    answers = [Work(Phase.DECODE) for _ in range(5)]
    plan = running(*answers, Work(), Work(Phase.ENCODE)).plan()
    assert list(plan.decode) == answers


def test_a_prompt_is_computed_in_chunks_while_answers_run() -> None:
    prompt = Work()
    plan = running(Work(Phase.DECODE), prompt).plan()
    assert plan.prefill == ((prompt, 96),)


def test_chunks_are_larger_while_nobody_waits_for_a_token() -> None:
    prompt = Work()
    assert running(prompt).plan().prefill == ((prompt, 128),)


def test_short_prompts_share_a_chunk_in_the_order_in_which_they_came() -> None:
    first, second, third = Work(prefill_left=50), Work(prefill_left=100), Work(prefill_left=40)
    plan = running(Work(Phase.DECODE), first, second, third).plan()
    assert plan.prefill == ((first, 50), (second, 46))


def test_the_tower_works_on_one_image_at_a_time_oldest_first() -> None:
    first, second = Work(Phase.ENCODE), Work(Phase.ENCODE)
    assert running(first, second).plan().encode is first


def test_a_prompt_goes_on_while_another_ones_image_is_encoded() -> None:
    image, prompt = Work(Phase.ENCODE), Work(prefill_left=20)
    plan = running(image, prompt).plan()
    assert plan.encode is image
    assert plan.prefill == ((prompt, 20),)


def test_no_more_sequences_run_than_there_are_slots() -> None:
    scheduler = running(*[Work() for _ in range(5)], slots=2)
    assert (len(scheduler.running), len(scheduler.waiting)) == (2, 3)


def test_a_sequence_waits_until_its_keys_and_values_fit() -> None:
    large = Work(need=MemoryNeed(kv_bytes=700))
    next_large = Work(need=MemoryNeed(kv_bytes=700))
    scheduler = running(large, next_large)
    assert scheduler.waiting == [next_large]
    scheduler.remove(large)
    assert list(scheduler.admit()) == [next_large]


def test_a_small_request_does_not_overtake_one_that_waits_for_memory() -> None:
    large, small = MemoryNeed(kv_bytes=700), MemoryNeed(kv_bytes=1)
    scheduler = running(Work(need=large), Work(need=large), Work(need=small))
    assert len(scheduler.running) == 1


def test_a_sequence_waits_until_its_images_fit() -> None:
    image = MemoryNeed(image_bytes=40, tower_bytes=20)
    scheduler = running(Work(need=image), Work(need=image), Work(need=image))
    # the tower works on one of them at a time
    assert len(scheduler.running) == 2


def test_what_waits_counts_when_work_is_done_ahead() -> None:
    image = MemoryNeed(image_bytes=40, tower_bytes=20)
    scheduler = running(Work(need=image), Work(need=MemoryNeed(image_bytes=70)))
    assert (len(scheduler.running), len(scheduler.waiting)) == (1, 1)
    assert scheduler.fits(image)
    assert not scheduler.fits_at_once(image)


def waits(scheduler: Scheduler[Work], image: Work, block_s: float, blocks: int) -> list[float]:
    """Return for how long running answers wait in each step of an image's tower."""
    waited, left = [], blocks
    while left:
        blocks_now = min(left, scheduler.plan().blocks)
        left -= blocks_now
        waited.append(blocks_now * block_s)
        image.block_s = block_s
    return waited


def test_a_running_answer_waits_for_one_block_while_nothing_is_known() -> None:
    image = Work(Phase.ENCODE)
    scheduler = running(Work(Phase.DECODE), image)
    assert waits(scheduler, image, block_s=0.06, blocks=24) == [0.06] * 24


def test_short_blocks_share_a_step_but_take_no_longer_than_the_longest() -> None:
    image = Work(Phase.ENCODE)
    scheduler = running(Work(Phase.DECODE), image)
    scheduler.tower_s = 0.25
    waited = waits(scheduler, image, block_s=0.06, blocks=25)
    assert len(waited) == 7
    assert max(waited) <= scheduler.tower_s


def test_a_block_that_is_longer_than_the_bound_comes_alone() -> None:
    image = Work(Phase.ENCODE)
    scheduler = running(Work(Phase.DECODE), image)
    scheduler.tower_s = 0.25
    assert waits(scheduler, image, block_s=0.4, blocks=3) == [0.4] * 3


def test_new_requests_are_looked_at_after_every_block_while_nothing_is_answered() -> None:
    scheduler = running(Work(Phase.ENCODE, block_s=0.06))
    scheduler.tower_s = 0.25
    assert scheduler.plan().blocks == 1


def test_background_work_lets_all_others_go_first() -> None:
    tile, short = Work(Phase.ENCODE, background=True), Work(Phase.ENCODE)
    assert running(tile, short).plan().encode is short
    tile, short = Work(prefill_left=96, background=True), Work(prefill_left=90)
    assert running(tile, short, Work(Phase.DECODE)).plan().prefill == ((short, 90), (tile, 6))


def test_background_work_that_waits_for_a_slot_is_overtaken() -> None:
    tiles = [Work(background=True) for _ in range(3)]
    scheduler = running(*tiles, slots=1)
    short = Work()
    scheduler.add(short)
    assert scheduler.waiting == [short, *tiles[1:]]


def test_nothing_to_do_is_an_empty_plan() -> None:
    plan = running().plan()
    assert (plan.encode, plan.blocks, plan.prefill, plan.decode) == (None, 0, (), ())
