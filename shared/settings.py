"""Every setting: its name, default, bounds and meaning; read from SIGHTLINE_* variables.

`python -m shared.settings` prints the settings in force, their sources and risks in them.
"""

from __future__ import annotations

import ipaddress
import json
import os
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    AliasGenerator,
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from shared.addresses import parse_networks, parse_ports

#: The default model: the small one in this repository.
BUNDLED_MODEL = str(Path(__file__).resolve().parent.parent / "demo" / "checkpoint")
#: Selects the engine without weights, for load tests and for trying an integration.
SIMULATED_MODEL = "simulated"

PREFIX = "SIGHTLINE_"
#: Variable of a folder with a file for each secret, as container engines mount them.
SECRETS_DIR = PREFIX + "SECRETS_DIR"

Numerics = Literal["bf16", "int8", "fp32"]


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _alias(name: str, *others: str) -> AliasChoices:
    return AliasChoices(PREFIX + name, *others)


def _parse_json_list(value: Any) -> Any:
    """Return the list of a JSON text; raises ValueError for text that is none."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("a JSON list is needed, as in [0, 5, 30]") from None


def secret_file(name: str, environ: Mapping[str, str]) -> Path | None:
    """Return the file that holds a setting's value instead of a variable, if there is one."""
    folder = environ.get(SECRETS_DIR)
    file = Path(folder) / name if folder else None
    return file if file and file.is_file() else None


class Settings(BaseSettings):
    """The configuration of one process; build it once and pass it on."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        # so that errors name the variable
        alias_generator=AliasGenerator(validation_alias=lambda field: PREFIX + field.upper()),
    )

    # Redis
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        validation_alias=_alias("REDIS_URL", "REDIS_URL"),
        description="The queue role: jobs, images of unfinished jobs, events. AOF, noeviction.",
    )
    cache_url: str | None = Field(
        None,
        description="The cache role: image features. Unset: the queue role's server. Several URLs, "
        "with spaces between them, share the images out among themselves.",
    )
    redis_timeout_s: float = Field(
        5.0, gt=0, le=60, description="Seconds that one Redis command may take."
    )
    redis_max_connections: int = Field(
        4096, ge=16, description="Connections of one process; every open event stream holds one."
    )

    # gateway
    host: str = Field("127.0.0.1", description="Address that the gateway binds.")
    port: int = Field(
        7860,
        ge=1,
        le=65535,
        validation_alias=_alias("PORT", "PORT"),
        description="Port that the gateway listens on.",
    )
    gateway_processes: int = Field(1, ge=1, le=64, description="gunicorn worker processes.")
    allow_anonymous: bool | None = Field(
        None,
        description="Serve callers without an API key. Unset: on loopback until there is a key.",
    )
    metrics_token: str | None = Field(
        None, min_length=8, description="What /metrics asks for as a bearer token; unset: nothing."
    )
    ping_s: float = Field(15.0, gt=0, le=300, description="Seconds between pings of a stream.")
    max_wait_s: int = Field(60, ge=0, le=600, description="Longest Prefer: wait and ?wait=.")

    # limits of anonymous callers and of keys without their own; 0 is no limit
    limit_requests_per_minute: int = Field(0, ge=0, description="Submitting requests a minute.")
    limit_tokens_per_minute: int = Field(0, ge=0, description="Visual tokens of jobs a minute.")
    limit_in_flight: int = Field(0, ge=0, description="Unfinished jobs of a key.")
    limit_queued: int = Field(0, ge=0, description="Jobs of a key that wait for a worker.")

    # uploads
    upload_max_bytes: int = Field(20 << 20, ge=1024, description="Bytes of one image file.")
    request_max_bytes: int = Field(64 << 20, ge=1024, description="Bytes of one request body.")
    images_per_request: int = Field(8, ge=1, le=64, description="Images of one job.")
    image_max_pixels: int = Field(50_000_000, ge=1024, description="Pixels of an image.")
    image_max_pixels_jpeg: int = Field(
        200_000_000, ge=1024, description="Pixels of a baseline JPEG, which is decoded reduced."
    )
    image_max_side: int = Field(30_000, ge=64, description="Longest side of an image, pixels.")
    image_max_aspect: float = Field(
        2000.0,
        ge=1,
        description="Longer side over shorter side; above 200 an image is looked at in tiles.",
    )
    image_kept_pixels: int = Field(
        4_194_304, ge=65_536, description="Pixels that are stored; larger images are reduced."
    )
    image_long_pixels: int = Field(
        40_000_000,
        ge=65_536,
        description="Pixels that are stored of an image that may be looked at in tiles.",
    )
    decoder_children: int = Field(2, ge=1, le=32, description="Decoder processes of a gateway.")
    decoder_timeout_s: float = Field(10.0, gt=0, le=120, description="Seconds for one image.")
    decoder_memory_bytes: int = Field(1 << 30, ge=256 << 20, description="Memory for one image.")
    prompt_max_chars: int = Field(32_768, ge=1, description="Characters of a prompt.")

    # URLs of callers: images and webhooks
    allow_nets: str = Field(
        "", description="Private networks that may be reached, as in 10.1.0.0/16,fd00::/8."
    )
    allow_ports: str = Field(
        "80,443,8080,8443", description="Ports that may be reached; a range is 8000-8999."
    )
    fetch_timeout_s: float = Field(
        15.0, gt=0, le=60, description="Seconds for all image URLs of a request together."
    )
    fetch_breaker_failures: int = Field(
        5, ge=1, description="Failures in a row after which an image host is left alone."
    )
    fetch_breaker_s: float = Field(
        10.0, gt=0, le=120, description="Seconds of its first pause; each further one is doubled."
    )

    # files of the operator
    rules_file: Path | None = Field(
        None, description="TOML or JSON with rules of your own for answers."
    )
    presets_file: Path | None = Field(
        None, description="TOML or JSON with presets of your own for questions."
    )

    # timeouts of a client's connection
    headers_timeout_s: float = Field(10.0, gt=0, description="Seconds for a request's headers.")
    body_grace_s: float = Field(
        15.0, gt=0, description="Seconds for any request body; larger ones get more, by the rate."
    )
    body_min_bytes_s: float = Field(
        16_384.0, gt=0, description="Bytes a second that a request body must come with."
    )
    write_timeout_s: float = Field(
        60.0, gt=0, description="A client that reads nothing of its answer is left after."
    )

    # when new jobs are refused
    queue_max_wait_s: float = Field(
        600.0, gt=0, description="A job that would wait longer is refused with 503."
    )
    queue_max_jobs: int = Field(
        10_000, ge=1, description="Waiting jobs beyond which new ones are refused with 503."
    )
    redis_soft_fullness: float = Field(
        0.70,
        gt=0,
        le=1,
        description="Used share of Redis' maxmemory that ends what can wait: "
        "uploads for later and jobs of low priority.",
    )
    redis_fullness: float = Field(
        0.85, gt=0, le=1, description="Used share of Redis' maxmemory that ends all new jobs."
    )

    # webhooks
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s]+[^\s/])?$",
        description="Where callers reach this service; begins the URLs inside webhooks.",
    )
    webhook_timeout_s: float = Field(15.0, gt=0, le=60, description="Seconds of one attempt.")
    webhook_connect_s: float = Field(5.0, gt=0, le=60, description="Seconds to connect.")
    webhook_grace_s: float = Field(
        5.0, ge=0.2, le=60, description="Seconds beyond an attempt until another courier tries."
    )
    webhook_schedule_s: Annotated[
        tuple[float, ...], NoDecode, BeforeValidator(_parse_json_list)
    ] = Field(
        (0, 5, 30, 120, 600, 1800, 7200, 21_600, 43_200, 86_400),
        min_length=1,
        description="Seconds before each attempt, ±20 %, as a JSON list.",
    )
    webhook_concurrency: int = Field(32, ge=1, le=512, description="Attempts of one courier.")
    webhook_endpoint_concurrency: int = Field(4, ge=1, le=64, description="Attempts of one host.")
    webhook_breaker_failures: int = Field(
        5, ge=1, description="Failures in a row after which a host is left alone for a while."
    )
    webhook_breaker_s: float = Field(
        30.0,
        gt=0,
        le=600,
        description="How long it is left alone at first, at most 600 in the end.",
    )
    webhook_disable_s: int = Field(
        432_000, ge=60, description="Seconds of nothing but failures that disable an endpoint."
    )
    webhook_rotation_s: int = Field(
        86_400, ge=0, description="How long a replaced secret signs beside the new one."
    )
    delivery_ttl_s: int = Field(
        259_200, ge=60, description="How long an ended delivery stays in the ledger."
    )

    # the life of a job
    lease_s: float = Field(8.0, ge=1, le=600, description="A silent worker loses its job after.")
    beat_s: float = Field(0.5, ge=0.05, le=60, description="Seconds between two beats.")
    reap_s: float = Field(1.0, ge=0.05, le=60, description="Seconds between two looks for dead.")
    reconcile_s: float = Field(
        5.0, ge=0.1, le=600, description="A job queued longer than this has its doorbell checked."
    )
    max_attempts: int = Field(3, ge=1, le=20, description="Starts before a job counts as poison.")
    job_ttl_s: int = Field(86_400, ge=60, le=30 * 86_400, description="Default life of a job.")
    job_ttl_max_s: int = Field(7 * 86_400, ge=60, description="Longest ttl_s of a request.")
    job_timeout_s: float = Field(900.0, gt=0, description="Longest run of one attempt.")
    watchdog_grace_s: float = Field(
        30.0, gt=0, description="A worker that overruns job_timeout_s by this ends itself."
    )
    drain_s: float = Field(
        2.0,
        ge=0,
        le=3600,
        description="How long a stopping worker finishes jobs; then it gives them back.",
    )
    image_ttl_s: int = Field(86_400, ge=60, description="Life of an image that no job needs.")
    idempotency_ttl_s: int = Field(86_400, ge=60, description="How long an Idempotency-Key binds.")
    erased_ttl_s: int = Field(7 * 86_400, ge=60, description="How long an erased job answers 410.")
    session_ttl_s: int = Field(
        86_400, ge=60, description="Life of a conversation after its last turn."
    )
    session_turns_max: int = Field(200, ge=1, description="Turns that a conversation keeps.")
    events_max: int = Field(10_000, ge=100, description="Events kept of one job.")

    # worker
    model: str = Field(
        BUNDLED_MODEL,
        validation_alias=_alias("MODEL", "MODEL"),
        description="A folder, a hub id, or 'simulated'. Unset: the bundled model.",
    )
    numerics: Numerics = Field("bf16", description="Arithmetic of the model's linear layers.")
    native_kernels: bool = Field(
        True, description="Compute with compiled kernels where the CPU and a compiler allow it."
    )
    threads: int = Field(
        default_factory=_available_cores, ge=1, description="Cores that the model computes on."
    )
    slots: int = Field(8, ge=1, le=128, description="Jobs that a worker answers at once (-c).")
    kv_max_bytes: int = Field(
        2 << 30, ge=1 << 20, description="Keys and values of running and idle conversations."
    )
    work_max_bytes: int | None = Field(
        None,
        ge=1 << 20,
        description="Patches, features and the tower's work of running requests. Unset: what the "
        "machine or container has left, keys and values and cached features apart.",
    )
    features_ram_bytes: int = Field(
        256 << 20, ge=0, description="Image features kept in a worker's memory."
    )
    features_ttl_s: int = Field(
        3600, ge=60, description="Life of image features in Redis after their last use."
    )
    features_redis_bytes: int = Field(
        1 << 30, ge=0, description="Bytes of image features in each cache server; 0 keeps none."
    )
    heartbeat_ttl_s: float = Field(10.0, ge=2, description="A worker is fresh this long.")
    simulated_image_s: float = Field(0.2, ge=0, description="Simulated seconds for an image.")
    simulated_token_s: float = Field(0.02, ge=0, description="Simulated seconds for a token.")

    # traces and logs
    otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="Where traces go by OTLP over HTTP, as in http://collector:4318; unset: none.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        validation_alias=_alias("LOG_LEVEL", "LOG_LEVEL"),
        description="What is less severe than this is not logged.",
    )
    log_file: Path | None = Field(
        None, validation_alias=_alias("LOG_FILE", "LOG_FILE"), description="Also log to this file."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - `make up` reads that file
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - of a folder set in code
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read variables first, then the files of secrets."""
        folder = os.environ.get(SECRETS_DIR)
        files = (SecretsSettingsSource(settings_cls, folder),) if folder else ()
        return init_settings, env_settings, *files

    @field_validator("allow_nets")
    @classmethod
    def _networks_are_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @field_validator("allow_ports")
    @classmethod
    def _ports_are_ports(cls, value: str) -> str:
        parse_ports(value)
        return value

    @model_validator(mode="after")
    def _lease_outlives_beats(self) -> Self:
        if self.lease_s < 3 * self.beat_s:
            raise ValueError(
                f"{PREFIX}LEASE_S must be at least three times {PREFIX}BEAT_S: "
                f"{self.lease_s:g} and {self.beat_s:g}"
            )
        return self

    @property
    def cache_urls(self) -> tuple[str, ...]:
        """Return the servers of the cache role, at least one."""
        return tuple((self.cache_url or "").split()) or (self.redis_url,)

    @property
    def loopback(self) -> bool:
        """Tell whether only this machine can reach the gateway."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


if __name__ == "__main__":
    # by name: an import here would make every module that reads settings depend on Redis
    runpy.run_module("shared.config_check", run_name="__main__")
