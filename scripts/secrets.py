"""`make secrets`: makes the passwords of compose.yaml, a file each; keeps those that are there."""

from __future__ import annotations

import secrets
from pathlib import Path

from scripts.instance import ROOT

FOLDER = ROOT / "deploy" / "secrets"


def contents(password: str) -> dict[str, str]:
    """Return what stands in each file; `password` is that of both Redis servers."""
    url = "redis://:{}@redis-{}:6379/0"
    return {
        "redis-auth": f"requirepass {password}\n",
        "SIGHTLINE_REDIS_URL": url.format(password, "queue"),
        "SIGHTLINE_CACHE_URL": url.format(password, "cache"),
        "SIGHTLINE_METRICS_TOKEN": secrets.token_urlsafe(24),
        "flower-login": f"sightline:{secrets.token_urlsafe(18)}",
        "grafana-password": secrets.token_urlsafe(18),
    }


def write(folder: Path) -> list[str]:
    """Write the files that are missing; return their names."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    auth = folder / "redis-auth"
    known = auth.read_text().split()[1] if auth.exists() else secrets.token_urlsafe(24)
    written = []
    for name, text in contents(known).items():
        file = folder / name
        if not file.exists():
            file.write_text(text)
            # the containers' users must read it; nobody else gets into the folder
            file.chmod(0o644)
            written.append(name)
    return written


if __name__ == "__main__":
    made = write(FOLDER)
    print(f"{FOLDER}: {', '.join(made) or 'all there already'}")
