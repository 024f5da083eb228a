"""Which operations of a document are compiled, and which documents are refused."""

import pytest
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graph.documents.cache import CachedDocuments
from graph.schema.build import UnderDeadline
from graph.settings import GraphSettings
from tests.graph.engine.requests import COMPILING, CORE, DOCUMENTS, PLAIN
from tests.graph.engine.scenarios import Scenario, world_of

SEVERAL = """
query Mine { viewer { accountId } }
query Theirs { instruments(first: 1) { nodes { symbol } } }
mutation Cancel { cancelOrder(input: {orderId: "ord_none"}) { ... on UserError { code } } }
"""


@pytest.mark.parametrize("name", ["Mine", "Theirs", "Cancel", "Nobodys", None])
async def test_of_several_operations_the_named_one_is_run(name: str | None) -> None:
    _, context = await world_of(Scenario())

    theirs = await PLAIN.execute(SEVERAL, context_value=context, operation_name=name)
    ours = await COMPILING.execute(SEVERAL, context_value=context, operation_name=name)

    assert ours.data == theirs.data
    assert list(map(str, ours.errors or ())) == list(map(str, theirs.errors or ()))


@pytest.mark.parametrize("is_wanted", [True, False])
@pytest.mark.parametrize("is_unwanted", [False, True])
async def test_each_choice_of_what_is_left_in_is_compiled_by_itself(is_wanted: bool, is_unwanted: bool) -> None:
    _, context = await world_of(Scenario())
    document = """
    query ($wanted: Boolean!, $unwanted: Boolean = true) {
      viewer { accountId @include(if: $wanted) scopes @skip(if: $unwanted) ...Expiry @skip(if: $wanted) }
    }
    fragment Expiry on Viewer { tokenExpiresAt }
    """
    choice = {"wanted": is_wanted, "unwanted": is_unwanted}

    theirs = await PLAIN.execute(document, variable_values=choice, context_value=context)
    ours = await COMPILING.execute(document, variable_values=choice, context_value=context)

    assert ours.data == theirs.data
    assert ours.errors is None


async def test_an_operation_is_compiled_once_for_its_text() -> None:
    document = DOCUMENTS.read(SEVERAL, CORE)

    assert COMPILING.compiled_operation(document, "Mine") is COMPILING.compiled_operation(document, "Mine")
    assert COMPILING.compiled_operation(document, "Mine") is not COMPILING.compiled_operation(document, "Theirs")


async def test_a_mutation_is_not_run_where_only_queries_are_allowed() -> None:
    world, context = await world_of(Scenario())
    document = "mutation ($id: ID!) { cancelOrder(input: {orderId: $id}) { __typename } }"
    before = {order_id: row.snapshot() for order_id, row in world.orders.rows.items()}

    for schema in (PLAIN, COMPILING):
        for order_id in before:
            with pytest.raises(InvalidOperationTypeError):
                await schema.execute(
                    document,
                    variable_values={"id": f"ord_{order_id.hex}"},
                    context_value=context,
                    allowed_operation_types=(OperationType.QUERY,),
                )

    assert {order_id: row.snapshot() for order_id, row in world.orders.rows.items()} == before


@pytest.mark.parametrize("type_", ["ISIN!", 'ISIN = "US0378331005"'])
@pytest.mark.parametrize("isin", ["US0378331005", "nonsense", 5, None, ...])
async def test_null_is_not_taken_for_a_value_that_may_be_malformed(isin: object, type_: str) -> None:
    _, context = await world_of(Scenario())
    document = f"query ($isin: {type_}) {{ instrument(isin: $isin) {{ symbol }} }}"
    given = {} if isin is ... else {"isin": isin}

    theirs = await PLAIN.execute(document, variable_values=given, context_value=context)
    ours = await COMPILING.execute(document, variable_values=given, context_value=context)

    assert ours.data == theirs.data
    assert list(map(str, ours.errors or ())) == list(map(str, theirs.errors or ()))


async def test_a_document_that_is_too_costly_is_refused_compiled_too() -> None:
    _, context = await world_of(Scenario())
    document = "query ($n: Int) { orders(first: $n) { nodes { history(first: $n) { nodes { execution { id } } } } } }"
    limit = GraphSettings().max_cost_objects

    for rows in (2, 100):
        ours = await COMPILING.execute(document, variable_values={"n": rows}, context_value=context)
        theirs = await PLAIN.execute(document, variable_values={"n": rows}, context_value=context)

        assert (ours.errors is None) is (rows * rows < limit)
        assert list(map(str, ours.errors or ())) == list(map(str, theirs.errors or ()))


def test_each_extension_of_the_schema_has_its_counterpart_in_the_compiled_way() -> None:
    # Compiled operations do not run the extensions: documents and their limits are read by CompilingSchema, the
    # deadline is set where an operation is answered or a stream begins. Another extension needs such a place too.
    assert [type(extension) for extension in COMPILING.get_extensions()] == [CachedDocuments, UnderDeadline]
