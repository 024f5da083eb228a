"""The sources of time and new ids."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

Clock = Callable[[], datetime]
"""Gives the present moment, aware, in UTC."""


NewId = Callable[[], UUID]
"""Gives a new uuid version 7."""
