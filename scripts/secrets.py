"""`make secrets`: writes the passwords of compose.yaml, a file each; existing ones stay."""

from __future__ import annotations

import secrets
from pathlib import Path

from scripts import redis_users
from scripts.instance import ROOT

FOLDER = ROOT / "deploy" / "secrets"


def render_secrets(passwords: dict[str, str]) -> dict[str, str]:
    """Return the text of each file by its name; `passwords` are those of the Redis users."""
    urls = {
        f"{user}-{role}-url": f"redis://{user}:{password}@redis-{role}:6379/0"
        for user, password in passwords.items()
        for role in ("queue", "cache")
    }
    return urls | {
        "SIGHTLINE_METRICS_TOKEN": secrets.token_urlsafe(24),
        "flower-login": f"sightline:{secrets.token_urlsafe(18)}",
        "grafana-password": secrets.token_urlsafe(18),
    }


def write_secrets(folder: Path) -> list[str]:
    """Write the files that are missing; return their names.

    The Redis users' passwords are written too, and `users.acl`, which is always replaced.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords = redis_users.write_users(folder)
    # readable by the containers' users; the folder keeps all others out
    (folder / "users.acl").chmod(0o644)
    written = []
    for name, text in render_secrets(passwords).items():
        file = folder / name
        if not file.exists():
            file.write_text(text)
            file.chmod(0o644)
            written.append(name)
    return written


if __name__ == "__main__":
    written = write_secrets(FOLDER)
    print(f"{FOLDER}: {', '.join(written) or 'all exist already'}")
