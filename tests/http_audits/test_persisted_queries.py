"""Automatic persisted queries as Apollo's own client sends them."""

import asyncio
import json

import pytest

from tests.support.audited_api import running_api
from tests.support.node import PROJECT, install_modules, need_program
from tests.support.system import token

SETTINGS = {"DOCUMENTS": "apq"}


@pytest.mark.timeout(180)
async def test_apollo_sends_the_text_once_and_then_only_its_hash(database_url: str, redis_url: str) -> None:
    install_modules()
    async with running_api(database_url=database_url, redis_url=redis_url, settings=SETTINGS) as api:
        process = await asyncio.create_subprocess_exec(
            need_program("node"),
            "persisted_queries.mjs",
            api.url,
            token("demo"),
            cwd=PROJECT,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()

    assert json.loads(output) == [
        {"account": "demo", "requests": ["POST", "POST with text"]},
        {"account": "demo", "requests": ["GET"]},
    ]
