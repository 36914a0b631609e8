"""Generated requests: the gateway behaves as the OpenAPI document says."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.harness import BIN, System

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
#: Enough for the boundary values of every operation; the same cases in each run.
EXAMPLES = "5"


@pytest.mark.timeout(900)
def test_no_made_up_request_meets_a_server_error_or_an_undocumented_answer(system: System):
    quick = {"SIGHTLINE_SIMULATED_TOKEN_S": "0", "SIGHTLINE_SIMULATED_IMAGE_S": "0"}
    system.worker(slots=8, **quick)
    _, http = system.gateway(SIGHTLINE_MAX_WAIT_S="1")
    command = [str(BIN / "schemathesis"), "run", f"{http.base_url}/openapi.json"]
    command += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"]
    command += ["--max-examples", EXAMPLES, "--generation-deterministic", "--no-shrink"]
    # one: Hypothesis moves the recursion limit, under which another thread's ast.parse may fail
    command += ["--workers", "1", "--request-timeout", "20", "--warnings", "off", "--no-color"]
    command += ["--suppress-health-check", "all", "--continue-on-failure"]
    completed = subprocess.run(
        command, cwd=system.folder, env=system.env, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stdout[-60_000:] + completed.stderr[-2000:]
