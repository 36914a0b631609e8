"""The operations page at `/ops`; what it shows it asks of the API, with the operator's key."""

from __future__ import annotations

from flask import Blueprint, Response

from gateway.http.pages.frame import choose_language, load_words, render_page

_FOLDER = "operations"
#: What the words of the main page begin with that this page says as well.
SHARED_WORDS = ("preset_", "cannotStart_", "modelDownloads", "modelLoads")

operations_page = Blueprint("operations_page", __name__)


@operations_page.get("/ops")
def show() -> Response:
    """Return the page, which has nothing to show to whoever may not ask the API."""
    main_words, words = load_words(), load_words(_FOLDER)
    shared = {name: text for name, text in main_words.items() if name.startswith(SHARED_WORDS)}
    said = {**shared, **words, "errors": main_words["errors"]}
    return render_page(
        f"{_FOLDER}/page.html", w=words, told={"language": choose_language(), "words": said}
    )
