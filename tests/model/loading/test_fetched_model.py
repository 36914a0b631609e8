"""The engine loads what was downloaded, and refuses with the download's own line."""

from __future__ import annotations

import pytest

from shared.settings import BUNDLED_MODEL, Settings
from tests.support.harness import ROOT
from tests.support.servers.model_hub import running_hub
from worker.engine.loader import ModelNotLoadable, load_model
from worker.start_report import find_problem

pytestmark = pytest.mark.model


def test_a_model_of_modelscope_is_loaded_and_a_missing_one_is_named(tmp_path, monkeypatch):
    checkpoint = (ROOT / "demo/checkpoint").iterdir()
    files = {file.name: file.read_bytes() for file in checkpoint if file.is_file()}
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with running_hub(files) as hub:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
        settings = Settings(model="modelscope:Qwen/Tiny", weights_dir=tmp_path)
        fetched, bundled = load_model(settings), load_model(Settings(model=BUNDLED_MODEL))
        assert (fetched.name, fetched.revision) == (bundled.name, bundled.revision)
        hub.list_faults = [(404, {})]
        missing = settings.model_copy(update={"model": "modelscope:Qwen/Other"})
        with pytest.raises(ModelNotLoadable, match=r"Qwen/Other.*ModelScope.*check the name") as no:
            load_model(missing)
    assert find_problem(no.value) == "not_there"
