"""The venue's rate limit: its window, and how the classes of requests share it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from domain.model.rate_budget import RequestPriority
from runtime.settings.group import Seconds, SettingsGroup

Percent = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class RateLimitSettings(SettingsGroup):
    """How the requests that the venue allows are shared. The limit itself is the one that the venue announces."""

    exchange_rate_window_seconds: Seconds = Field(60.0, description="The period that the exchange's rate limit is for")
    exchange_rate_kill_percent: Percent = Field(5.0, description="Of the rate limit, reserved for kills")
    exchange_rate_cancel_percent: Percent = Field(10.0, description="Reserved for cancels")
    exchange_rate_submit_percent: Percent = Field(20.0, description="Reserved for new orders")
    exchange_rate_look_up_percent: Percent = Field(5.0, description="Reserved for look-ups of orders")
    exchange_rate_catch_up_percent: Percent = Field(5.0, description="Reserved for lists: fills, orders, instruments")
    exchange_rate_catch_up_wait_seconds: Seconds = Field(
        120.0, description="How long a list waits for the rate limit before its catch-up is given up"
    )

    @model_validator(mode="after")
    def _shares_are_parts_of_one_limit(self) -> Self:
        if sum(self.rate_shares.values()) > 1:
            raise ValueError("the five EXCHANGE_RATE_..._PERCENT must be 100 or less together")
        return self

    @property
    def rate_shares(self) -> dict[RequestPriority, float]:
        """Return the minimum share of each class, as parts of 1."""
        return {
            priority: getattr(self, f"exchange_rate_{priority.label}_percent") / 100 for priority in RequestPriority
        }
