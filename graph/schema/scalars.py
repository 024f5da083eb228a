"""The three scalars of the contract: Decimal, DateTime and ISIN.

Invalid text in an order must become an InvalidOrder with a path, not GraphQL's own coercion error. So where a client
may write a Decimal or an ISIN, parsing never fails: it returns a `Given…` value with the result or the failure, and the
resolver decides (docs/decisions/0005-malformed-input-is-an-invalid-order.md).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NewType

import orjson
import strawberry
from graphql import GraphQLError, StringValueNode, ValueNode
from strawberry.types.scalar import ScalarDefinition

from domain.model.frozen import frozen
from domain.model.values import format_decimal, is_isin, parse_decimal
from graph.errors import bad_input

GIVEN_TEXT_MAX_CHARACTERS = 64

Isin = NewType("Isin", str)
"""An ISIN on its way out."""

_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


@frozen
class GivenDecimal:
    """A client's input for a Decimal: its value, or None when it is not a decimal in the contract's form."""

    value: Decimal | None


@frozen
class GivenIsin:
    """A client's input for an ISIN: text truncated to a bounded length, empty when it was not text."""

    text: str

    def checked(self) -> str:
        """Return the ISIN; raise BAD_USER_INPUT when it is invalid."""
        if not is_isin(self.text):
            raise bad_input("Not an ISIN: 12 characters whose check digit is right.")
        return self.text


def read_decimal(given: object) -> GivenDecimal:
    """Parse a JSON value for a Decimal. Only a string is valid."""
    if not isinstance(given, str):
        return GivenDecimal(value=None)
    try:
        return GivenDecimal(value=parse_decimal(given))
    except ValueError:
        return GivenDecimal(value=None)


def read_isin(given: object) -> GivenIsin:
    """Parse a JSON value for an ISIN. Only a string is valid."""
    return GivenIsin(text=given[:GIVEN_TEXT_MAX_CHARACTERS] if isinstance(given, str) else "")


def read_date_time(given: object) -> datetime:
    """Read an RFC 3339 instant with any offset; what is finer than a microsecond is cut."""
    if not isinstance(given, str) or _DATE_TIME.fullmatch(given) is None:
        raise GraphQLError("Expected an RFC 3339 instant such as 2026-11-20T12:00:00.123456Z.")
    try:
        return datetime.fromisoformat(given.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise GraphQLError("There is no such moment.") from None


def write_date_time(moment: datetime) -> str:
    """Write an instant in UTC, always with six digits after the second."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    if moment.microsecond:
        # The same text, for a quarter; without microseconds it would leave the digits out.
        return orjson.dumps(moment, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _literal(read: Callable[[object], object]) -> Callable[[ValueNode, dict[str, Any] | None], object]:
    """How to read a literal in a document: the text of a string, None for any other kind, numbers among them."""

    def parse(node: ValueNode, _variables: dict[str, Any] | None = None) -> object:
        return read(node.value if isinstance(node, StringValueNode) else None)

    return parse


# The URLs are of what the texts follow; the descriptions say how each is narrower. The DateTime of scalars.graphql.org
# does not fit: it has three digits after the second.
DECIMAL = strawberry.scalar(
    name="Decimal",
    specified_by_url="https://www.w3.org/TR/xmlschema11-2/#decimal",
    description=(
        "Exact decimal as a JSON string, ^-?[0-9]{1,18}(\\.[0-9]{1,18})?$ in ASCII. "
        "JSON numbers, exponents, NaN and Infinity are refused; output has no exponent."
    ),
    serialize=format_decimal,
    parse_value=read_decimal,
    parse_literal=_literal(read_decimal),
)
DATE_TIME = strawberry.scalar(
    name="DateTime",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    description="RFC 3339 instant in UTC with microseconds, for example 2026-11-20T12:00:00.123456Z.",
    serialize=write_date_time,
    parse_value=read_date_time,
    parse_literal=_literal(read_date_time),
)
ISIN = strawberry.scalar(
    name="ISIN",
    specified_by_url="https://www.iso.org/standard/78502.html",
    description="ISO 6166 number of an instrument: 12 characters, the check digit is verified.",
    serialize=str,
    parse_value=read_isin,
    parse_literal=_literal(read_isin),
)

SCALARS: dict[Any, ScalarDefinition] = {
    Decimal: DECIMAL,
    GivenDecimal: DECIMAL,
    datetime: DATE_TIME,
    Isin: ISIN,
    GivenIsin: ISIN,
}
"""Which Python type stands for which scalar: what goes out is exact, what comes in may be malformed."""
