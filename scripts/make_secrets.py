"""`make secrets`: makes the passwords of compose.yaml, a file each; keeps those that are there."""

from __future__ import annotations

import secrets
from pathlib import Path

from scripts import redis_users
from scripts.instance import ROOT

FOLDER = ROOT / "deploy" / "secrets"


def contents(passwords: dict[str, str]) -> dict[str, str]:
    """Return what stands in each file; `passwords` are those of the Redis users."""
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


def write(folder: Path) -> list[str]:
    """Write the files that are missing; return their names.

    Beside them lie the Redis users' passwords, and `users.acl`, which is always written anew.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords = redis_users.write(folder)
    # the containers' users must read it; nobody else gets into the folder
    (folder / "users.acl").chmod(0o644)
    written = []
    for name, text in contents(passwords).items():
        file = folder / name
        if not file.exists():
            file.write_text(text)
            file.chmod(0o644)
            written.append(name)
    return written


if __name__ == "__main__":
    made = write(FOLDER)
    print(f"{FOLDER}: {', '.join(made) or 'all there already'}")
