import math
from random import Random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from demo import batches, labels, losses, network, rows, scenes, shapes, stages  # noqa: E402
from demo.tokens import IDS  # noqa: E402

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return network.build().eval()


@pytest.fixture(scope="module")
def samples():
    return [scenes.block(Random(number), 128, 64) for number in range(3)]


def doubled(pixels):
    """The module's own input: (patches, 1536), every patch as two equal frames."""
    flat = pixels.reshape(-1, 3, 1, 16, 16)
    return flat.expand(-1, 3, 2, 16, 16).reshape(len(flat), -1)


@torch.no_grad()
def test_the_batched_tower_sees_what_the_module_sees(model, samples):
    images = batches.images(samples)
    seen = network.look(model.model.visual, images.pixels, images.height, images.width)
    grid = torch.tensor([[1, images.height, images.width]] * len(samples))
    known = model.model.visual(doubled(images.pixels), grid_thw=grid)
    torch.testing.assert_close(seen.tokens.flatten(0, 1), known.pooler_output, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        seen.deepstack[0].flatten(0, 1), known.deepstack_features[0], atol=1e-5, rtol=1e-4
    )


@torch.no_grad()
def test_the_batched_reader_thinks_what_the_model_thinks(model, samples):
    images = batches.images(samples[:1])
    packed = rows.collate([rows.row(Random(1), samples[0])], images.height, images.width)
    grid = torch.tensor([[1, images.height, images.width]])
    places = packed.ids == IDS["<|image_pad|>"]
    known = model(
        input_ids=packed.ids,
        pixel_values=doubled(images.pixels),
        image_grid_thw=grid,
        mm_token_type_ids=places.int(),
    )
    language = model.model.language_model
    seen = network.look(model.model.visual, images.pixels, images.height, images.width)
    embeddings = language.embed_tokens(packed.ids).index_put((places,), seen.tokens.flatten(0, 1))
    deepstack = [level.flatten(0, 1) for level in seen.deepstack]
    thought = network.think(language, embeddings, packed.positions, deepstack, places, (2,))
    torch.testing.assert_close(model.lm_head(thought.last), known.logits, atol=1e-4, rtol=1e-3)


def test_patches_come_in_the_processors_order(samples):
    transformers = pytest.importorskip("transformers")
    from demo.checkpoint import FOLDER

    processor = transformers.AutoImageProcessor.from_pretrained(FOLDER, backend="pil")
    known = processor(images=[samples[0].image], return_tensors="pt", do_resize=False)
    ours = doubled(batches.images(samples[:1]).pixels)
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
    talk = shapes.Talk(Random(1), SHAPES)
    assert talk.count().counted == (0, 1, 2)
    turns = [talk.count_colour() for _ in range(40)] + [talk.count_shape() for _ in range(40)]
    assert {(turn.answer, turn.counted) for turn in turns} == {
        *(("2", (0, 1)), ("1", (2,)), ("2", (0, 2)), ("1", (1,)), ("0", ())),
    }


def test_to_count_is_to_look_equally_at_each_thing_and_the_beginning():
    sample = drawn(SHAPES)
    sample.turns = [shapes.Talk(Random(1), SHAPES).count()]
    packed = rows.collate([rows.row(Random(1), sample)], 4, 8)
    length = packed.ids.shape[1]
    ((_, place),) = packed.counting.tolist()

    def scored(weights):
        scores = torch.full((1, length, length), -30.0)
        for thing, weight in enumerate(weights):
            keys = packed.counted[packed.counted[:, 1] == thing, 2]
            scores[0, place, keys] = math.log(weight / len(keys))
        return losses.counting(scores, packed)

    assert packed.ids[0, packed.counted[0, 2]] == IDS["<|vision_start|>"]
    assert (packed.ids[0, packed.counted[1:, 2]] == IDS["<|image_pad|>"]).all()
    loss, share = scored([1, 1, 1, 1])
    assert (loss.item(), share) == (pytest.approx(math.log(4)), pytest.approx(1))
    assert scored([1, 1, 1, 2])[0] > loss
    assert scored([2, 1, 1, 1])[0] > loss


def test_all_processes_see_large_pages_in_the_same_steps():
    plan = stages.Plan(frozen=0, pages=0.3, largest=90, dense_every=3)
    seen = [plan.page(1, step) for step in range(200)]
    assert seen == [plan.page(1, step) for step in range(200)]
    assert 30 < sum(seen) < 90
