"""Which prompt an estimate counts."""

from __future__ import annotations

import pytest

from gateway.submission.planning.estimate import EstimateRequest, with_prompt
from shared.catalog.presets import BUILT_IN, Preset

PRESETS = {preset.name: preset for preset in BUILT_IN} | {
    "own": Preset(name="own", prompt={"en": "Answer: {prompt}"})
}


@pytest.mark.parametrize(
    ("fields", "prompt"),
    [
        ({}, "?"),
        ({"preset": "own"}, "?"),
        ({"preset": "none such"}, "?"),
        ({"preset": "ocr"}, None),
        ({"preset": "ocr", "prompt": "Read it."}, "Read it."),
    ],
)
def test_a_prompt_stands_in_only_where_the_job_would_need_one(fields, prompt):
    assert with_prompt(EstimateRequest(**fields), PRESETS).prompt == prompt
