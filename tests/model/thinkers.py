"""Tiny models whose template makes them think, and what they write by a script."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from tests.model.checkpoints import write_tiny_model
from worker.engine.batch import Batch
from worker.engine.engine import TorchEngine

_OPEN = "{{- '<|im_start|>assistant\\n' }}"
#: How a model that always thinks is prompted, and one that is told whether to.
ALWAYS = "{{- '<|im_start|>assistant\\n<think>\\n' }}"
SWITCHED = (
    _OPEN + "{%- if enable_thinking is defined and enable_thinking is false %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
)


def write_thinker(folder: Path, prompt: str, *, samples: bool = False) -> Path:
    """Write a tiny model whose tokenizer has the tags, and whose template ends in `prompt`.

    Its generation_config recommends sampling; transformers does it only where it `samples`.
    """
    write_tiny_model(folder, {"vocab_size": 272})
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    for number, tag in enumerate(("<think>", "</think>")):
        plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        tokenizer["added_tokens"].append({"id": 263 + number, "content": tag, **plain})
    file.write_text(json.dumps(tokenizer))
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace(_OPEN, prompt))
    generation = folder / "generation_config.json"
    advice = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "do_sample": samples}
    generation.write_text(json.dumps(json.loads(generation.read_text()) | advice))
    return folder


def follow_script(engine: TorchEngine, thought: str | None, answer: str) -> list[int]:
    """Make an engine's model write a thought and then an answer; return all ids that it reads.

    After a tag comes what belongs there: whoever closes the thinking, the answer follows. Without
    a thought only the answer is written. A script that is over ends, again and again.
    """
    tokenizer = engine.model.chat.backend
    tags = engine.model.chat.tags
    assert tags is not None
    end = min(engine.model.shape.end_tokens)
    scripts = {
        tags.begin: tokenizer.encode(f"\n{thought}\n</think>", add_special_tokens=False).ids,
        tags.end: [*tokenizer.encode(f"\n\n{answer}", add_special_tokens=False).ids, end],
        None: [*tokenizer.encode(answer, add_special_tokens=False).ids, end],
    }
    if thought is not None:
        scripts[None] = [tags.begin]
    read: list[int] = []
    forward = engine.model.text.forward

    def scripted(batch: Batch) -> torch.Tensor:
        logits = forward(batch)
        first = 0
        for segment in batch.segments:
            ids = batch.ids[segment.first : segment.first + segment.count].tolist()
            for place, token in enumerate(ids):
                read.append(token)
                if place >= segment.count - segment.scored:
                    logits[first] = -10.0
                    logits[first, _next(read, scripts, end)] = 10.0
                    first += 1
        return logits

    engine.model.text.forward = scripted  # type: ignore[method-assign]
    return read


def _next(read: list[int], scripts: dict[int | None, list[int]], end: int) -> int:
    """Return what follows what was read: the script after the latest tag, or after the prompt."""
    start = len(read) - read[::-1].index(257) - 1
    turn = read[start + 1 :]
    places = [at for at, token in enumerate(turn) if token in scripts]
    # the words assistant and a line break begin every turn
    at = places[-1] if places else len("assistant\n") - 1
    key = turn[at] if places else None
    written = len(turn) - at - 1
    script = scripts[key]
    # a prompt may have opened the thinking with a line break of its own
    return script[written] if 0 <= written < len(script) else end
