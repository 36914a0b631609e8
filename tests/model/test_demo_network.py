from random import Random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from demo import batches, labels, network, rows, scenes  # noqa: E402
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
    packed = rows.collate([rows.row(Random(1), samples[0])], 2, 4)
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
    row, column = int(glyph.y) // 16, int(glyph.x) // 16
    place = ((row // 2) * 4 + column // 2) * 4 + (row % 2) * 2 + column % 2
    assert labels.CLASSES[glyph.char] in marks[place, : labels.SLOTS]
