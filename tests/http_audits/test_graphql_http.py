"""The 61 audits of the npm package graphql-http, by the authors of the GraphQL-over-HTTP specification."""

import asyncio
import json

import pytest

from tests.support.audited_api import running_api
from tests.support.node import PROJECT, install_modules, need_program
from tests.support.system import token

Audit = dict[str, str]

BY_GET = {"5A70", "D6D5", "6A70"}
"""The audits that want an answer to a query by GET, which the specification leaves to the server."""
WITH_INTROSPECTION = {"FILLWIRE_ENV": "development"}
"""Five audits ask for `__type`, which production refuses as an invalid document."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("allowed", "missed"), [("true", set()), ("false", BY_GET)])
async def test_every_audit_passes_except_those_by_get_where_that_is_not_allowed(
    database_url: str, redis_url: str, allowed: str, missed: set[str]
) -> None:
    install_modules()
    settings = {**WITH_INTROSPECTION, "GET_QUERIES_ALLOWED": allowed}
    async with running_api(database_url=database_url, redis_url=redis_url, settings=settings) as api:
        results = await audits_of(api.url)

    assert len(results) == 61
    others = {result["id"]: result for result in results if result["status"] != "ok"}
    assert set(others) == missed, others
    assert {result["status"] for result in others.values()} <= {"notice"}


async def audits_of(url: str) -> list[Audit]:
    """Run all audits against the address."""
    process = await asyncio.create_subprocess_exec(
        need_program("node"), "http_audits.mjs", url, token("demo"), cwd=PROJECT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    results: list[Audit] = json.loads(output)
    return results
