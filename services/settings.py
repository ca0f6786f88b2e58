"""The environment, read once: secrets and addresses. Business numbers are data, never here."""

from pathlib import Path

from pydantic import AwareDatetime, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All `KEEPWELL_*` variables; docs/configuration.md lists them in a table."""

    model_config = SettingsConfigDict(env_prefix="KEEPWELL_", env_file=".env", extra="ignore")

    home: Path = Field(
        default_factory=lambda: Path.home() / ".local" / "share" / "keepwell",
        description="Where the embedded servers keep their data.",
    )
    database_url: str | None = Field(
        default=None,
        description="PostgreSQL as the application's role; unset: the embedded server.",
    )
    owner_database_url: str | None = Field(
        default=None,
        description="PostgreSQL as the owner of the objects; only 'db upgrade' uses it.",
    )
    redis_url: str | None = Field(
        default=None, description="Redis; unset: the embedded Valkey. Without any, workers poll."
    )
    smtp_url: str = Field(
        default="smtp://127.0.0.1:1025",
        description="smtp:// or smtps:// host, port, user and password.",
    )
    sms_url: str | None = Field(
        default=None, description="HTTP gateway for SMS; unset: SMS can't be sent."
    )
    sms_token: SecretStr = Field(default=SecretStr(""), description="Bearer token of the gateway.")
    sms_sender: str = Field(default="", description="Number or name that SMS come from.")
    public_url: str = Field(
        default="http://127.0.0.1:8000", description="Where contacts reach the unsubscribe page."
    )
    secret: SecretStr = Field(
        default=SecretStr("only-for-local-use"), description="Signs unsubscribe links."
    )
    llm_base_url: str | None = Field(default=None, description="Any OpenAI-compatible endpoint.")
    llm_api_key: SecretStr = SecretStr("none")
    llm_model: str = "gpt-4o-mini"
    llm_timeout_seconds: float = Field(default=3.0, gt=0, le=60)
    clock: AwareDatetime | None = Field(
        default=None, description="Start the clock at this moment: rehearsals on past data."
    )
    pool_size: int = Field(default=8, ge=1, le=200)
    processes: int = Field(
        default=1, ge=1, le=256, description="Processes that decide for all contacts at night."
    )
    dask_scheduler: str = Field(
        default="", description="Dask scheduler that decides at night in place of processes."
    )
