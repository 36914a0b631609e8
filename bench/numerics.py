"""How far int8 and bfloat16 answer alike: `python -m bench.numerics [--count N]`.

Asks the bundled model the questions of its evaluation, each kind equally often.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import torch

from demo.evaluate import TASKS, distance, samples
from shared.jobs import GenerationParams
from shared.settings import Settings
from worker.engine.api import Completion, EngineRequest, ImageInput, Message
from worker.engine.engine import TorchEngine, load_engine

_NUMERICS = ("fp32", "bf16", "int8")


def main() -> None:
    """Print how right each numerics is, how alike they are, and how far their logits differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="images of each kind")
    count = parser.parse_args().count
    truths, requests = zip(*_requests(count), strict=True)
    answers, logits = {}, {}
    for numerics in _NUMERICS:
        engine = load_engine(Settings(numerics=numerics))
        logits[numerics] = torch.stack(list(_first_logits(engine, requests[::4])))
        answers[numerics] = _answers(engine, requests)
        engine.close()
    print("| numerics | answers | right | character errors |\n|---|---|---|---|")
    for numerics in _NUMERICS:
        right, errors = _compare(answers[numerics], truths)
        print(f"| {numerics} | {len(truths)} | {right:.1%} | {errors:.2%} |")
    print("\n| | equal | characters that differ | logit difference: largest | mean | spread |")
    print("|---|---|---|---|---|---|")
    for ours, theirs in (("bf16", "fp32"), ("int8", "fp32"), ("int8", "bf16")):
        same, errors = _compare(answers[ours], answers[theirs])
        off = (logits[ours] - logits[theirs]).abs()
        print(
            f"| {ours} against {theirs} | {same:.1%} | {errors:.2%} | {off.max():.2f} |"
            f" {off.mean():.3f} | {logits[theirs].std():.1f} |"
        )


def _compare(answers: Sequence[str], wanted: Sequence[str]) -> tuple[float, float]:
    """Return the share of equal answers, and of characters that would have to change."""
    pairs = list(zip(answers, wanted, strict=True))
    edits = sum(distance(a, b) for a, b in pairs)
    return sum(a == b for a, b in pairs) / len(pairs), edits / sum(map(len, wanted))


def _requests(count: int) -> Iterator[tuple[str, EngineRequest]]:
    """Yield true answers and first questions."""
    for task in TASKS:
        for number, sample in enumerate(samples(task, count)):
            source = ImageInput(f"img_{task.name}_{number}", sample.image, 1 << 20)
            turn = sample.turns[0]
            params = GenerationParams(max_new_tokens=len(turn.answer.encode()) + 24)
            message = Message("user", turn.question, (source,))
            yield turn.answer, EngineRequest("bench", (message,), params)


def _answers(engine: TorchEngine, requests: Sequence[EngineRequest]) -> list[str]:
    tickets = [engine.submit(request) for request in requests]
    ends = [list(ticket.events())[-1] for ticket in tickets]
    return [end.text for end in ends if isinstance(end, Completion)]


def _first_logits(engine: TorchEngine, requests: Sequence[EngineRequest]) -> Iterator[torch.Tensor]:
    """Yield the logits of each answer's first token."""
    seen: list[torch.Tensor] = []
    model = engine.model.text
    forward = model.forward
    model.forward = lambda batch: seen.append(forward(batch)) or seen[-1]
    for request in requests:
        one = request.params.model_copy(update={"max_new_tokens": 1})
        list(engine.submit(EngineRequest("bench", request.messages, one)).events())
        yield seen[-1][0].float()
    model.forward = forward


if __name__ == "__main__":
    main()
