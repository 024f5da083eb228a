"""What every test of the API starts from."""

from collections.abc import AsyncIterator

import pytest

from tests.support.api_server import Api, running_api


@pytest.fixture(scope="session")
async def running() -> AsyncIterator[Api]:
    """One server for all tests that need no settings of their own."""
    async with running_api() as api:
        yield api


@pytest.fixture
async def api(running: Api) -> Api:
    """Return the API without orders."""
    running.world.clear()
    return running
