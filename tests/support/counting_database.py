"""A database that counts its statements, and how a test opens one over real PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Executable

from db.database import Database, Row
from db.engine import open_database


class CountingDatabase(Database):
    """A database that counts its statements."""

    statements = 0

    async def fetch(self, statement: str, *arguments: object) -> Sequence[Row]:
        self.statements += 1
        return await super().fetch(statement, *arguments)

    async def select(self, statement: Executable) -> Sequence[Row]:
        self.statements += 1
        return await super().select(statement)


@asynccontextmanager
async def counting_database(url: str) -> AsyncIterator[CountingDatabase]:
    """Open the database, which counts from 0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("db.engine.Database", CountingDatabase)
        async with open_database(url, application_name="test") as database:
            assert isinstance(database, CountingDatabase)
            yield database
