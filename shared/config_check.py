"""The configuration check: the settings in force, their sources, and risks in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AliasChoices, ValidationError
from pydantic.fields import FieldInfo

from shared.cpu_cores import allowed, count_physical, memory_domains, owned, write_list
from shared.errors import BadConfig, StoreUnavailable
from shared.redis_url import SentinelUrl, has_password, mask_passwords, read_hosts
from shared.settings import PREFIX, SECRETS_DIR, SIMULATED_MODEL, Settings, secret_file
from shared.store.failover.master_watch import watch_master
from shared.store.redis_info import RedisState, redis_state, refuse_cluster, roles
from shared.system_memory import total_bytes

#: Variables with our prefix that `make up` and the client read; they are no settings.
_OTHERS = {
    SECRETS_DIR,
    *(PREFIX + name for name in ("FLOWER_PORT", "RUN_DIR", "URL", "API_KEY", "WEBHOOK_SECRET")),
    PREFIX + "DOCUMENT_PASSWORD",
}
#: Read as `make up` reads it: the environment overrides it.
DOTENV = Path(".env")
#: The program that opens the model, and the seconds it may take: it may compile the kernels.
_MODEL_CHECK, _MODEL_CHECK_S = "worker.engine.model_check", 400
_SECRET = re.compile("(^|_)(token|secret|password)$")


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting in force: its variable, its value as text, and its source."""

    name: str
    value: str
    source: str


def list_effective_settings(
    settings: Settings, environ: Mapping[str, str], sources: Mapping[str, str]
) -> Iterator[EffectiveSetting]:
    """Yield every setting with its source; passwords and tokens are masked.

    `environ` holds all variables, `sources` the source of each that comes from elsewhere.
    """
    for field, info in Settings.model_fields.items():
        names = variable_names(field, info)
        value = _display(field, getattr(settings, field))
        yield EffectiveSetting(names[0], value, _source(names, environ, sources))


def variable_names(field: str, info: FieldInfo) -> list[str]:
    """Return the variables that a setting is read from, in their order."""
    if isinstance(info.validation_alias, AliasChoices):
        return [str(choice) for choice in info.validation_alias.choices]
    return [PREFIX + field.upper()]


def _source(names: list[str], environ: Mapping[str, str], sources: Mapping[str, str]) -> str:
    for name in names:
        if name in environ:
            place = sources.get(name, "environment")
            return place if name.startswith(PREFIX) else f"{place} ({name})"
    for name in names:
        if file := secret_file(name, environ):
            return str(file)
    return "default"


def _display(field: str, value: object) -> str:
    if value is None:
        return "-"
    if _SECRET.search(field):
        return "***"
    text = str(value)
    return " ".join(map(mask_passwords, text.split())) if field.endswith("_url") else text


def check_settings(
    settings: Settings, environ: Mapping[str, str], *, with_redis: bool = True
) -> Iterator[str]:
    """Yield a sentence for each risk in the configuration; queries the Redis servers."""
    yield from find_misspelt(environ)
    yield from check_exposure(settings)
    yield from check_machine(settings)
    yield from check_engine(settings)
    if with_redis:
        yield from _check_servers(settings)


def _check_servers(settings: Settings) -> Iterator[str]:
    try:
        refuse_cluster(settings)
    except BadConfig as error:
        yield str(error)
    for role, client in roles(settings).items():
        try:
            state = redis_state(client)
            yield from check_redis(role, state)
            if role == "queue":
                yield from check_replicas(settings, state)
        except StoreUnavailable as error:
            yield f"the {role} Redis cannot be queried: {error.detail}"


def find_misspelt(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each variable that looks like a setting and is none."""
    known = {
        name
        for field, info in Settings.model_fields.items()
        for name in variable_names(field, info)
    }
    for name in sorted(environ):
        if name.startswith(PREFIX) and name.upper() not in known | _OTHERS:
            yield f"{name} is not a known setting and has no effect; is it misspelt?"


def check_exposure(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each risk from other machines or from the log."""
    if not settings.loopback and settings.allow_anonymous:
        yield from _check_keyless(settings)
    if not settings.loopback and settings.metrics_token is None:
        yield "anyone who reaches the gateway can read /metrics: set SIGHTLINE_METRICS_TOKEN"
    if settings.log_level == "DEBUG":
        yield "at log level DEBUG the log may contain prompts"
    for name in ("redis_url", "cache_url"):
        for url in (getattr(settings, name) or "").split():
            far = [host for host in read_hosts(url) if not _is_loopback(host)]
            if far and not has_password(url):
                yield f"{name} points to {', '.join(far)} without a password"
    if not settings.loopback and not settings.public_url:
        yield "without SIGHTLINE_PUBLIC_URL the URLs inside webhooks are only paths"
    yield from _check_paths(settings)


def _check_paths(settings: Settings) -> Iterator[str]:
    public_path = urlsplit(settings.public_url).path
    if settings.public_url and public_path != settings.base_path:
        yield (
            f"SIGHTLINE_PUBLIC_URL ends in {public_path or '/'!r} and SIGHTLINE_BASE_PATH is "
            f"{settings.base_path or '/'!r}: links of webhooks and of answers differ"
        )


def _check_keyless(settings: Settings) -> Iterator[str]:
    yield f"other machines can reach {settings.host}, and anyone can use it without a key"
    if not settings.public_url and not settings.allowed_hosts:
        yield "it only answers to IP addresses: list its host names in SIGHTLINE_ALLOWED_HOSTS"


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def check_machine(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each resource that this machine lacks."""
    if settings.threads > (cores := owned()):
        yield (
            f"{settings.threads} threads on {cores} cores slow each other down: "
            "lower SIGHTLINE_THREADS"
        )
    yield from check_domains(settings.threads, memory_domains(allowed()))
    memory = settings.kv_max_bytes + settings.features_ram_bytes
    if (total := total_bytes()) and memory > total // 2:
        yield (
            f"kv_max_bytes and features_ram_bytes may take {memory >> 20} of {total >> 20} MiB, "
            "in addition to the model's weights"
        )


def check_engine(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each setting that the chosen engine makes useless or dangerous."""
    if settings.generic and settings.slots > 1 and "slots" in settings.model_fields_set:
        yield (
            f"SIGHTLINE_SLOTS={settings.slots} has no effect: with SIGHTLINE_ENGINE=transformers a"
            " worker answers one request at a time; start more workers"
        )
    if settings.trust_remote_code and settings.generic:
        yield "SIGHTLINE_TRUST_REMOTE_CODE lets a checkpoint run any code with the worker's rights"
    if settings.trust_remote_code and not settings.generic:
        yield "SIGHTLINE_TRUST_REMOTE_CODE has no effect without SIGHTLINE_ENGINE=transformers"


def check_domains(threads: int, domains: list[list[int]]) -> Iterator[str]:
    """Yield a sentence if a worker's threads would read weights from another domain's memory."""
    if len(domains) > 1 and threads > max(map(count_physical, domains)):
        places = ", ".join(f"taskset -c {write_list(domain)}" for domain in domains)
        yield (
            f"{threads} threads of one worker span {len(domains)} memory domains: start a worker"
            f" in each, which counts its own cores ({places})"
        )


def check_redis(role: str, state: RedisState) -> Iterator[str]:
    """Yield a sentence for each risk in the configuration of a Redis of this role."""
    asked = {
        "persistence": state.aof,
        "eviction policy": state.policy,
        "memory limit": state.max_bytes,
    }
    if unknown := [name for name, value in asked.items() if value is None]:
        yield f"the {role} Redis does not let this user see its {', '.join(unknown)}: check them"
    if state.max_bytes == 0:
        yield f"the {role} Redis has no maxmemory: it grows until the machine kills it"
    if role == "queue":
        yield from _check_queue(state)
    elif state.policy and not state.policy.startswith("allkeys"):
        yield f"a full cache Redis rejects features ({state.policy}; use allkeys-lfu)"


def _check_queue(state: RedisState) -> Iterator[str]:
    if state.aof is False:
        yield "the queue Redis has no append-only file: a restart loses all jobs"
    if state.policy not in (None, "noeviction"):
        yield f"a full queue Redis drops jobs ({state.policy}; use noeviction)"
    fullness = (state.used_bytes or 0) / state.max_bytes if state.max_bytes else 0.0
    if fullness > 0.8:
        yield f"the queue Redis is {fullness:.0%} full"
    if state.evicted_keys:
        yield f"the queue Redis has evicted {state.evicted_keys} keys"


def check_replicas(settings: Settings, state: RedisState) -> Iterator[str]:
    """Yield a sentence for each way in which a failover of the queue Redis loses jobs."""
    service, wanted = SentinelUrl.parse(settings.redis_url), settings.redis_wait
    if state.replicas is None:
        if wanted:
            yield "the queue Redis does not tell this user how many replicas it has"
    elif state.replicas < wanted:
        yield (
            f"SIGHTLINE_REDIS_WAIT is {wanted} and the queue Redis has {state.replicas} replicas: "
            "no job is accepted"
        )
    if service is None:
        return
    if len(service.sentinels) == 1:
        yield "SIGHTLINE_REDIS_URL lists one sentinel: while that is away no master is found"
    if not wanted:
        yield (
            "SIGHTLINE_REDIS_WAIT is 0: jobs accepted in the last moments before a failover "
            "may be lost"
        )
    if state.guards_replicas is False:
        yield (
            "the queue Redis has no min-replicas-to-write: a master that is cut off goes on taking "
            "writes, which are lost"
        )


def describe_servers(settings: Settings) -> Iterator[str]:
    """Yield a line on each Redis: what it is and what it keeps."""
    urls = {"queue": settings.redis_url, **_cache_urls(settings)}
    for role, client in roles(settings).items():
        try:
            state = redis_state(client)
        except StoreUnavailable:
            continue
        yield f"{role} Redis: {', '.join(_describe(urls.get(role, ''), state))}"


def _cache_urls(settings: Settings) -> dict[str, str]:
    others = [url for url in settings.cache_urls if url != settings.redis_url]
    return {"cache" if n == 1 else f"cache-{n}": url for n, url in enumerate(others, start=1)}


def _describe(url: str, state: RedisState) -> Iterator[str]:
    yield state.version or "of an unknown version"
    service = SentinelUrl.parse(url)
    if service:
        host, port = watch_master(service).master()
        count = len(service.sentinels)
        yield f"master of {service.service} at {host}:{port} by {count} sentinels"
    else:
        yield "one server"
    if state.replicas is not None:
        yield f"{state.replicas} replicas"
    if state.aof is not None:
        yield "append-only file" if state.aof else "no append-only file"
    if state.policy:
        yield state.policy


def ask_arithmetic(settings: Settings, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Return what computes the model on this machine, and a risk if it cannot be loaded or held.

    A process of its own is asked: torch is large, and gateways have none.
    """
    if settings.model == SIMULATED_MODEL:
        return "none: answers are simulated", None
    if find_spec("torch") is None:
        return "not known here: torch is not installed, so this machine can run no worker", None
    command = [sys.executable, "-m", _MODEL_CHECK]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=dict(environ),
            timeout=_MODEL_CHECK_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "not known", f"the model was not checked within {_MODEL_CHECK_S} seconds"
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return "not known", f"no worker can start here: {reason}"
    arithmetic, *risks = done.stdout.strip().splitlines() or ["not known"]
    return arithmetic, next(iter(risks), None)


def load_dotenv() -> list[str]:
    """Put the variables of `.env` into the environment, which overrides it; return their names."""
    from_file = {
        name: value
        for name, value in dotenv_values(DOTENV).items()
        if value is not None and name not in os.environ
    }
    os.environ.update(from_file)
    return list(from_file)


def main() -> int:
    """Check the settings of this environment; return the exit code."""
    return run(dict.fromkeys(load_dotenv(), ".env"))


def run(
    sources: Mapping[str, str], given: Mapping[str, str] | None = None, *, with_redis: bool = True
) -> int:
    """Print the settings and the risks; return 2 if they are invalid, 1 if there are risks.

    `given` are variables that a launcher sets beside those of the environment.
    """
    os.environ.update(given or {})
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            where = ".".join(map(str, fault["loc"])) or "settings"
            sys.stderr.write(f"{where}: {fault['msg']}\n")
        return 2
    _print_settings(settings, sources)
    arithmetic, obstacle = ask_arithmetic(settings, os.environ)
    sys.stdout.write(f"\nthe model is computed by: {arithmetic}\n")
    for line in describe_servers(settings) if with_redis else ():
        sys.stdout.write(f"{line}\n")
    if not with_redis:
        sys.stdout.write("Redis: make up starts its own, and it does not run now\n")
    risks = [*check_settings(settings, os.environ, with_redis=with_redis)]
    risks += [obstacle] if obstacle else []
    sys.stdout.write("\n" + "".join(f"warning: {risk}\n" for risk in risks))
    if not risks:
        sys.stdout.write("no problems found\n")
    return 1 if risks else 0


def _print_settings(settings: Settings, sources: Mapping[str, str]) -> None:
    effective = list(list_effective_settings(settings, os.environ, sources))
    width = max(len(line.name) for line in effective)
    for line in sorted(effective, key=lambda line: line.source == "default"):
        sys.stdout.write(f"{line.name:<{width}}  {line.value}  [{line.source}]\n")


if __name__ == "__main__":
    sys.exit(main())
