"""The address of a process's probes and metrics, and the limits of their cost."""

from pydantic import Field

from runtime.settings.group import Count, Seconds, SettingsGroup


class ProbeSettings(SettingsGroup):
    """The port of /healthz, /readyz and /metrics, which need no token: its clients must not harm the process."""

    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port of /healthz, /readyz, /metrics; in development the API has them on PORT too; 0: none",
    )
    metrics_host: str | None = Field(None, description="Address that METRICS_PORT listens on; HOST when not set")
    metrics_connections_max: Count = Field(50, description="Open on METRICS_PORT; beyond, the oldest idle one is cut")
    metrics_connections_per_second_max: Count = Field(
        50, description="Accepted on METRICS_PORT, for one request each; more wait, as many as this"
    )
    metrics_rendered_every_seconds: Seconds = Field(
        1.0, description="Requests of /metrics within this time get the same bytes"
    )
