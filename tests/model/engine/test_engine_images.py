"""What an image costs is known from its size, and is what the model really sees."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from shared.errors import ImageAspect
from shared.prediction.visual_tokens import MAX_ASPECT, visual_tokens
from tests.model.checkpoints import image, request, user

pytestmark = pytest.mark.model


@given(
    width=st.integers(1, 6000),
    height=st.integers(1, 6000),
    max_pixels=st.sampled_from([65_536, 393_216, 1_048_576, 4_194_304]),
    min_pixels=st.sampled_from([4096, 65_536]),
)
def test_visual_tokens_are_those_of_the_image_processor(width, height, max_pixels, min_pixels):
    if max(width, height) > MAX_ASPECT * min(width, height):
        with pytest.raises(ValueError, match="aspect"):
            visual_tokens(width, height, max_pixels, min_pixels=min_pixels)
        return
    used_h, used_w = smart_resize(height, width, 32, min_pixels, max_pixels)
    ours = visual_tokens(width, height, max_pixels, min_pixels=min_pixels)
    assert ours == (used_w, used_h, used_w * used_h // 1024)


def test_the_announced_size_is_the_size_of_the_patches(model, engine_of) -> None:
    loaded = engine_of(model).model
    merge = loaded.shape.vision.merge
    for width, height in ((33, 700), (640, 480), (31, 31), (1000, 100)):
        source = image(1, width, height) if min(width, height) >= 32 else image(1, 32, 32)
        size = loaded.reader.size(source)
        assert len(loaded.reader.patches(source)) == merge**2 * size.tokens


def test_an_image_that_is_too_long_is_refused(bundled, engine_of) -> None:
    with pytest.raises(ImageAspect):
        engine_of(bundled).submit(request(user("?", image(1, 32 * 300, 32))))
