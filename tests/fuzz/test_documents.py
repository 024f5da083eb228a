"""Documents that schemathesis draws from the schema: valid ones, with values of every kind."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_graphql import nodes

from tests.fuzz.cases import fuzz
from tests.fuzz.client import FuzzClient
from tests.support.processes import ROOT
from tests.support.system import ALL_SCOPES, APPLE, token

TEXTS = st.text(max_size=40)
SCALARS = {
    "ISIN": st.just(APPLE) | TEXTS,
    "Decimal": st.sampled_from(["1", "0", "-1", "0.01", "12.50", "1e5", "NaN", "9" * 19, "1." + "0" * 18]) | TEXTS,
    "DateTime": st.sampled_from(["2026-11-20T12:00:00Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00"])
    | TEXTS,
}


@pytest.mark.timeout(3_600)
async def test_no_valid_document_breaks_the_api_or_shows_the_program(
    fuzz_by: Callable[[Callable[[FuzzClient], None]], Awaitable[None]],
) -> None:
    for name, values in SCALARS.items():
        schemathesis.graphql.scalar(name, values.map(nodes.String))
    schema = schemathesis.graphql.from_path(ROOT / "schema.graphql")
    headers = {
        "authorization": f"Bearer {token('demo', scopes=ALL_SCOPES + ' operator')}",
        "content-type": "application/json",
    }

    def story(client: FuzzClient) -> None:
        @fuzz
        @given(case=schema.as_strategy())
        def ask(case: "schemathesis.Case[Any]") -> None:
            client.check(client.ask("POST", "/graphql", headers, orjson.dumps({"query": case.body})))

        ask()

    await fuzz_by(story)
