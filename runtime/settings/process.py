"""Where a process listens, how it logs, and whether it runs in development."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from runtime.processes.crash_points import read_crash_at
from runtime.settings.group import Seconds, SettingsGroup


class ProcessSettings(SettingsGroup):
    """Settings that every process reads."""

    host: str = Field("127.0.0.1", description="Address that the API, the simulated exchange and the probes listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API")
    fillwire_env: Literal["development", "production"] = Field(
        "production", description="development: GraphiQL, introspection, probes on PORT"
    )
    allow_insecure: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Names of unsafe settings that do not stop the start in production, separated by commas"
    )
    graphiql_allowed: bool = Field(
        default=False, description="GraphiQL and introspection in production too; the page holds no token there"
    )
    log_format: Literal["auto", "plain", "json"] = Field("auto", description="auto: plain on a terminal, else JSON")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_gather_seconds: Seconds = Field(10.0, description="How often the count of a repeated event is logged")
    stop_within_seconds: Seconds = Field(12.0, description="How long running work may take to finish at a stop")
    crash_at: str | None = Field(None, description="Fault runs: where to crash, name:probability, separated by commas")

    @field_validator("allow_insecure", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return tuple(name for name in re.split(r"[,\s]+", value) if name) if isinstance(value, str) else value

    @field_validator("crash_at")
    @classmethod
    def _crash_points_exist(cls, value: str | None) -> str | None:
        if value:
            read_crash_at(value)
        return value

    @property
    def is_development(self) -> bool:
        """Whether GraphiQL and introspection are allowed."""
        return self.fillwire_env == "development"
