"""The promises of the client package: its names, errors and types, fast and independent imports."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import sightline
from shared import errors as served
from sightline import AsyncClient, AsyncJob, AsyncSession, Client, Job, Session, errors
from tests.support.harness import ROOT


def test_the_public_names_are_these():
    assert set(sightline.__all__) == {
        "APIError", "Answer", "AsyncClient", "AsyncJob", "AsyncReading", "AsyncSession", "Client",
        "Event", "FoundObject", "Job", "JobCanceled", "JobData", "JobExpired", "JobFailed",
        "JobStatus", "NoConnection", "Page", "Reading", "Session", "SightlineError",
        "SubmitOptions", "TruncatedAnswer", "WaitTimeout", "WebhookError", "WebhookEvent",
        "__version__", "verify_webhook",
    }  # fmt: skip
    assert all(getattr(sightline, name) for name in sightline.__all__)
    with pytest.raises(AttributeError):
        _ = sightline.Nothing


@pytest.mark.parametrize(
    ("plain", "awaited"), [(Client, AsyncClient), (Job, AsyncJob), (Session, AsyncSession)]
)
def test_both_clients_can_do_the_same_in_the_same_words(plain, awaited):
    def words(kind):
        return {
            name: [
                (p.name, p.kind, p.default) for p in inspect.signature(member).parameters.values()
            ]
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert words(plain) == words(awaited)


@pytest.mark.parametrize("code", sorted(served.by_code()))
def test_each_error_of_the_service_has_a_class_of_its_family(code):
    kind = served.by_code()[code]
    raised = errors.api_error(kind.status, {"code": code, "detail": "d", "hint": "h"})
    # codes of failed jobs belong to JobFailed; as a refusal, such a code is a ServerError
    job_failed = issubclass(kind, served.JobFailure)
    assert code in type(raised).codes or (job_failed and isinstance(raised, errors.ServerError))
    assert (raised.code, raised.detail, raised.hint) == (code, "d", "h")
    if issubclass(kind, served.ImageError):
        assert isinstance(raised, errors.InvalidImage)
    if issubclass(kind, served.Unavailable):
        assert isinstance(raised, errors.Unavailable)


_ALONE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}: raise ImportError(name)
sys.meta_path.insert(0, Refuse())
{code}
"""


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("import sightline; sightline.verify_webhook", {"httpx", "anyio", "asyncio", "shared"}),
        ("import sightline; sightline.Client", {"shared", "gateway", "pydantic", "redis", "torch"}),
    ],
)
def test_a_receiver_needs_no_httpx_and_a_client_nothing_of_the_service(code, refused):
    script = _ALONE.format(names=refused, code=code)
    completed = subprocess.run([sys.executable, "-c", script], cwd=ROOT / "client", check=False)
    assert completed.returncode == 0
