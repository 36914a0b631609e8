import itertools
import math
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from demo.data import pairs, scenes, shapes  # noqa: E402
from demo.training import (  # noqa: E402
    batches,
    feeding,
    labels,
    losses,
    network,
    rounding,
    rows,
    stages,
    team,
    train,
)
from demo.training.tokens import IDS  # noqa: E402
from worker.engine.ops import onednn  # noqa: E402

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return network.build_model().eval()


@pytest.fixture(scope="module")
def samples():
    return [scenes.block(Random(number), 128, 64) for number in range(3)]


def doubled(pixels):
    """The module's own input: (patches, 1536), every patch as two equal frames."""
    flat = pixels.reshape(-1, 3, 1, 16, 16)
    return flat.expand(-1, 3, 2, 16, 16).reshape(len(flat), -1)


@torch.no_grad()
def test_the_batched_tower_sees_what_the_module_sees(model, samples):
    images = batches.build_images(samples)
    seen = network.run_tower(model.model.visual, images.values(), images.height, images.width)
    grid = torch.tensor([[1, images.height, images.width]] * len(samples))
    known = model.model.visual(doubled(images.values()), grid_thw=grid)
    torch.testing.assert_close(seen.tokens.flatten(0, 1), known.pooler_output, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        seen.deepstack[0].flatten(0, 1), known.deepstack_features[0], atol=1e-5, rtol=1e-4
    )


@torch.no_grad()
def test_the_batched_reader_thinks_what_the_model_thinks(model, samples):
    images = batches.build_images(samples[:1])
    packed = rows.collate([rows.build_row(Random(1), samples[0])], images.height, images.width)
    grid = torch.tensor([[1, images.height, images.width]])
    places = packed.ids == IDS["<|image_pad|>"]
    known = model(
        input_ids=packed.ids,
        pixel_values=doubled(images.values()),
        image_grid_thw=grid,
        mm_token_type_ids=places.int(),
    )
    language = model.model.language_model
    seen = network.run_tower(model.model.visual, images.values(), images.height, images.width)
    embeddings = language.embed_tokens(packed.ids).index_put((places,), seen.tokens.flatten(0, 1))
    deepstack = [level.flatten(0, 1) for level in seen.deepstack]
    thought = network.run_language_model(
        language, embeddings, packed.positions, deepstack, places, (2,)
    )
    torch.testing.assert_close(model.lm_head(thought.last), known.logits, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_two_pictures_stand_where_the_model_puts_them(model):
    sample = pairs.texts(Random(2), 96, 64)
    images = batches.build_images([sample])
    row = rows.build_row(Random(1), sample)
    packed = rows.collate([row], images.height, images.width)
    grid = torch.tensor([[1, images.height, images.width]] * 2)
    places = packed.ids == IDS["<|image_pad|>"]
    known, _ = model.model.get_rope_index(
        packed.ids, mm_token_type_ids=places.int(), image_grid_thw=grid
    )
    assert len(images.pixels) == 2
    assert torch.equal(packed.positions, known)
    # a character of the second picture is read from a token of the second picture
    second = [at for at, glyph in enumerate(sample.glyphs) if glyph.y >= 64]
    tokens = labels.glyph_tokens(sample)
    assert {row.place(tokens[at]) // row.images[1] for at in second} == {1}


def test_patches_come_in_the_processors_order(samples):
    transformers = pytest.importorskip("transformers")
    from demo.checkpoint import FOLDER

    processor = transformers.AutoImageProcessor.from_pretrained(FOLDER, backend="pil")
    known = processor(images=[samples[0].image], return_tensors="pt", do_resize=False)
    ours = doubled(batches.build_images(samples[:1]).values())
    np.testing.assert_allclose(ours.numpy(), known["pixel_values"].numpy(), atol=1e-5)


def test_a_label_lies_where_its_character_is_drawn():
    sample = scenes.block(Random(5), 128, 64)
    marks = labels.patch_labels(sample)
    glyph = sample.glyphs[0]
    place = int(glyph.y) // 16 * 8 + int(glyph.x) // 16
    assert labels.CLASSES[glyph.char] in marks[place, : labels.SLOTS]


SHAPES = [
    shapes.Shape("circle", "red", 4, 4, 24),
    shapes.Shape("square", "red", 44, 8, 40),
    shapes.Shape("circle", "blue", 92, 4, 30),
]


def drawn(some):
    canvas = shapes.draw_shapes(some, width=128, height=64)
    return scenes.Sample(canvas.image, [], [], [shape.region for shape in some])


def test_a_shape_is_in_the_patches_that_it_covers_and_its_centre_in_one():
    marks = labels.patch_labels(drawn(SHAPES))
    for shape in SHAPES:
        own = marks[marks[:, -2] == shape.kind]
        assert len(own) * 256 == pytest.approx(shape.size**2, rel=0.8)
        assert sorted(own[:, -1])[-2:] == [1, 2]
    covered = [one for some in labels.region_tokens(drawn(SHAPES)) for one in some]
    assert len(set(covered)) == len(covered) == (marks[:, -2] > 0).sum()


def test_a_number_is_counted_from_the_shapes_that_it_is_of():
    talk = shapes.ShapeConversation(Random(1), SHAPES)
    assert talk.count().counted == (0, 1, 2)
    turns = [talk.count_colour() for _ in range(40)] + [talk.count_shape() for _ in range(40)]
    assert {(turn.answer, turn.counted) for turn in turns} == {
        *(("2", (0, 1)), ("1", (2,)), ("2", (0, 2)), ("1", (1,)), ("0", ())),
    }


def test_to_count_is_to_look_equally_at_each_thing_and_the_beginning():
    sample = drawn(SHAPES)
    sample.turns = [shapes.ShapeConversation(Random(1), SHAPES).count()]
    packed = rows.collate([rows.build_row(Random(1), sample)], 4, 8)
    length = packed.ids.shape[1]
    ((_, place),) = packed.counting.tolist()

    def scored(weights):
        scores = torch.full((1, length, length), -30.0)
        for thing, weight in enumerate(weights):
            keys = packed.counted[packed.counted[:, 1] == thing, 2]
            scores[0, place, keys] = math.log(weight / len(keys))
        return losses.counting_loss(scores, packed)

    assert packed.ids[0, packed.counted[0, 2]] == IDS["<|vision_start|>"]
    assert (packed.ids[0, packed.counted[1:, 2]] == IDS["<|image_pad|>"]).all()
    loss, share = scored([1, 1, 1, 1])
    assert (loss.item(), share) == (pytest.approx(math.log(4)), pytest.approx(1))
    assert scored([1, 1, 1, 2])[0] > loss
    assert scored([2, 1, 1, 1])[0] > loss


PLAN = stages.ReaderPlan(
    frozen=0, settled=0, pages=0.3, largest=90, dense_every=3, scale=0.1, together=2, parts=2
)


def test_all_processes_see_large_pages_in_the_same_steps():
    seen = [[PLAN.page(1, step, 4 * step + k) for k in range(2)] for step in range(200)]
    others = [[PLAN.page(1, step, 4 * step + 2 + k) for k in range(2)] for step in range(200)]
    assert seen == others
    assert 70 < sum(map(sum, seen)) < 170
    assert any(first != second for first, second in seen)


def test_the_first_steps_from_a_checkpoint_train_the_heads_alone(model):
    plan = PLAN._replace(settled=1, dense_every=0, pages=0, scale=0.01)
    heads = network.Heads()
    stage = stages.ReaderStage(model, heads, 1, plan)
    sample = pairs.scenes(Random(4), 128, 96)
    images = batches.build_images([sample])
    batch = (images, [rows.collate([rows.build_row(Random(1), sample)], 6, 8)])

    def trained(step):
        model.zero_grad(set_to_none=True)
        loss, _, count = stage.losses(step, batch)
        loss.backward()
        assert count == 1
        return {name for name, value in model.named_parameters() if value.grad is not None}

    assert trained(0) == set()
    assert heads.patch_kind.weight.grad is not None
    assert trained(1) == {name for name, _ in model.named_parameters()}
    model.zero_grad(set_to_none=True)


def numbers(step):
    second = SimpleNamespace(size=3, rank=1)
    return list(itertools.islice(team.Team.numbers(second, step, together=2), 4))


def test_no_two_processes_draw_the_same_batch():
    assert numbers(0) == [(0, 2), (0, 3), (1, 8), (1, 9)]
    assert numbers(5) == [(5, 32), (5, 33), (6, 38), (6, 39)]


def parts(batch):
    """All tensors of a batch, of the tower's or of the reader's."""
    images, chunks = batch if isinstance(batch, tuple) else (batch, [])
    return [images.pixels, images.marks, *(chunk.ids for chunk in chunks)]


def test_batches_drawn_ahead_are_those_drawn_at_once_and_in_order():
    places = numbers(3)
    draw = stages.ReaderBatches(seed=1, plan=PLAN)
    ahead = list(feeding.load_batches(draw, places, drawers=2, pin=False))
    assert len(ahead) == len(places)
    for place, batch in zip(places, ahead, strict=True):
        pairs = list(zip(parts(batch), parts(draw(*place)), strict=True))
        assert all(torch.equal(one, other) for one, other in pairs)


def test_a_rate_rises_holds_and_falls_with_the_run():
    assert train.rate_share(0, 0.0) == 1 / train.WARM
    assert train.rate_share(1000, 0.5) == 1
    assert train.rate_share(1000, 1 - train.FALL / 2) == pytest.approx(0.5)
    assert train.rate_share(1000, 1.0) == train.LEAST
    assert train.rate_share(-1, 0.0) == 1
    schedule = train.Schedule(200, None)
    assert (schedule.done(0), schedule.done(50)) == (0, 0.25)
    assert train.Schedule(200, 1e-9).done(0) > 1


def test_rounded_weights_stay_as_they_are_when_int8_takes_them():
    weight = torch.randn(96, 256) * torch.rand(96, 1)
    near = rounding.round_to_int8(weight)
    assert (near.float() - weight).norm() < 0.01 * weight.norm()
    levels, _ = onednn.quantize_rows(onednn.spread(weight))
    again, steps = onednn.quantize_rows(onednn.spread(near.float()))
    assert (levels == again).float().mean() > 0.999
    taken = onednn.spread(again.float() * steps[:, None])
    assert (taken - near.float()).norm() < 0.3 * (near.float() - weight).norm()
