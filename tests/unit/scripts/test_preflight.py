"""What `make up` refuses before it starts anything, each with one line."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from scripts.service import preflight
from scripts.service.instance import ROOT, InstanceError
from scripts.service.preflight import Address
from shared.config_check import variable_names
from shared.settings import BUNDLED_MODEL, Settings


@pytest.fixture
def taken_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_named_with_the_next_one(taken_port):
    with pytest.raises(InstanceError, match=f"port {taken_port} .*make up PORT={taken_port + 1}"):
        preflight.check_address(Settings(port=taken_port))


def test_a_free_port_is_fine():
    preflight.check_address(Settings(port=preflight.free_port()))


def test_a_host_that_is_not_of_this_machine_is_refused():
    settings = Settings(host="192.0.2.1", port=7860, allow_anonymous=True)
    with pytest.raises(InstanceError, match=r"192\.0\.2\.1"):
        preflight.check_address(settings)


@pytest.mark.parametrize("model", ["simulated", "Qwen/Qwen3-VL-2B-Instruct"])
def test_a_name_is_handed_on_as_it_is(model):
    assert preflight.check_model(model) == model


def test_the_bundled_model_is_there():
    assert preflight.check_model(BUNDLED_MODEL) == BUNDLED_MODEL


def test_a_relative_model_folder_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/config.json").write_text("{}")
    assert preflight.check_model("mine") == str(tmp_path / "mine")


@pytest.mark.parametrize("model", ["/no/such/model", "./model", "model"])
def test_a_missing_model_folder_is_named(model):
    with pytest.raises(InstanceError, match=r"MODEL=.*does not exist"):
        preflight.check_model(model)


def test_a_folder_beside_a_hub_like_name_is_meant_as_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    with pytest.raises(InstanceError, match="does not exist"):
        preflight.check_model("models/qwen")


def test_a_folder_without_a_configuration_is_named(tmp_path):
    with pytest.raises(InstanceError, match=r"no config\.json"):
        preflight.check_model(str(tmp_path))


def test_a_wrong_setting_is_one_line_with_its_name(monkeypatch):
    monkeypatch.setenv("SIGHTLINE_SLOTS", "many")
    with pytest.raises(InstanceError, match="SIGHTLINE_SLOTS") as trouble:
        preflight.read_settings()
    assert "\n" not in str(trouble.value)


def test_flower_moves_aside_when_its_port_is_taken(taken_port, monkeypatch):
    monkeypatch.setattr(preflight, "FLOWER_PORT", taken_port)
    monkeypatch.delenv("SIGHTLINE_FLOWER_PORT", raising=False)
    chosen = preflight.choose_flower_address(7860)
    assert chosen.port not in {taken_port, 7860}


@pytest.mark.parametrize(
    ("environ", "ignored"),
    [
        ({"SLOTS": "4", "HOST": "::"}, ["HOST", "SLOTS"]),
        ({"SLOTS": "4", "SIGHTLINE_SLOTS": "4"}, []),
        ({"SIGHTLINE_SLOT": "4"}, ["SIGHTLINE_SLOT"]),
        (dict.fromkeys(("PORT", "MODEL", "FLOWER_PORT", "LOG_FILE", "PATH"), "x"), []),
    ],
)
def test_a_variable_without_any_effect_is_told_in_one_line(environ, ignored):
    assert [line.split()[0] for line in preflight.find_ignored(environ)] == ignored


def test_every_short_name_of_make_works_as_a_variable_or_is_told():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    names = re.search(r"^SETTINGS := (.+)$", makefile, re.MULTILINE)[1].split()
    fields = Settings.model_fields.items()
    read = {name for field, info in fields for name in variable_names(field, info)}
    named = {line.split()[0] for line in preflight.find_ignored(dict.fromkeys(names, "1"))}
    assert {*names} - read - {"FLOWER_PORT"} == named


@pytest.mark.parametrize("name", ["SIGHTLINE_FLOWER_PORT", "FLOWER_PORT"])
def test_a_port_asked_for_flower_that_is_taken_is_refused(taken_port, monkeypatch, name):
    monkeypatch.delenv("SIGHTLINE_FLOWER_PORT", raising=False)
    monkeypatch.setenv(name, str(taken_port))
    with pytest.raises(InstanceError, match=f"FLOWER_PORT={taken_port}"):
        preflight.choose_flower_address(7860)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_a_wildcard_address_is_shown_as_loopback(host, url):
    assert Address(host, 80).url == url
