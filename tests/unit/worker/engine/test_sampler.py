"""The next token: penalties and cuts are those of transformers, and no parameter makes it fail."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from shared.jobs import GenerationParams
from worker.engine.generation.sampler import Sampler

VOCAB = 500
PROMPT = [3, 4, 5, 3, 3, 499]
ANSWER = [7, 8, 7, 7, 4]


def logits_of(seed: int) -> torch.Tensor:
    return 5 * torch.randn(VOCAB, generator=torch.Generator().manual_seed(seed))


def probabilities(params: GenerationParams, logits: torch.Tensor, monkeypatch) -> torch.Tensor:
    """Return the probabilities that a token is drawn from."""
    drawn_from: list[torch.Tensor] = []

    def draw(probabilities, *_, **__):
        drawn_from.append(probabilities / probabilities.sum())
        return torch.zeros(1)

    monkeypatch.setattr(torch, "multinomial", draw)
    Sampler(params, PROMPT).sample(logits, ANSWER)
    return drawn_from[0]


@pytest.mark.parametrize(
    "asked",
    [
        {"temperature": 0.7},
        {"temperature": 0.7, "top_k": 20},
        {"temperature": 1.0, "top_p": 0.8},
        {"temperature": 0.7, "top_k": 20, "top_p": 0.8},
        {"temperature": 1.9, "top_k": 300, "top_p": 0.99},
        {"temperature": 0.7, "top_k": 9999},
        {"temperature": 1.3, "min_p": 0.1},
        {"temperature": 0.7, "min_p": 1.0},
        {"temperature": 1.9, "top_k": 300, "top_p": 0.9, "min_p": 0.02},
        {"temperature": 1.0, "repetition_penalty": 1.3},
        {"temperature": 1.0, "repetition_penalty": 0.8},
        {"temperature": 0.6, "top_k": 40, "top_p": 0.95, "repetition_penalty": 1.05},
    ],
    ids=str,
)
def test_probabilities_are_those_of_transformers(asked, monkeypatch):
    params = GenerationParams(do_sample=True, **{"top_p": 1.0, **asked})
    reference = LogitsProcessorList([RepetitionPenaltyLogitsProcessor(params.repetition_penalty)])
    reference.append(TemperatureLogitsWarper(params.temperature))
    if params.top_k:
        reference.append(TopKLogitsWarper(params.top_k))
    if params.top_p < 1:
        reference.append(TopPLogitsWarper(params.top_p))
    if params.min_p:
        reference.append(MinPLogitsWarper(params.min_p))
    for seed in range(30):
        logits = logits_of(seed)
        scores = reference(torch.tensor([PROMPT + ANSWER]), logits[None])
        expected = torch.softmax(scores[0], -1)
        actual = probabilities(params, logits, monkeypatch)
        assert torch.allclose(actual, expected, atol=1e-6), asked


def test_presence_and_frequency_are_taken_from_tokens_of_the_answer_alone(monkeypatch):
    params = GenerationParams(
        do_sample=True, temperature=1, top_p=1, presence_penalty=1.5, frequency_penalty=0.25
    )
    expected = logits_of(1)
    for token in set(ANSWER):
        expected[token] -= 1.5 + 0.25 * ANSWER.count(token)
    actual = probabilities(params, logits_of(1), monkeypatch)
    assert torch.allclose(actual, torch.softmax(expected, -1), atol=1e-6)


def test_penalties_change_the_likeliest_token_too():
    logits = torch.zeros(VOCAB)
    logits[7], logits[9] = 2.0, 1.0
    for penalty in ({"presence_penalty": 1.5}, {"frequency_penalty": 0.5}):
        assert Sampler(GenerationParams(**penalty)).sample(logits, ANSWER) == 9
    assert Sampler(GenerationParams(repetition_penalty=3)).sample(logits, ANSWER) == 9
    assert Sampler(GenerationParams(repetition_penalty=3), [9, 7]).sample(logits) == 7
    assert Sampler(GenerationParams()).sample(logits, ANSWER) == 7


@pytest.mark.parametrize("temperature", [0.0, 5e-324, 1e-300, 1e-38, 1e-10, 1e-5, 1e-4])
@pytest.mark.parametrize("top_p", [5e-324, 1e-300, 1e-38, 1e-9, 1.0])
def test_the_coldest_and_narrowest_choice_is_the_likeliest_token(temperature, top_p):
    params = GenerationParams(do_sample=True, temperature=temperature, top_p=top_p)
    for seed in range(5):
        logits = logits_of(seed)
        assert Sampler(params).sample(logits) == int(logits.argmax())
        # in bfloat16 several may be the likeliest
        coarse = logits.bfloat16()
        assert coarse[Sampler(params).sample(coarse)] == coarse.max()


@pytest.mark.parametrize("top_p", [1e-300, 0.5, 1.0])
@pytest.mark.parametrize("temperature", [1e-38, 1e-5, 1e-3, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [None, -1, 0, 1, VOCAB + 1])
def test_a_token_is_drawn_from_what_a_constraint_left_whatever_is_asked(top_p, temperature, top_k):
    params = GenerationParams(
        do_sample=True,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        presence_penalty=2,
        frequency_penalty=-2,
        repetition_penalty=10,
    )
    logits = 1e4 * logits_of(3)
    allowed = [7, 77]
    masked = torch.full_like(logits, -torch.inf)
    masked[allowed] = logits[allowed]
    for _ in range(5):
        assert Sampler(params, PROMPT).sample(masked, ANSWER) in allowed


def test_a_seed_repeats_what_it_drew():
    params = GenerationParams(do_sample=True, temperature=1.5, top_p=1, seed=4)
    drawn = [[Sampler(params).sample(logits_of(n)) for n in range(9)] for _ in range(2)]
    assert drawn[0] == drawn[1]
