"""A peer as commonly built: FastAPI receives the order, SQLAlchemy stores it, Celery on Redis has the job to place it.

Runs in a separate environment (requirements.lock). SETTINGS: DATABASE_URL, REDIS_URL.
"""

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from celery import Celery
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import Numeric, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

POOL_CONNECTIONS = 10

engine = create_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"), pool_size=POOL_CONNECTIONS
)
open_session = sessionmaker(engine)
queue = Celery("peer", broker=os.environ["REDIS_URL"])
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "celery_orders"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    client_order_id: Mapped[str] = mapped_column(unique=True)
    isin: Mapped[str]
    side: Mapped[str]
    type: Mapped[str]
    quantity: Mapped[Decimal] = mapped_column(Numeric)
    limit_price: Mapped[Decimal | None] = mapped_column(Numeric)
    status: Mapped[str] = mapped_column(default="PENDING")
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC).replace(tzinfo=None))


class OrderIn(BaseModel):
    clientOrderId: str
    isin: str
    side: Literal["BUY", "SELL"]
    type: Literal["MARKET", "LIMIT"]
    quantity: Decimal
    limitPrice: Decimal | None = None


class OrderOut(BaseModel):
    id: uuid.UUID
    clientOrderId: str
    status: str
    quantity: Decimal
    createdAt: datetime


@queue.task(name="place_order")
def place_order(order_id: str) -> None:
    """Submit the order to the exchange, in a real worker."""


def session() -> Iterator[Session]:
    with open_session() as opened:
        yield opened


@app.get("/healthz")
def healthz() -> None:
    Base.metadata.create_all(engine)


@app.post("/orders", response_model=OrderOut)
def create_order(given: OrderIn, opened: Annotated[Session, Depends(session)]) -> OrderOut:
    order = Order(
        client_order_id=given.clientOrderId,
        isin=given.isin,
        side=given.side,
        type=given.type,
        quantity=given.quantity,
        limit_price=given.limitPrice,
    )
    opened.add(order)
    opened.commit()
    place_order.delay(str(order.id))
    return OrderOut(
        id=order.id,
        clientOrderId=order.client_order_id,
        status=order.status,
        quantity=order.quantity,
        createdAt=order.created_at,
    )
