"""Questions about long images with the bundled model and a context of a thousand tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from demo.data import words
from demo.data.drawing import draw_receipt
from shared.settings import BUNDLED_MODEL
from tests.support.harness import QUICK, RedisServer, running_system
from tests.support.images.image_bytes import saved

pytestmark = [pytest.mark.model, pytest.mark.timeout(240)]

#: Tokens of context, and bytes of the keys and values of one.
ROOM, TOKEN_BYTES = 1600, 2560
BUDGET = "65536"
#: Pixels of an image that a token covers.
TOKEN_PIXELS = 256


def receipt(lines: int) -> bytes:
    rng = Random(11)
    items = [(words.plain(rng).capitalize(), words.price(rng)) for _ in range(lines - 2)]
    return saved(draw_receipt("Corner Shop", items, "4812.50", size=26)[0], "PNG")


def without_strips(folder: Path) -> Path:
    """Return the bundled model as one that reads whatever it sees in one look, as large ones do."""
    folder.mkdir()
    for file in Path(BUNDLED_MODEL).iterdir():
        (folder / file.name).symlink_to(file)
    about = json.loads((folder / "sightline.json").read_text())
    del about["letters_at_once"]
    (folder / "sightline.json").unlink()
    (folder / "sightline.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def client(shared_redis: RedisServer, tmp_path_factory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("questions")
    model = without_strips(folder / "model")
    env = {"SIGHTLINE_MODEL": str(model), "SIGHTLINE_KV_MAX_BYTES": str(TOKEN_BYTES * ROOM)}
    with running_system(shared_redis.url, folder, **QUICK, **env) as system:
        system.worker(slots=4)
        yield system.gateway()[1]


def ask(client: httpx.Client, image: bytes | None = None, **fields: str) -> dict:
    data = {"max_new_tokens": "48", **fields}
    files = {"image": ("long.png", image)} if image else None
    headers = {"Prefer": "wait=60"}
    answer = client.post("/v1/jobs", data=data, files=files, headers=headers)
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert job["status"] == "succeeded", job
    return job


def test_a_question_after_a_reading_is_answered_from_the_tiles_that_were_read(client):
    # a stream shows the text before the preset's rules
    form = {"preset": "ocr", "postprocess": "[]", "tiling": "read", "max_pixels": BUDGET}
    read = ask(client, receipt(20), session_id="short", **form)
    assert len(read["output"]["tiles"]) > 3
    assert streamed(client, read) == read["output"]["text"]
    followup = ask(client, prompt="Read the text.", session_id="short")
    assert followup["cache"]["features"] == "hit"
    assert followup["usage"]["image_tokens"] == read["usage"]["image_tokens"]
    assert followup["output"]["tiles"] is None
    assert followup["output"]["text"]


def test_what_no_prompt_has_room_for_is_asked_part_by_part_and_its_evidence_named(client):
    form = {"prompt": "What is the total?", "tiling": "ask", "max_pixels": BUDGET}
    first = ask(client, receipt(110), session_id="long", **form)
    boxes = [tile["box"] for tile in first["output"]["tiles"]]
    assert sum((b[2] - b[0]) * (b[3] - b[1]) for b in boxes) / TOKEN_PIXELS > ROOM
    assert streamed(client, first) == first["output"]["text"]
    # held to what one part has said, the answer rests on that part and its likes
    first_line = first["output"]["tiles"][0]["text"].split("\n")[0].strip()
    chosen = ask(client, receipt(110), choices=json.dumps([first_line]), **form)
    tiles = chosen["output"]["tiles"]
    assert chosen["output"]["text"] == first_line
    assert tiles[0]["evidence"]
    assert [t["text"] for t in tiles] == [t["text"] for t in first["output"]["tiles"]]
    again = ask(client, prompt="Read the text.", session_id="long")
    assert [tile["box"] for tile in again["output"]["tiles"]] == boxes


def streamed(client: httpx.Client, job: dict) -> str:
    with client.stream("GET", job["urls"]["events"]) as stream:
        frames = "".join(stream.iter_text()).split("\n\n")
    events = [dict(line.split(": ", 1) for line in f.splitlines() if ": " in line) for f in frames]
    deltas = [json.loads(e["data"]) for e in events if e.get("event") == "output.delta"]
    return "".join(delta["text"] for delta in deltas)
