"""The form of our jobs in Redis. A client with write access to Redis can write anything else there.

So a job can do no more than ours: name at most fifty orders, whose state the database then decides.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

QUEUE_NAME = "fillwire"
PLACE_ORDERS = "place_orders"
CANCEL_ORDERS = "cancel_orders"
ORDERS_PER_JOB_MAX = 50
JOB_MAX_BYTES = 8_192
"""Fifty order ids take 2,000 bytes, everything else less than 1,000."""
TIMEOUT_MAX_SECONDS = 86_400

_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_Id = Annotated[str, StringConstraints(pattern=_UUID)]
_Moment = Annotated[int, Field(ge=0, lt=2**53)]
_Text = Annotated[str, StringConstraints(max_length=JOB_MAX_BYTES)]


class OrderIds(BaseModel):
    """The arguments of a job."""

    model_config = ConfigDict(strict=True, extra="forbid")

    order_ids: Annotated[list[_Id], Field(min_length=1, max_length=ORDERS_PER_JOB_MAX)]


class StoredJob(BaseModel):
    """The fields of SAQ's job that ours have, and SAQ's own notes about it. A field that is missing has its default."""

    model_config = ConfigDict(strict=True, extra="forbid")

    queue: Literal["fillwire"]
    function: Literal["place_orders", "cancel_orders"]
    kwargs: OrderIds
    key: _Id
    timeout: Annotated[int, Field(gt=0, le=TIMEOUT_MAX_SECONDS)]
    ttl: Literal[-1]
    scheduled: _Moment = 0
    attempts: _Moment = 0
    queued: _Moment = 0
    started: _Moment = 0
    touched: _Moment = 0
    completed: _Moment = 0
    status: Literal["new", "queued", "active"] = "new"
    worker_id: _Text | None = None
    error: _Text | None = None
