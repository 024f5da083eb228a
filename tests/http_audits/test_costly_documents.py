"""Documents and bodies built to cost CPU or memory: each is refused with a code and its limit, fast."""

import io

import pytest

from benchmarks.frame.machine import CpuMeter
from tests.support.audited_api import AuditedApi

CPU_BOUND_SECONDS = 1.0
"""Far above what any of them takes (the longest 0.1 s), far below what one took before its limit (0.2 to 3 s)."""


def chain(length: int) -> str:
    """Fragments that spread one another, one after the other."""
    links = [f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(length)]
    return " ".join(["{ ...f0 }", *links, f"fragment f{length} on Query {{ __typename }}"])


def doubling_chain(length: int) -> str:
    """Return fragments of which each contains the next one twice."""
    links = [f"fragment f{n} on Query {{ ...f{n + 1} viewer {{ accountId }} ...f{n + 1} }}" for n in range(length)]
    return " ".join(["{ ...f0 }", *links, f"fragment f{length} on Query {{ __typename }}"])


def orders(count: int) -> str:
    """Return a mutation that places that number of orders."""
    place = 'placeOrder(input: {clientOrderId: "%s", isin: "US0378331005", side: BUY, type: MARKET, quantity: "1"})'
    return "mutation { " + " ".join(f"o{n}: {place % n} {{ __typename }}" for n in range(count)) + " }"


DOCUMENTS = {
    "lists nested 2000 times": "{ nodes(ids: " + "[" * 2_000 + "]" * 2_000 + ") { id } }",
    "lists nested 450 times": "{ nodes(ids: " + "[" * 450 + "]" * 450 + ") { id } }",
    "selections nested 400 times": "{ a " * 400 + "}" * 400,
    "inline fragments nested 200 times": "{ ... " * 200 + "{ __typename }" + " }" * 200,
    "a field 900 times": "{ " + "__typename " * 900 + "}",
    "a field 3000 times": "{ " + "__typename " * 3_000 + "}",
    "an object 300 times": "{ " + "viewer { accountId } " * 190 + "}",
    "aliases by the hundred": "{ " + " ".join(f"a{n}: __typename" for n in range(300)) + " }",
    "aliases by the thousand": "{ " + " ".join(f"a{n}: __typename" for n in range(3_500)) + " }",
    "a chain of 60 fragments": chain(60),
    "a chain of 140 fragments": chain(140),
    "a chain of 1000 fragments": chain(1_000),
    "a chain that doubles with each link": doubling_chain(40),
    "a comment of 60 kB": "#" * 60_000 + "\n{ __typename }",
    "1500 variables": "query (" + " ".join(f"$v{n}: Int" for n in range(1_500)) + ") { __typename }",
    "directives by the hundred": "{ __typename " + "@include(if: true) " * 120 + "}",
    "pages inside pages": "{ orders(first: 100) { nodes { history(first: 100) { nodes { at } } } } }",
    "eleven orders at once": orders(11),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_costly_document_is_refused_soon_with_its_code_and_its_limit(
    production: AuditedApi, document: str
) -> None:
    before = cpu_seconds(production)

    status, answer = await production.post({"query": document}, accept="application/graphql-response+json")

    assert status == 400
    (error,) = answer["errors"]
    assert error["extensions"]["code"] in {"DOCUMENT_TOO_LARGE", "DOCUMENT_TOO_COSTLY"}
    assert str(error["extensions"]["limit"]) in error["message"]
    assert cpu_seconds(production) - before < CPU_BOUND_SECONDS


@pytest.mark.parametrize("megabytes", [1, 20])
async def test_a_body_of_megabytes_is_refused_soon_with_its_limit(production: AuditedApi, megabytes: int) -> None:
    before = cpu_seconds(production)
    body = b'{"query": "#' + b"x" * (megabytes * 1_000_000) + b'\\n{ __typename }"}'

    status, answer = await production.post(io.BytesIO(body))

    assert status == 413
    assert answer["errors"][0]["extensions"] == {"code": "BODY_TOO_LARGE", "limit": 65_536}
    assert cpu_seconds(production) - before < CPU_BOUND_SECONDS


def cpu_seconds(api: AuditedApi) -> float:
    """Return the processor time of the API."""
    return CpuMeter({"api": api.process.pid}).read()["api"]
