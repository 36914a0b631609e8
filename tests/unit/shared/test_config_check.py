"""The configuration check: where each setting comes from, and warnings about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from shared import config_check
from shared.settings import SECRETS_DIR, Settings
from shared.store.redis_info import RedisState
from tests.support.harness import ROOT

GOOD = RedisState("Redis 7", 10, 100, "noeviction", 0, aof=True)


def _lines(environ, sources=None):
    lines = config_check.list_effective_settings(Settings(), environ, sources or {})
    return {line.name: (line.value, line.source) for line in lines}


def test_each_setting_tells_where_it_comes_from(monkeypatch, tmp_path):
    (tmp_path / "SIGHTLINE_METRICS_TOKEN").write_text("from-a-file\n")
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    monkeypatch.setenv("PORT", "8123")
    monkeypatch.setenv("SIGHTLINE_SLOTS", "3")
    lines = _lines(os.environ, {"SIGHTLINE_SLOTS": ".env"})
    assert lines["SIGHTLINE_PORT"] == ("8123", "environment (PORT)")
    assert lines["SIGHTLINE_SLOTS"] == ("3", ".env")
    assert lines["SIGHTLINE_LEASE_S"] == ("8.0", "default")
    token = tmp_path / "SIGHTLINE_METRICS_TOKEN"
    assert lines["SIGHTLINE_METRICS_TOKEN"] == ("***", str(token))
    assert Settings().metrics_token == "from-a-file"
    # a count of tokens is no secret
    assert lines["SIGHTLINE_LIMIT_TOKENS_PER_MINUTE"] == ("0", "default")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SIGHTLINE_LEASE_S", "long", "SIGHTLINE_LEASE_S"),
        ("SIGHTLINE_PORT", "99999", "SIGHTLINE_PORT"),
        ("SIGHTLINE_NUMERICS", "fp4", "SIGHTLINE_NUMERICS"),
        ("SIGHTLINE_ALLOW_NETS", "here", "SIGHTLINE_ALLOW_NETS"),
        ("SIGHTLINE_WEBHOOK_SCHEDULE_S", "[1", "SIGHTLINE_WEBHOOK_SCHEDULE_S"),
        ("SIGHTLINE_WEBHOOK_SCHEDULE_S", '["x"]', "SIGHTLINE_WEBHOOK_SCHEDULE_S"),
        (
            "SIGHTLINE_BEAT_S",
            "7",
            "SIGHTLINE_LEASE_S must be at least three times SIGHTLINE_BEAT_S",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_variable(monkeypatch, capsys, name, value, words):
    monkeypatch.setenv(name, value)
    assert config_check.main() == 2
    assert words in capsys.readouterr().err
    with pytest.raises(ValidationError, match=words):
        Settings()


def test_a_list_is_given_as_json(monkeypatch):
    monkeypatch.setenv("SIGHTLINE_WEBHOOK_SCHEDULE_S", "[0, 5.5]")
    assert Settings().webhook_schedule_s == (0, 5.5)


def test_a_variable_wins_over_a_file_of_secrets(monkeypatch, tmp_path):
    (tmp_path / "SIGHTLINE_REDIS_URL").write_text("redis://:file@a/0")
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    assert Settings().redis_url == "redis://:file@a/0"
    monkeypatch.setenv("SIGHTLINE_REDIS_URL", "redis://:word@b/0")
    assert Settings().redis_url == "redis://:word@b/0"


def test_passwords_are_not_shown():
    environ = {"SIGHTLINE_REDIS_URL": "redis://me:hidden@db:6379/0"}
    settings = Settings(
        redis_url=environ["SIGHTLINE_REDIS_URL"],
        cache_url="redis://:hidden@one redis://:hidden@two",
        metrics_token="hidden-too",
    )
    text = str(list(config_check.list_effective_settings(settings, environ, {})))
    assert "redis://me:***@db:6379/0" in text
    assert "redis://:***@one redis://:***@two" in text
    assert "hidden" not in text


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"host": "0.0.0.0", "allow_anonymous": True}, "without a key"),
        ({"host": "0.0.0.0"}, "METRICS_TOKEN"),
        ({"host": "0.0.0.0"}, "PUBLIC_URL"),
        ({"host": "0.0.0.0", "public_url": "https://a.example/b"}, "BASE_PATH is '/'"),
        ({"host": "0.0.0.0", "allow_anonymous": True}, "ALLOWED_HOSTS"),
        ({"log_level": "DEBUG"}, "prompts"),
        ({"redis_url": "redis://db:6379/0"}, "without a password"),
        ({"cache_url": "redis://:word@a:6379 redis://b:6379"}, "points to b without a password"),
    ],
)
def test_what_strangers_could_do_is_told(changed, word):
    assert word in " ".join(config_check.check_exposure(Settings(**changed)))


def test_more_threads_than_cores_are_told():
    assert not list(config_check.check_machine(Settings(threads=1, kv_max_bytes=1 << 20)))
    assert "threads" in " ".join(config_check.check_machine(Settings(threads=4096)))
    assert "kv_max_bytes" in " ".join(
        config_check.check_machine(Settings(threads=1, kv_max_bytes=1 << 60))
    )


def test_a_worker_over_several_memory_domains_is_told():
    domains = [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert not list(config_check.check_domains(1, domains))
    assert not list(config_check.check_domains(8, [[0, 1, 2, 3, 4, 5, 6, 7]]))
    (sentence,) = config_check.check_domains(8, domains)
    assert "8 threads" in sentence
    assert "taskset -c 0-3, taskset -c 4-7" in sentence


@pytest.mark.parametrize(
    ("role", "changed", "word"),
    [
        ("queue", {"aof": False}, "append-only"),
        ("queue", {"policy": "allkeys-lru"}, "noeviction"),
        ("queue", {"max_bytes": 0}, "maxmemory"),
        ("queue", {"used_bytes": 90}, "90% full"),
        ("queue", {"evicted_keys": 3}, "evicted 3"),
        ("cache", {"policy": "noeviction"}, "allkeys-lfu"),
    ],
)
def test_a_redis_that_does_not_fit_its_role_is_told(role, changed, word):
    fields = {name: getattr(GOOD, name) for name in RedisState.__slots__}
    assert word in " ".join(config_check.check_redis(role, RedisState(**fields | changed)))
    assert not list(config_check.check_redis("queue", GOOD))


def test_a_misspelt_variable_is_told():
    sentences = list(
        config_check.find_misspelt({"SIGHTLINE_SLOT": "4", "SIGHTLINE_SLOTS": "4", "OTHER": "x"})
    )
    assert len(sentences) == 1
    assert "SIGHTLINE_SLOT " in sentences[0]


def test_no_variable_of_the_configuration_page_is_taken_for_a_misspelt_one():
    words = (ROOT / "scripts/reference/configuration.en.json").read_text(encoding="utf-8")
    assert not list(config_check.find_misspelt(dict.fromkeys(json.loads(words)["others"], "x")))


def _checked(folder, **environ):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SIGHTLINE_")}
    return subprocess.run(
        [sys.executable, "-m", "shared.settings"],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_asks_redis_and_reads_the_file_that_make_up_reads(redis_server, tmp_path):
    (tmp_path / ".env").write_text(f"SIGHTLINE_REDIS_URL={redis_server.url}\nSIGHTLINE_SLOTS=5\n")
    done = _checked(tmp_path, SIGHTLINE_SLOTS="6")
    assert done.returncode == 1, done.stderr
    assert f"{redis_server.url}  [.env]" in done.stdout
    assert "6  [environment]" in done.stdout
    assert "warning: the queue Redis has no maxmemory" in done.stdout
    assert "no append-only" not in done.stdout
    assert "queue Redis: Redis " in done.stdout
    assert "one server, 0 replicas, append-only file, noeviction" in done.stdout


def test_the_command_tells_what_computes_the_model(redis_server, tmp_path):
    pytest.importorskip("torch")
    redis = {"SIGHTLINE_REDIS_URL": redis_server.url, "SIGHTLINE_NATIVE_KERNELS": "0"}
    done = _checked(tmp_path, **redis, ONEDNN_MAX_CPU_ISA="AVX2", SIGHTLINE_NUMERICS="int8")
    assert "the model is computed by: int8 by oneDNN, 7-bit weights" in done.stdout
    assert "no worker can start" not in done.stdout


def test_the_command_tells_why_a_model_cannot_be_loaded(redis_server, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    done = _checked(tmp_path, SIGHTLINE_REDIS_URL=redis_server.url, MODEL="model.gguf")
    assert done.returncode == 1
    assert "warning: no worker can start here: model.gguf: a file, not a folder" in done.stdout


def test_the_command_tells_a_value_that_cannot_be(tmp_path):
    done = _checked(tmp_path, SIGHTLINE_PORT="none")
    assert done.returncode == 2
    assert "SIGHTLINE_PORT" in done.stderr


def test_what_the_generic_engine_makes_useless_or_dangerous_is_told():
    generic = Settings(engine="transformers", model="/m", slots=4, trust_remote_code=True)
    assert generic.jobs_at_once == 1
    slots, code = config_check.check_engine(generic)
    assert "SIGHTLINE_SLOTS=4 has no effect" in slots
    assert "any code" in code
    (useless,) = config_check.check_engine(Settings(model="/m", slots=4, trust_remote_code=True))
    assert "no effect without SIGHTLINE_ENGINE" in useless
    assert not list(
        config_check.check_engine(Settings(engine="transformers", model="simulated", slots=4))
    )
