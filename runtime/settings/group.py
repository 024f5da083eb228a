"""What the groups of settings share: how they are read, and the types of their values."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class SettingsGroup(BaseSettings):
    """Settings of one concern, read from the environment; empty variables count as not set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        case_sensitive=False,
        env_ignore_empty=True,
        # Groups are only used as bases of Settings: building each one's validator would double the time of a start.
        defer_build=True,
    )
