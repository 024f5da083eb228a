"""How the tables spell their columns: one metadata, the types, and the checks that most columns share."""

from sqlalchemy import CheckConstraint, DateTime, MetaData, Text

from domain.model.values import REASON_CODE_MAX_CHARACTERS, REASON_MESSAGE_MAX_CHARACTERS

ID_MAX_CHARACTERS = 128
CODE_MAX_CHARACTERS = REASON_CODE_MAX_CHARACTERS
MESSAGE_MAX_CHARACTERS = REASON_MESSAGE_MAX_CHARACTERS
RAW_MAX_BYTES = 1_048_576

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

MOMENT = DateTime(timezone=True)
NAME = Text(collation="C")
"""Text that is compared. It sorts by code point, as Python does, so Python knows the order in which rows are locked."""


def at_most(column: str, max_characters: int) -> CheckConstraint:
    """Return a check that the text is not empty and not longer than that."""
    return CheckConstraint(f"char_length({column}) BETWEEN 1 AND {max_characters}", name=column)


def exact_decimal(column: str) -> CheckConstraint:
    """NUMERIC(36, 18) would round silently. This refuses what does not fit; NaN too, which sorts above all numbers."""
    return CheckConstraint(f"scale({column}) <= 18 AND {column} < 1e18 AND {column} > -1e18", name=column)


def positive_decimal(column: str) -> CheckConstraint:
    """Return the same check, above zero."""
    return CheckConstraint(f"scale({column}) <= 18 AND {column} < 1e18 AND {column} > 0", name=column)
