"""urql's own client as it is made in its documentation: it sends queries by GET."""

import asyncio
import json

import pytest

from tests.support.audited_api import AuditedApi
from tests.support.node import PROJECT, install_modules, need_program
from tests.support.system import token


@pytest.mark.timeout(180)
async def test_urql_without_options_is_answered_by_an_api_without_settings(production: AuditedApi) -> None:
    install_modules()
    process = await asyncio.create_subprocess_exec(
        need_program("node"),
        "urql_queries.mjs",
        production.url,
        token("demo"),
        cwd=PROJECT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()

    assert json.loads(output) == {
        "methods": ["GET", "POST"],
        "data": [
            {"viewer": {"accountId": "demo"}, "orders": {"nodes": []}},
            {"__typename": "Mutation"},
        ],
        "errors": [None, None],
    }
