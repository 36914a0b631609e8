"""`make config-check`: checks the settings as `make up` would use them, with its Redis."""

from __future__ import annotations

import sys

from scripts.service.instance import InstanceError
from scripts.service.preflight import read_settings
from scripts.service.running import choose_instance, read_redis_url
from shared import config_check
from shared.settings import PREFIX, Settings

_SOURCE = "make up"


def given_by_launcher(settings: Settings) -> dict[str, str]:
    """Return the variables that `make up` sets for its processes; none for a Redis of your own."""
    if "redis_url" in settings.model_fields_set:
        return {}
    instance = choose_instance(settings)
    url = read_redis_url(instance) if instance.launcher() else None
    port = {PREFIX + "PORT": str(instance.port)} if instance.port != settings.port else {}
    return port | ({PREFIX + "REDIS_URL": url} if url else {})


def main() -> int:
    """Return the exit code of `make config-check`."""
    try:
        from_file = config_check.load_dotenv()
        settings = read_settings()
        given = given_by_launcher(settings)
    except InstanceError as trouble:
        print(f"make config-check: {trouble}", file=sys.stderr)
        return 2
    uses_private_redis = "redis_url" not in settings.model_fields_set
    return config_check.run(
        dict.fromkeys(from_file, ".env") | dict.fromkeys(given, _SOURCE),
        given,
        # its private Redis runs only while the service does
        with_redis=bool(given) or not uses_private_redis,
    )


if __name__ == "__main__":
    sys.exit(main())
