"""The service below a path of a host, as proxies offer it."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from openai import OpenAI

from sightline import Client
from tests.support.harness import System

BASE = "/tools/vision"


@pytest.fixture
def below(system: System) -> httpx.Client:
    system.worker()
    return system.gateway(SIGHTLINE_BASE_PATH=BASE)[1]


def test_every_link_leads_to_its_place_whether_or_not_the_proxy_takes_the_path_off(below):
    for sent in (BASE, ""):
        job = below.post(f"{sent}/v1/jobs", json={"prompt": "hi"})
        assert job.headers["Location"] == job.json()["urls"]["self"]
        for name, url in job.json()["urls"].items():
            assert url.startswith(f"{BASE}/v1/jobs/"), name
        events = below.get(job.json()["urls"]["events"]).text
        (last,) = re.findall(r"event: job.succeeded\ndata: (.*)", events)
        assert json.loads(last)["urls"] == job.json()["urls"]
        assert below.get(job.json()["urls"]["self"]).json() == json.loads(last)
        refusal = below.get(f"{sent}/v1/jobs/unknown").json()
        assert refusal["instance"] == f"{BASE}/v1/jobs/unknown"
        anchor = refusal["type"].partition("#")
        assert f'id="{anchor[2]}"' in below.get(anchor[0]).text
        chat = {"model": "sightline", "messages": [{"role": "user", "content": "hi"}]}
        completion = below.post(f"{sent}/v1/chat/completions", json=chat)
        assert below.get(completion.headers["Content-Location"]).status_code == 200


def test_page_documents_and_probes_are_served_below_the_path(below):
    page = below.get(BASE)
    assert page.status_code == below.get(f"{BASE}/").status_code == 200
    assets = re.findall(r'(?:href|src)="([^"#?]+)"', page.text)
    assert assets
    assert all(url.startswith(f"{BASE}/") for url in assets)
    assert [below.get(url, follow_redirects=True).status_code for url in assets] == [200] * len(
        assets
    )
    for path in ("/openapi.json", "/docs/openapi.json"):
        assert below.get(BASE + path).json()["servers"] == [{"url": BASE}]
    assert below.get("/healthz").status_code == below.get(f"{BASE}/healthz").status_code == 200
    assert below.get("/tools").status_code == below.get(f"{BASE}ary/healthz").status_code == 404


def test_clients_take_the_path_as_a_part_of_their_address(below):
    url = f"{str(below.base_url).rstrip('/')}{BASE}"
    with Client(url) as client:
        assert client.ask("hi").text
    with OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        message = {"role": "user", "content": "hi"}
        assert client.chat.completions.create(model="sightline", messages=[message]).choices


@pytest.mark.parametrize(
    ("proxies", "prefix", "base"),
    [
        ("127.0.0.0/8", "/here", "/here"),
        ("127.0.0.0/8", "/here/", "/here"),
        ("127.0.0.0/8", "//evil.example", ""),
        ("127.0.0.0/8", "/a/../b", ""),
        ("127.0.0.0/8", "https://evil.example", ""),
        ("10.0.0.1", "/here", ""),
    ],
)
def test_only_a_trusted_proxy_names_a_path_of_its_own(system, proxies, prefix, base):
    _, http = system.gateway(SIGHTLINE_TRUSTED_PROXIES=proxies)
    problem = http.get("/v1/jobs/unknown", headers={"X-Forwarded-Prefix": prefix}).json()
    assert problem["type"] == f"{base}/docs/errors#not_found"
    assert problem["instance"] == f"{base}/v1/jobs/unknown"
