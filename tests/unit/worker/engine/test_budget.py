"""What requests take of the memory, and how it is divided."""

from __future__ import annotations

from shared.settings import Settings
from worker.engine.config import ModelShape, TextShape, VisionShape
from worker.engine.memory.budget import MemoryBudget, MemoryNeed, TokenCosts

GIB = 1 << 30
SHAPE = ModelShape(
    text=TextShape(
        layers=28, hidden=2048, intermediate=6144, heads=16, kv_heads=8, head_dim=128,
        vocab=151_936, eps=1e-6, rope_theta=5e6, mrope_section=(24, 20, 20), context=262_144,
        tied=True,
    ),
    vision=VisionShape(
        depth=24, hidden=1024, intermediate=4096, heads=16, patch=16, merge=2, patch_values=1536,
        out_hidden=2048, deepstack=(5, 11, 17), grid_side=48, rope_theta=1e4,
    ),
    image_token=1,
    end_tokens=frozenset(),
)  # fmt: skip


def test_a_token_costs_what_the_arrays_of_the_2b_model_take() -> None:
    costs = TokenCosts.of(SHAPE, width=2)
    assert costs.kv == 114_688
    features, patches = 4 * 2048 * 2, 4 * 1536 * 4
    assert costs.image == features + patches
    # at least its state, what a block makes of it, and the features put together
    assert costs.tower >= features + 4 * 2 * (3 * 1024 + 4096)


def test_a_request_needs_its_images_and_the_tower_for_the_largest() -> None:
    costs = TokenCosts(kv=1, image=10, tower=100)
    assert costs.need_of(7, [3, 5]) == MemoryNeed(kv_bytes=7, image_bytes=80, tower_bytes=500)
    assert costs.need_of(7, []) == MemoryNeed(kv_bytes=7)


def test_a_roomy_machine_gives_all_that_is_asked_and_the_rest_to_images() -> None:
    settings = Settings(kv_max_bytes=2 * GIB, features_ram_bytes=GIB)
    budget = MemoryBudget.of(settings, available=20 * GIB)
    assert budget.kv_bytes == 2 * GIB
    assert budget.work_bytes == 15 * GIB


def test_a_tight_machine_halves_what_is_left() -> None:
    budget = MemoryBudget.of(
        Settings(kv_max_bytes=8 * GIB, features_ram_bytes=GIB), available=10 * GIB
    )
    assert budget == MemoryBudget(kv_bytes=4 * GIB, work_bytes=4 * GIB)


def test_the_setting_bounds_what_images_take() -> None:
    settings = Settings(work_max_bytes=GIB)
    assert MemoryBudget.of(settings, available=64 * GIB).work_bytes == GIB
    assert MemoryBudget.of(settings, available=None).work_bytes == GIB


def test_a_full_machine_holds_no_image() -> None:
    budget = MemoryBudget.of(Settings(features_ram_bytes=GIB), available=GIB)
    assert not budget.for_images(TokenCosts.of(SHAPE, width=2)).holds([1])
    assert not budget.holds([MemoryNeed(kv_bytes=1)])


def test_a_system_that_tells_nothing_bounds_keys_and_values_only() -> None:
    budget = MemoryBudget.of(Settings(kv_max_bytes=GIB), available=None)
    assert budget.holds([MemoryNeed(kv_bytes=GIB, image_bytes=1 << 50)])
    assert not budget.holds([MemoryNeed(kv_bytes=GIB), MemoryNeed(kv_bytes=1)])


def test_requests_share_the_towers_memory_and_nothing_else() -> None:
    budget = MemoryBudget(kv_bytes=10, work_bytes=100)
    assert budget.holds([MemoryNeed(kv_bytes=5, image_bytes=30, tower_bytes=40)] * 2)
    assert not budget.holds([MemoryNeed(kv_bytes=6)] * 2)
    assert not budget.holds([MemoryNeed(image_bytes=31, tower_bytes=40)] * 2)
