"""What the groups of settings share: how they are read, and the types of their values."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from runtime.settings.secret_files import SecretFilesSource

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class SettingsGroup(BaseSettings):
    """Settings of one concern, read from the environment, secrets also from files; empty variables count as not set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        case_sensitive=False,
        env_ignore_empty=True,
        # Groups are only used as bases of Settings: building each one's validator would double the time of a start.
        defer_build=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - it has one folder, with a name for each secret
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of values."""
        return init_settings, env_settings, SecretFilesSource(settings_cls)
