"""Every path that openai-python knows is served, or its answer names what serves instead."""

from __future__ import annotations

import re
from pathlib import Path

import openai

_CALL = re.compile(
    r'self\._(get_api_list|get|post|put|patch|delete)\(\s*(?:path_template\(\s*)?f?"(/[^"?]*)'
)


def known_calls():
    """Yield method and path of all requests that the installed library makes."""
    for file in sorted((Path(openai.__file__).parent / "resources").rglob("*.py")):
        for method, path in _CALL.findall(file.read_text()):
            yield method.replace("get_api_list", "get").upper(), re.sub(r"{[^}]*}", "x1", path)


def is_refused(answer):
    """Tell whether there is no such path or method; what is not there under an id is another."""
    words = ("does not exist", "does not support this method")
    return answer.status_code in (404, 405, 500) and any(word in answer.text for word in words)


def test_what_is_not_served_names_what_is(workerless):
    calls = sorted(set(known_calls()))
    # or the library is written in another way now
    assert len(calls) > 150
    assert {("POST", "/responses"), ("GET", "/vector_stores"), ("POST", "/embeddings")} <= {*calls}
    unserved, silent = 0, []
    for method, path in calls:
        answer = workerless.http.request(method, f"/v1{path}")
        if not is_refused(answer):
            continue
        unserved += 1
        if "/v1/" not in answer.text.replace(f"/v1{path}", ""):
            silent.append((method, path, answer.status_code))
    assert not silent
    assert unserved > 100


def test_a_method_that_a_path_lacks_names_what_serves(workerless):
    answer = workerless.http.get("/v1/chat/completions")
    assert answer.status_code == 405
    assert "GET /v1/jobs" in answer.text
    assert "GET /v1/models" in workerless.http.delete("/v1/models/sightline").text
