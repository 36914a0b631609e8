"""Models come whole from a hub, from ModelScope and from mirrors, whatever breaks on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.catalog.model_place import Place, find_place
from tests.support.harness import eventually
from tests.support.servers.model_hub import COMMIT, ModelHub, safetensors_of, tiny_model
from worker.weights import errors, fetching, model_folder
from worker.weights.fetching import fetch_model, is_here

SHARD = "model-00001-of-00002.safetensors"
NEEDED = {
    "config.json", "tokenizer.json", "model.safetensors.index.json",
    SHARD, "model-00002-of-00002.safetensors",
}  # fmt: skip
HUB = Place("huggingface", "Qwen/Tiny")
EVERYWHERE = pytest.mark.parametrize("place", [HUB, Place("modelscope", "Qwen/Tiny")], ids=str)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def needed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: files[name] for name in NEEDED}


@pytest.mark.parametrize("revision", ["", COMMIT])
@EVERYWHERE
def test_only_what_is_needed_comes_and_a_second_start_asks_nobody(place, revision, hub, tmp_path):
    folder = fetch_model(place, revision, cache=tmp_path)
    assert contents(folder) == needed(hub.files)
    assert hub.names_sent() == NEEDED
    asked = len(hub.seen)
    hub.files["config.json"] = b'{"newer": true}'
    assert is_here(place, revision, cache=tmp_path)
    assert fetch_model(place, revision, cache=tmp_path) == folder
    assert len(hub.seen) == asked


@EVERYWHERE
def test_a_token_goes_to_the_endpoint_and_to_no_other_host(place, hub, tmp_path, monkeypatch):
    hub.token = "hf_secret"
    with pytest.raises(errors.AccessDenied, match="HF_TOKEN"):
        fetch_model(place, cache=tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "hf_secret")
    before = len(hub.seen)
    fetch_model(place, cache=tmp_path)
    tokens = {path.startswith("/bytes/"): token for path, _, token in hub.seen[before:]}
    assert tokens == {False: True, True: False}


@EVERYWHERE
def test_a_cut_connection_goes_on_where_it_was_cut(place, hub, tmp_path):
    hub.cuts[SHARD] = [100_000, 100_000]
    folder = fetch_model(place, cache=tmp_path)
    assert contents(folder) == needed(hub.files)
    first, second, third = hub.requests_of(SHARD)
    assert (first, second.split("-")[0], third.split("-")[0]) == (
        "", "bytes=100000", "bytes=200000",
    )  # fmt: skip


def test_a_server_without_ranges_sends_all_of_it_again(hub, tmp_path):
    hub.ranges = False
    hub.cuts[SHARD] = [100_000]
    assert contents(fetch_model(HUB, cache=tmp_path)) == needed(hub.files)
    assert len(hub.requests_of(SHARD)) == 2


def test_wrong_bytes_are_fetched_again_once_and_never_loaded(hub, tmp_path):
    hub.wrong[SHARD] = 1
    assert contents(fetch_model(HUB, cache=tmp_path / "once")) == needed(hub.files)
    for name in (SHARD, "config.json"):
        hub.wrong[name] = 2
        with pytest.raises(errors.WrongChecksum, match=rf"{name}.*mirror"):
            fetch_model(HUB, cache=tmp_path / name)
        assert not is_here(HUB, cache=tmp_path / name)
        assert not list((tmp_path / name).rglob(f"snapshots/*/{name}"))


def test_a_name_that_moves_on_meanwhile_is_listed_again(hub, tmp_path, monkeypatch):
    newer = safetensors_of(300_000, 5)
    bring = fetching.download_file

    def bring_of_newer(requests, file, part):
        if file.name == SHARD:
            hub.files[SHARD] = newer
        bring(requests, file, part)

    monkeypatch.setattr(fetching, "download_file", bring_of_newer)
    folder = fetch_model(Place("modelscope", "Qwen/Tiny"), cache=tmp_path)
    assert (folder / SHARD).read_bytes() == newer


FAULTS = {
    "gone": ([(404, {})], errors.NotThere, "check the name"),
    "gated": ([(403, {"X-Error-Code": "GatedRepo"})], errors.AccessDenied, "accept its terms"),
    "forbidden": ([(403, {})], errors.AccessDenied, "token"),
    "down": ([(503, {"Retry-After": "0"})] * 6, errors.ServerDown, "503.*mirror"),
    "page": ([(200, {})], errors.ServerDown, "no JSON"),
}


@pytest.mark.parametrize(("faults", "kind", "sentence"), FAULTS.values(), ids=FAULTS)
@EVERYWHERE
def test_what_a_server_refuses_is_one_line_that_says_what_to_try(
    place, faults, kind, sentence, hub, tmp_path
):
    hub.list_faults = list(faults)
    with pytest.raises(kind, match=sentence) as caught:
        fetch_model(place, cache=tmp_path)
    assert "\n" not in str(caught.value)
    # and once it is over, all is well
    assert contents(fetch_model(place, cache=tmp_path)) == needed(hub.files)


def test_a_revision_that_is_not_there_is_named(hub, tmp_path):
    with pytest.raises(errors.NotThere, match=r"Qwen/Tiny@v9.*SIGHTLINE_MODEL_REVISION"):
        fetch_model(HUB, "v9", cache=tmp_path)


def test_passing_errors_and_addresses_out_of_date_are_tried_again(hub, tmp_path):
    hub.list_faults = [(429, {"Retry-After": "0"}), (502, {})]
    hub.file_faults = [(503, {}), (403, {})]
    assert contents(fetch_model(HUB, cache=tmp_path)) == needed(hub.files)


def test_without_network_the_line_names_mirror_modelscope_and_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(errors.NoNetwork, match=r"HF_ENDPOINT.*modelscope:.*folder"):
        fetch_model(HUB, cache=tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "hf-mirror")
    with pytest.raises(errors.NoNetwork, match="no address"):
        fetch_model(HUB, cache=tmp_path)


def test_a_full_disk_is_named_before_and_while_it_fills(hub, tmp_path, monkeypatch):
    usage = fetching.shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(fetching.shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(errors.DiskFull, match="still to come"):
            fetch_model(HUB, cache=tmp_path)
    assert SHARD not in hub.names_sent()
    full = Path("/dev/full")
    monkeypatch.setattr(model_folder.ModelFolder, "part", lambda *_: full)
    with pytest.raises(errors.DiskFull, match="is full"):
        fetch_model(HUB, cache=tmp_path)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"config.json": b"{}", "model.gguf": b"G"}, "llama.cpp"),
        ({"config.json": b"{}", "pytorch_model.bin": b"p"}, "safetensors"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": b"a"}, "LoRA"),
        ({"README.md": b"#"}, "no model"),
        ({**tiny_model(9), "model.safetensors.index.json": b"{}"}, "damaged"),
        ({name: b for name, b in tiny_model(9).items() if name != SHARD}, "1 of its 2 weight"),
    ],
)
def test_a_model_in_another_form_is_refused_before_its_weights_come(files, reason, hub, tmp_path):
    hub.files = files
    with pytest.raises(errors.NotReadable, match=reason):
        fetch_model(HUB, cache=tmp_path)
    assert not any(name.endswith((".safetensors", ".bin", ".gguf")) for name in hub.names_sent())


@EVERYWHERE
def test_names_that_lead_elsewhere_are_never_written(place, hub, tmp_path):
    names = ["../config.json", "/etc/passwd.json", "a/b.json", "..", "a\\b.json", ".hidden.json"]
    hub.files |= dict.fromkeys(names, b"{}")
    cache = tmp_path / "cache"
    assert contents(fetch_model(place, cache=cache)) == needed(hub.files)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_file_without_a_checksum_is_refused_only_where_it_is_needed(hub, tmp_path):
    place = Place("modelscope", "Qwen/Tiny")
    hub.unchecked = {"README.md", SHARD}
    with pytest.raises(errors.ServerDown, match=f"{SHARD} without a checksum"):
        fetch_model(place, cache=tmp_path)
    hub.unchecked = {"README.md"}
    assert contents(fetch_model(place, cache=tmp_path)) == needed(hub.files)


def start_fetching(hub: ModelHub, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker.weights", "fetch", "Qwen/Tiny"],
        env={**os.environ, "HF_ENDPOINT": hub.url, "SIGHTLINE_WEIGHTS_DIR": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_download_goes_on_and_of_several_at_once_one_downloads(hub, tmp_path):
    hub.piece_s = 0.1
    first = start_fetching(hub, tmp_path)
    eventually(lambda: any(hub.requests_of(SHARD)) or bool(hub.requests_of(SHARD)), 60)
    parts = tmp_path / "huggingface/models--Qwen--Tiny/sightline/parts"
    eventually(lambda: sum(part.stat().st_size for part in parts.glob("*")) > 100_000, 60)
    second = start_fetching(hub, tmp_path)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert not is_here(HUB, cache=tmp_path)
    third = start_fetching(hub, tmp_path)
    hub.piece_s = 0.01
    output = [process.communicate(timeout=120) for process in (second, third)]
    assert [second.returncode, third.returncode] == [0, 0], output
    folders = {Path(out.strip()) for out, _ in output}
    assert contents(folders.pop()) == needed(hub.files)
    assert not folders
    ranges = hub.requests_of(SHARD)
    assert len(ranges) == 2
    assert int(ranges[1].removeprefix("bytes=").partition("-")[0]) > 0


def test_half_a_copy_of_another_program_is_completed_and_a_whole_one_serves_without_network(
    hub, tmp_path, monkeypatch
):
    folder = tmp_path / "models--Qwen--Tiny"
    snapshot = folder / "snapshots" / hub.commit
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(hub.commit)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in NEEDED:
        (snapshot / name).write_bytes(hub.files[name])
    (snapshot / SHARD).write_bytes(hub.files[SHARD][:-1])
    with monkeypatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(errors.Unfinished, match="HF_HUB_OFFLINE"):
            fetch_model(HUB)
        (snapshot / SHARD).write_bytes(hub.files[SHARD])
        assert fetch_model(HUB) == snapshot
    hub.list_faults = [(503, {})] * 6
    assert fetch_model(HUB) == snapshot
    assert not is_here(HUB)
    (snapshot / SHARD).write_bytes(b"half")
    assert contents(fetch_model(HUB)) == needed(hub.files)
    assert is_here(HUB)


def test_what_huggingface_hub_fetched_is_checked_and_used(hub, tmp_path, monkeypatch):
    """It also shows that the hub of these tests is one for the hub's own library."""
    hub.home = ""
    program = "from huggingface_hub import snapshot_download as s; s('Qwen/Tiny')"
    caches = {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    subprocess.run([sys.executable, "-c", program], env={**os.environ, **caches}, check=True)
    assert hub.names_sent() == set(hub.files)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    hub.seen.clear()
    assert fetch_model(HUB) == tmp_path / "models--Qwen--Tiny/snapshots" / hub.commit
    assert is_here(HUB)
    assert not hub.names_sent()


def test_a_file_that_shrank_is_not_loaded_but_fetched_again(hub, tmp_path):
    folder = fetch_model(HUB, cache=tmp_path)
    (folder / SHARD).resolve().write_bytes(b"half")
    assert not is_here(HUB, cache=tmp_path)
    assert contents(fetch_model(HUB, cache=tmp_path)) == needed(hub.files)


def test_without_links_and_locks_the_files_themselves_are_laid_there(hub, tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    monkeypatch.setattr(model_folder.fcntl, "flock", refuse)
    folder = fetch_model(HUB, cache=tmp_path)
    assert contents(folder) == needed(hub.files)
    assert fetch_model(HUB, cache=tmp_path) == folder


PLACES = {
    "Qwen/Qwen3-VL-2B-Instruct": Place("huggingface", "Qwen/Qwen3-VL-2B-Instruct"),
    "hf:Qwen/X": Place("huggingface", "Qwen/X"),
    "hf://Qwen/X": Place("huggingface", "Qwen/X"),
    "modelscope:Qwen/X": Place("modelscope", "Qwen/X"),
    "ModelScope:Qwen/X": Place("modelscope", "Qwen/X"),
    "file:///models/my%20qwen": Place("folder", "/models/my qwen"),
    "file://localhost/models/qwen": Place("folder", "/models/qwen"),
    "~/qwen": Place("folder", str(Path("~/qwen").expanduser())),
    "/models/qwen": Place("folder", "/models/qwen"),
    "./Qwen/X": Place("folder", "Qwen/X"),
}


def test_a_name_says_where_a_model_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {name: find_place(name) for name in PLACES} == PLACES
    (tmp_path / "Qwen/X").mkdir(parents=True)
    assert find_place("Qwen/X") == Place("folder", "Qwen/X")
    assert find_place("hf:Qwen/X") == PLACES["hf:Qwen/X"]
    cached = tmp_path / "hub/models--Qwen--X/snapshots" / ("0" * 40)
    assert find_place(str(cached)).title == "Qwen/X"


@pytest.mark.parametrize(
    "name", ["modelscope:Qwen", "file://host/x", "file:x", "https://huggingface.co/Qwen/X", "ms:/x"]
)
def test_a_name_that_says_nothing_is_refused_with_what_would(name):
    with pytest.raises(ValueError, match=r"file:///"):
        find_place(name)
