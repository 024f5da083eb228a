"""Settings of trusted documents: a process that could not execute one of them does not start, and names it."""

import json
from pathlib import Path

import pytest

from tests.support.audited_api import running_api
from tests.support.processes import running
from tests.support.system import BROADCAST_KEY, TOKEN_SECRET

GOOD = "query Viewer { viewer { accountId } }"
BAD = "query Renamed { viewer { customerId } }"


def manifest(folder: Path, *texts: str) -> str:
    """Return a manifest in Apollo's format."""
    operations = [
        {"id": str(number), "name": text.split()[1], "type": "query", "body": text} for number, text in enumerate(texts)
    ]
    path = folder / "manifest.json"
    path.write_text(json.dumps({"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations}))
    return str(path)


async def test_an_api_runs_the_documents_of_its_manifest_and_no_other(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = {"DOCUMENTS": "trusted", "TRUSTED_DOCUMENTS_FILE": manifest(tmp_path, GOOD)}
    async with running_api(database_url=database_url, redis_url=redis_url, settings=settings) as api:
        assert await api.post({"documentId": "0"}) == (200, {"data": {"viewer": {"accountId": "demo"}}})

        _, refused = await api.post({"query": "{ __typename }"})
        assert refused["errors"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"


async def test_an_api_does_not_start_on_a_document_that_the_schema_does_not_fit(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    said = await refuses_to_start(
        {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "TRUSTED_DOCUMENTS_FILE": manifest(tmp_path, GOOD, BAD)}
    )

    assert "TRUSTED_DOCUMENTS_FILE: Renamed cannot be run: Cannot query field 'customerId' on type 'Viewer'." in said


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"TRUSTED_DOCUMENTS_FILE": "nowhere.json"}, "TRUSTED_DOCUMENTS_FILE: nowhere.json cannot be read"),
        ({"DOCUMENTS": "trusted"}, "DOCUMENTS=trusted needs TRUSTED_DOCUMENTS_FILE"),
        ({"DOCUMENTS": "some"}, "DOCUMENTS: Input should be 'any', 'apq' or 'trusted'"),
    ],
)
async def test_an_api_does_not_start_on_settings_that_name_no_documents(
    database_url: str, redis_url: str, settings: dict[str, str], sentence: str
) -> None:
    said = await refuses_to_start({"DATABASE_URL": database_url, "REDIS_URL": redis_url, **settings})

    assert sentence in said


async def refuses_to_start(settings: dict[str, str]) -> str:
    """Return the error of an API that must not start with these settings."""
    given = {"TOKEN_SECRET": TOKEN_SECRET, "BROADCAST_KEY": BROADCAST_KEY}
    environment = {**given, "LOG_FORMAT": "plain", **settings}
    async with running(["-m", "runtime", "api"], environment=environment) as process:
        assert await process.ends(within_seconds=20) == 2
    return "\n".join(process.output)
