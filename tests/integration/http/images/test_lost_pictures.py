"""A question whose picture was erased is told so, and never answered blind."""

from __future__ import annotations

import pytest

from tests.support.images.image_bytes import plain_png


def ask(service, session, **fields):
    image = fields.pop("image", None)
    files = {"image": ("a.png", image, "image/png")} if image else None
    body = {"session_id": session, "max_new_tokens": "2", **fields}
    return service.http.post(
        "/v1/jobs", data=body, files=files, headers={"Prefer": "wait=60"}
    ).json()


def erase_job(service, job):
    service.http.delete(job["urls"]["self"]).raise_for_status()


def erase_image(service, job):
    service.http.delete(f"/v1/images/{job['input']['images'][0]['id']}").raise_for_status()


@pytest.mark.parametrize("erase", [erase_job, erase_image])
def test_a_follow_up_about_an_erased_picture_fails_with_the_reason(served, erase):
    session = f"lost-{erase.__name__}"
    picture = plain_png((11, len(session), 5), 48, 48)
    erase(served, ask(served, session, prompt="what is it?", image=picture))
    job = ask(served, session, prompt="and its colour?")
    assert (job["status"], job["error"]["code"]) == ("failed", "image_gone")
    assert "conversation" in job["error"]["message"]
    again = ask(served, session, prompt="what is this, then?", image=plain_png("red", 40, 40))
    assert again["status"] == "succeeded"
    assert ask(served, session, prompt="its colour?")["status"] == "succeeded"


def test_a_conversation_without_any_picture_goes_on(served):
    assert ask(served, "words-only", prompt="hello")["status"] == "succeeded"
    assert ask(served, "words-only", prompt="and now?")["status"] == "succeeded"
