"""The page `/docs/errors`, which lists every error code; each problem's `type` links to it."""

from __future__ import annotations

from flask import render_template_string

from shared.errors import by_code

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sightline: errors</title>
<h1>Errors</h1>
{% for error in errors %}
<h2 id="{{ error.code }}"><code>{{ error.code }}</code> · {{ error.status }}</h2>
<p>{{ error.title() }}</p>
<p>{{ error.hint }}{% if error.retryable %} The same request may succeed later.{% endif %}</p>
{% endfor %}
</html>
"""


def page() -> str:
    """Return the page as HTML."""
    return render_template_string(_PAGE, errors=[error for _, error in sorted(by_code().items())])
