"""Files of deploy/ and compose.yaml: valid, closed to outsiders, in step with the code."""

from __future__ import annotations

import re
import subprocess
import sys

import kubernetes_validate
import pytest
import yaml

from scripts import secrets
from shared.config_check import find_misspelt
from shared.settings import Settings
from tests.support.harness import ROOT

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
MANIFESTS = [
    document
    for file in sorted((ROOT / "deploy" / "k8s").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
]
#: Of kinds that are part of Kubernetes.
OWN = [one for one in MANIFESTS if not one["apiVersion"].startswith(("keda.sh", "kustomize"))]
PODS = [
    (one["metadata"]["name"], one["spec"]["template"]["spec"])
    for one in MANIFESTS
    if one["kind"] in ("Deployment", "StatefulSet")
]


def test_compose_files_follow_the_schema():
    files = ["compose.yaml", "deploy/compose.local.yaml"]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    completed = subprocess.run(
        [*command, *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_no_more_than_it_must(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"]["memory"]
    ports = service.get("ports", [])
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert bool(ports) == (name == "gateway")
    assert _read(name) <= set(COMPOSE["secrets"])


def test_redis_is_reached_by_our_own_processes_only():
    assert COMPOSE["networks"]["store"] == {"internal": True}
    for name in ("redis-queue", "redis-cache"):
        assert SERVICES[name]["networks"] == ["store"]


def _environments():
    for name, service in SERVICES.items():
        yield name, service.get("environment", {})
    for name, pod in PODS:
        variables = pod["containers"][0].get("env", [])
        yield name, {variable["name"]: variable["value"] for variable in variables}
    yield "map", next(one for one in MANIFESTS if one["kind"] == "ConfigMap")["data"]


def test_what_is_set_is_a_setting():
    for name, environment in _environments():
        assert list(find_misspelt(environment)) == [], name


def _seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_a_stopping_process_gets_the_time_that_it_was_promised():
    for name in ("worker", "courier"):
        service = SERVICES[name]
        assert _seconds(service["stop_grace_period"]) > service["environment"]["SIGHTLINE_DRAIN_S"]
    for _, pod in PODS:
        environment = {v["name"]: v["value"] for v in pod["containers"][0].get("env", [])}
        drain_s = float(environment.get("SIGHTLINE_DRAIN_S", Settings().drain_s))
        assert pod["terminationGracePeriodSeconds"] > drain_s


def test_the_secrets_that_are_made_are_those_that_are_read(tmp_path):
    folder = tmp_path / "secrets"
    made = secrets.write_secrets(folder)
    assert set(COMPOSE["secrets"]) <= {*made, "users.acl"}
    assert {name for name, file in COMPOSE["secrets"].items() if name not in file["file"]} == set()
    password = (folder / "redis-worker-password").read_text()
    (folder / "worker-cache-url").unlink()
    assert secrets.write_secrets(folder) == ["worker-cache-url"]
    url = (folder / "worker-cache-url").read_text()
    assert url == f"redis://worker:{password}@redis-cache:6379/0"
    assert password not in (folder / "users.acl").read_text()


def _read(service):
    secrets = SERVICES[service]["secrets"]
    return {one if isinstance(one, str) else one["source"] for one in secrets}


def test_a_process_knows_no_redis_user_but_its_own():
    owners = {"gateway": "gateway", "courier": "gateway", "worker": "worker", "flower": "flower"}
    for service in SERVICES:
        known = {name.split("-")[0] for name in _read(service) if name.endswith("-url")}
        owner = {"admin": "operator"}.get(service, owners.get(service))
        assert known == ({owner} if owner else set())
    for name, pod in PODS:
        volume = next(one for one in pod["volumes"] if one["name"] == "secrets")
        keys = [item["key"] for item in volume["secret"]["items"]]
        known = {key.split("-")[0] for key in keys if key.endswith("-url")}
        owner = {"admin": "operator"}.get(name, owners.get(name))
        assert known == ({owner} if owner else set())


def test_the_image_is_made_of_files_that_exist_and_are_sent():
    sent = (ROOT / ".dockerignore").read_text().split()
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    sources = re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
    for source in {path for line in sources for path in line.split()[:-1]}:
        assert (ROOT / source).exists(), source
        parts = source.split("/")
        prefixes = ["!" + "/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        assert set(prefixes) & set(sent), f"{source} is not in the build's context"


@pytest.mark.parametrize(
    "manifest", OWN, ids=[f"{one['kind']}-{one['metadata']['name']}" for one in OWN]
)
def test_manifests_follow_kubernetes_schemas(manifest):
    kubernetes_validate.validate(manifest, "1.33", strict=True)


@pytest.mark.parametrize("pod", [pod for _, pod in PODS], ids=[name for name, _ in PODS])
def test_a_pod_can_do_no_more_than_it_must(pod):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    # they would set SIGHTLINE_… and FLOWER_… to addresses
    assert pod["enableServiceLinks"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_kustomize_names_every_manifest():
    folder = ROOT / "deploy" / "k8s"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    there = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == there


def test_keda_asks_for_figures_that_the_gateway_tells():
    scaled = next(one for one in MANIFESTS if one["kind"] == "ScaledObject")
    source = (ROOT / "gateway" / "metrics" / "exposition.py").read_text()
    for trigger in scaled["spec"]["triggers"]:
        name = trigger["metadata"]["valueLocation"].partition("{")[0]
        assert f'"{name.removeprefix("sightline_")}"' in source
