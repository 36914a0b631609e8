"""Files of deploy/ and compose.yaml: valid, closed to outsiders, in step with the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib

import kubernetes_validate
import pytest
import yaml

from scripts import secrets
from shared.config_check import find_misspelt
from shared.settings import Settings
from tests.support.harness import ROOT

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
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
    assert bool(ports) == (name in {"gateway", "proxy"})
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
    # where alerts go is the operator's to say
    assert set(COMPOSE["secrets"]) - {"alert-webhook"} <= {file.name for file in folder.iterdir()}
    assert set(made) <= {file.name for file in folder.iterdir()}
    assert {name for name, file in COMPOSE["secrets"].items() if name not in file["file"]} == set()
    password = (folder / "redis-worker-password").read_text()
    (folder / "worker-cache-url").unlink()
    assert secrets.write_secrets(folder) == ["worker-cache-url"]
    url = (folder / "worker-cache-url").read_text()
    assert url == f"redis://worker:{password}@redis-cache:6379/0"
    assert password not in (folder / "users.acl").read_text()


def _read(service):
    secrets = SERVICES[service].get("secrets", [])
    return {one if isinstance(one, str) else one["source"] for one in secrets}


def test_a_process_knows_no_redis_user_but_its_own():
    owners = {"gateway": "gateway", "courier": "gateway", "worker": "worker", "flower": "flower"}
    owners["gateway-2"] = "gateway"
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


def test_workers_of_a_second_model_are_like_the_first_and_scale_by_their_own_work():
    file = ROOT / "deploy" / "k8s" / "models" / "qwen-8b.yaml"
    deployment, scaled = yaml.safe_load_all(file.read_text())
    (first,) = (pod for name, pod in PODS if name == "worker")
    second = deployment["spec"]["template"]["spec"]
    assert {**second, "containers": [], "volumes": []} == {**first, "containers": [], "volumes": []}
    # what the policies of the network go by
    assert deployment["spec"]["template"]["metadata"]["labels"]["part"] == "worker"
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    env = {one["name"]: one.get("value") for one in second["containers"][0]["env"]}
    figures = [trigger["metadata"]["valueLocation"] for trigger in scaled["spec"]["triggers"]]
    model = env["SIGHTLINE_MODEL_NAME"]
    assert figures == [
        f'sightline_model_{name}{{model="{model}"}}' for name in ("backlog_seconds", "queue_depth")
    ]
    gauges = (ROOT / "gateway" / "metrics" / "exposition.py").read_text()
    assert '"backlog_seconds": (' in gauges
    assert '"queue_depth": (' in gauges


def _image(name: str) -> str:
    return SERVICES[name].get("image", "")


def test_images_of_others_have_a_fixed_version_and_ours_are_never_pulled():
    bases = re.findall(r"^ARG PYTHON_IMAGE=(.+)$", DOCKERFILE, re.MULTILINE)
    images = {*bases, *(_image(name) for name in SERVICES)}
    images |= {container["image"] for _, pod in PODS for container in pod["containers"]}
    ours = {image for image in images if image.startswith("sightline-")}
    for image in images - ours:
        assert re.search(r":v?\d+\.\d+\.\d+", image), image
    assert len(images - ours) >= 5
    for name, service in SERVICES.items():
        assert (service.get("pull_policy") == "never") == (_image(name) in ours), name
    listed = yaml.safe_load((ROOT / "deploy" / "k8s" / "kustomization.yaml").read_text())["images"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {(one["name"], one["newTag"]) for one in listed} == {(image, version) for image in ours}


@pytest.mark.parametrize("name", SERVICES)
def test_logs_of_a_container_do_not_fill_the_disk(name):
    options = SERVICES[name]["logging"]["options"]
    assert options["max-size"] == "20m"
    assert int(options["max-file"]) > 1


def _checks():
    for name, service in SERVICES.items():
        if "healthcheck" in service and "test" in service["healthcheck"]:
            yield name, " ".join(service["healthcheck"]["test"])
    for target in re.findall(r"HEALTHCHECK.+\\\n\s+CMD (\[.+\])", DOCKERFILE):
        yield "Dockerfile", " ".join(json.loads(target))
    for name, pod in PODS:
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = pod["containers"][0].get(kind, {})
            if "exec" in probe:
                yield name, " ".join(probe["exec"]["command"])


def test_no_health_check_starts_a_python():
    checks = list(_checks())
    assert len(checks) > 10
    for name, command in checks:
        assert "python" not in command, name
        assert "redis-cli ping" not in command, "without a user a loading server looks ready"


def test_the_worker_says_that_it_lives_where_its_health_check_looks():
    (file,) = re.findall(r"SIGHTLINE_SIGN_OF_LIFE=(\S+)", DOCKERFILE)
    looked_at = {
        command.split("file ")[1].split()[0] for _, command in _checks() if "file /" in command
    }
    assert looked_at == {file}
    assert list(find_misspelt({"SIGHTLINE_SIGN_OF_LIFE": file})) == []


def test_every_pod_is_probed_and_may_be_moved_one_at_a_time():
    budgets = {
        one["spec"]["selector"]["matchLabels"]["part"]: one["spec"]["maxUnavailable"]
        for one in MANIFESTS
        if one["kind"] == "PodDisruptionBudget"
    }
    assert budgets == dict.fromkeys((name for name, _ in PODS), 1)
    for name, pod in PODS:
        assert "readinessProbe" in pod["containers"][0], name
        assert ("startupProbe" in pod["containers"][0]) == (name != "admin"), name


def _policies():
    return {
        one["metadata"]["name"]: one["spec"] for one in MANIFESTS if one["kind"] == "NetworkPolicy"
    }


def test_no_pod_is_open_to_every_other_one():
    policies = _policies()
    assert policies["closed"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for spec in policies.values():
        for rule in spec.get("ingress", []):
            assert rule["ports"]
            for source in rule["from"]:
                assert source.get("namespaceSelector") or source["podSelector"]["matchExpressions"]
    opened = [spec["podSelector"] for name, spec in policies.items() if name != "closed"]
    assert "flower" not in json.dumps(opened)


def test_a_changed_line_of_code_installs_no_package_again():
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    for target in ("worker", "gateway"):
        (packages,) = [one for one in stages if f"AS {target}-packages\n" in one]
        copied = re.findall(r"^COPY (.+) \S+$", packages, re.MULTILINE)
        assert copied == ["pyproject.toml", "deploy/constraints.txt", "scripts/requirements.py"]
        assert "-c deploy/constraints.txt" in packages
        (code,) = [one for one in stages if one.split("\n")[0].endswith(f"-packages AS {target}")]
        installs = re.findall(r"pip install (.+?) &&", code)
        assert installs == ["--no-deps --no-build-isolation -e ."]
        assert "compileall" in code


def test_whoever_runs_only_containers_makes_secrets_without_any_package(tmp_path):
    code = (
        "import sys; from pathlib import Path; from scripts import secrets;"
        "secrets.write_secrets(Path(sys.argv[1]) / 'secrets')"
    )
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.');{code}", tmp_path],
        cwd=ROOT,
        check=True,
    )
    assert (tmp_path / "secrets" / "users.acl").exists()
    planned = subprocess.run(
        ["make", "-n", "secrets", f"VENV={tmp_path}/none"],
        cwd=ROOT,
        # as in a shell of its own: a make that runs this test passes its flags on
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert planned.split() == ["exec", "python3", "-m", "scripts.secrets"]


def test_gateways_behind_the_proxy_leave_before_they_stop():
    proxy = (ROOT / "deploy" / "proxy" / "haproxy.cfg").read_text()
    for name in ("gateway", "gateway-2"):
        assert f"server {name} {name}:7860\n" in proxy
        service = SERVICES[name]
        leave_s = service["environment"]["SIGHTLINE_GATEWAY_LEAVE_S"]
        # two checks of the proxy see it leave, and requests under way get their 5 s
        assert leave_s > 2 * 0.5
        assert _seconds(service["stop_grace_period"]) > leave_s + 5
    assert "check inter 500ms fall 1" in proxy
    assert "GET uri /healthz" in proxy
