"""Compiling is about schemas, not about ours: what ours does not have today is answered alike too."""

import asyncio
import gc
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar

import orjson
import pytest
import strawberry
from graphql import parse
from strawberry.extensions import FieldExtension
from strawberry.types import ExecutionResult
from strawberry.types.nodes import SelectedField

from graph.engine.answering import execute
from graph.engine.operation import Root, compile_operation

Item = TypeVar("Item")
calls: list[str] = []
"""What the resolvers did, in order."""


@strawberry.enum
class Colour(Enum):
    RED = 1
    GREEN = "g"
    ALSO_RED = 1  # noqa: PIE796 - an alias, on purpose


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Cat(Named):
    lives: int | None
    weight: float = 1.5
    colour: Colour = Colour.RED

    @strawberry.field
    def kittens(self, count: int = 2) -> list["Cat"]:
        return [Cat(name=f"{self.name} {number}", lives=number) for number in range(count)]

    @strawberry.field
    async def slow(self, fails: bool = False) -> "Cat":
        calls.append(f"{self.name} begins")
        await asyncio.sleep(0)
        calls.append(f"{self.name} ends")
        if fails:
            raise RuntimeError("slow and failing")
        return self

    @strawberry.field
    async def failing(self) -> "Cat | None":
        await asyncio.sleep(0)
        raise RuntimeError("failing")


class Kitten(Cat):
    """A separate class, and no type of the schema."""


@strawberry.type
class Dog(Named):
    lives: str
    parent: Named | None = None


@strawberry.type
class Box(Generic[Item]):
    content: Item
    matrix: list[list[int | None]]


@strawberry.type
class Stranger:
    name: str


Pet = Annotated[Cat | Dog, strawberry.union("Pet")]


@strawberry.input
class Part:
    size: int
    tags: list[str] | None = None
    inner: list["Piece"] = strawberry.field(default_factory=list)


@strawberry.input
class Piece:
    colours: list[Colour | None] = strawberry.field(default_factory=lambda: [Colour.GREEN])
    weight: float | None = strawberry.UNSET


class Shouting(FieldExtension):
    def resolve(self, next_: Callable[..., Any], source: object, info: strawberry.Info, **given: object) -> object:
        return next_(source, info, **given).upper()


@strawberry.type
class Query:
    here: str = "attribute"

    @strawberry.field
    def pets(self, which: str = "all") -> list[Pet | None]:
        return {
            "all": [Cat(name="Tom", lives=9), Dog(name="Rex", lives="one"), None],
            "stranger": [Cat(name="Tom", lives=9), Stranger(name="?")],
            "exception": [Cat(name="Tom", lives=9), ValueError("in the list")],
            "nothing": None,
            "text": "Tom",
            "tuple": (Cat(name="Tom", lives=2**31), Dog(name="Rex", lives=7)),  # type: ignore[arg-type]  # it does not fit
        }[which]  # type: ignore[return-value]  # not all of it fits

    @strawberry.field
    def named(self, which: str = "dog") -> Named:
        return {
            "dog": Dog(name="Rex", lives="one", parent=Cat(name="Tom", lives=None)),
            "stranger": Stranger(name="?"),
            "nothing": None,
        }[which]  # type: ignore[return-value]  # as above

    @strawberry.field
    async def cat(self, name: str = "Tom") -> Cat | None:
        if name == "error":
            raise RuntimeError("no cat")
        spoiled = ValueError("in place of a name") if name == "spoiled" else name
        weight = "heavy" if name == "heavy" else 1.5
        return Cat(name=spoiled, lives=9, weight=weight) if name else None  # type: ignore[arg-type]  # it may not fit

    @strawberry.field
    def impostors(self) -> list[Cat | None]:
        return [Cat(name="Tom", lives=9), Dog(name="Rex", lives="one"), Cat(name="Minka", lives=9)]  # type: ignore[list-item]  # as above

    @strawberry.field
    def litter(self) -> list[Cat] | None:
        return [Cat(name="one", lives=1), Cat(name="two", lives=2), ValueError("third")]  # type: ignore[list-item]  # as above

    @strawberry.field
    async def impostor(self, who: str) -> Cat | None:
        return {
            "dog": Dog(name="Rex", lives="one"),
            "kitten": Kitten(name="Minka", lives=9),
            "stranger": Stranger(name="?"),
        }[who]  # type: ignore[return-value]  # as above

    @strawberry.field
    def asked(self, info: strawberry.Info, text: str = "t") -> list[str]:
        return [
            info.field_name,
            info.python_name,
            str(info.path.as_list()),
            str(info.variable_values),
            str(info.input_extensions),
            str(info.return_type),
            str(info.operation.name and info.operation.name.value),
            str([field.name for field in info.selected_fields if isinstance(field, SelectedField)]),
            str(info.query),
            str(info.root_value),
            text,
        ]

    @strawberry.field
    def box(self) -> Box[Cat]:
        return Box(content=Cat(name="Tom", lives=9), matrix=[[1, None], [2**40], []])

    @strawberry.field
    def spoiled_box(self) -> Box[int] | None:
        return Box(content=None, matrix=[[1], None])  # type: ignore[arg-type,list-item]  # it does not fit

    @strawberry.field
    def build(self, parts: list[Part], shape: list[list[int]] | None = None) -> str:
        return repr((parts, shape))

    @strawberry.field(extensions=[Shouting()])  # type: ignore[untyped-decorator]  # strawberry's annotation
    def shout(self) -> str:
        return "loud"


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def note(self, text: str) -> str:
        calls.append(f"{text} begins")
        await asyncio.sleep(0)
        calls.append(f"{text} ends")
        if text == "error":
            raise RuntimeError("not noted")
        return text

    @strawberry.mutation
    def mark(self, text: str) -> str | None:
        calls.append(text)
        return None


SCHEMA = strawberry.Schema(query=Query, mutation=Mutation, types=[Cat, Dog])
MANY_CONDITIONS = """
query ($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean!) {
  cat @skip(if: $a) @include(if: $b) { name @skip(if: $c) lives @skip(if: $d) }
}
"""
BUILD = "query ($parts: [Part!]!, $n: Int = 3) { build(parts: $parts, shape: [[1, $n], [$n]]) }"
SLOW_CATS = "{ a: cat { slow { name slow(fails: true) { name } } } b: cat { name slow { lives kittens { name } } } }"


async def both(document: str, variables: dict[str, Any] | None) -> tuple[bytes, bytes | None]:
    """Strawberry's answer and ours, None where the variables do not fit."""
    theirs = await SCHEMA.execute(document, variable_values=variables)
    ours = await compiled(document, variables)
    return rendered(theirs), None if ours is None else rendered(ours)


async def compiled(
    document: str, variables: dict[str, Any] | None = None, *, extensions: dict[str, Any] | None = None
) -> ExecutionResult | None:
    operation = compile_operation(SCHEMA, parse(document), None, exact_types={})
    if operation is None:
        return None
    begun = operation.begin(variables, None, extensions=extensions)
    if begun is None:
        return None
    run, root = begun
    assert isinstance(root, Root)
    return await execute(run, root)


async def _quiet() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def rendered(result: ExecutionResult) -> bytes:
    return orjson.dumps([result.data, [error.formatted for error in result.errors or ()]])


@pytest.mark.parametrize(
    "document",
    [
        "{ pets { __typename ... on Named { name } ... on Cat { lives colour weight } ... on Dog { bark: lives } } }",
        '{ pets(which: "stranger") { ... on Named { name } } }',
        '{ pets(which: "exception") { ... on Named { name } } }',
        '{ pets(which: "nothing") { ... on Named { name } } }',
        '{ pets(which: "text") { ... on Named { name } } }',
        '{ pets(which: "tuple") { ... on Cat { lives } ... on Dog { bark: lives } } }',
        "{ named { name __typename ... on Dog { parent { name ... on Cat { lives } } } } }",
        "{ kind: __typename named { also: __typename name } }",
        '{ cat(name: "spoiled") { name } }',
        '{ named(which: "stranger") { name } }',
        '{ named(which: "nothing") { name } }',
        "{ cat { name kittens(count: 3) { name lives kittens { name } } } }",
        '{ cat(name: "error") { name } }',
        '{ cat(name: "") { name } }',
        "{ box { content { name } matrix } spoiledBox { __typename matrix content } }",
        "{ spoiledBox { __typename content } cat { name } }",
        '{ impostor(who: "dog") { name } }',
        '{ impostor(who: "kitten") { name lives } }',
        '{ impostor(who: "stranger") { name } cat { name } }',
        SLOW_CATS,
        "{ named { name ... on Dog { parent { name ... on Cat { slow(fails: true) { name } } } } } }",
        "{ impostors { name slow(fails: true) { name } } cat { name } }",
        "{ cat { kittens { slow { name } lives } slow(fails: true) { name } name } named { name } }",
        "{ cat { kittens { slow { slow(fails: true) { name } } } } other: cat { name } }",
    ],
)
async def test_results_of_resolvers_are_completed_the_same(document: str) -> None:
    theirs, ours = await both(document, None)

    assert ours == theirs


@pytest.mark.parametrize(
    "parts",
    [
        [],
        {"size": 1},
        [{"size": 1, "tags": ["a"]}, {"size": 2, "tags": None, "inner": [{}]}],
        [{"size": 1, "inner": [{"colours": ["RED", None], "weight": 1}, {"weight": None}]}],
        [{"size": 1, "inner": {"colours": "GREEN"}}],
    ],
)
async def test_inputs_of_inputs_are_read_alike(parts: object) -> None:
    theirs, ours = await both(BUILD, {"parts": parts})

    assert ours == theirs


@pytest.mark.parametrize(
    "parts",
    [
        [{"size": "1"}],
        [{"size": 2**31}],
        [{"size": 1, "colour": "RED"}],
        [{"size": 1, "inner": [{"colours": ["red"]}]}],
        [{"size": 1, "inner": [{"colours": [1]}]}],
        [{"size": 1, "inner": [{"weight": float("inf")}]}],
        [{"tags": []}],
        ["part"],
        [None],
        None,
        ...,
    ],
)
async def test_variables_that_do_not_fit_are_left_to_strawberry(parts: object) -> None:
    theirs, ours = await both(BUILD, {} if parts is ... else {"parts": parts})

    assert ours is None
    assert theirs.startswith(b"[null")


async def test_inputs_in_the_document_are_read_the_same_and_again_for_every_run() -> None:
    document = '{ build(parts: [{size: 1, tags: "t", inner: [{colours: [RED]}]}], shape: 4) }'

    theirs, ours = await both(document, None)

    assert ours == theirs


@pytest.mark.parametrize(
    "document",
    [
        '{ cat(name: "heavy") { slow { name } weight } }',
        '{ cat(name: "heavy") { again: slow { name } slow { name } weight } other: cat { slow { name } } }',
        '{ cat(name: "heavy") { failing { name } weight } other: cat { slow { slow { name } } } }',
        "{ litter { slow { name } } }",
        "{ litter { slow { name } } cat { slow { name } } }",
    ],
)
async def test_started_work_finishes_also_when_it_is_no_longer_needed(document: str) -> None:
    calls.clear()
    theirs = await SCHEMA.execute(document)
    await _quiet()
    in_order = calls.copy()
    calls.clear()

    ours = await compiled(document)
    await _quiet()

    assert ours is not None
    assert (rendered(ours), calls) == (rendered(theirs), in_order)


async def test_what_a_failure_cancels_before_it_has_begun_is_dropped_without_a_warning() -> None:
    """The coroutines of the siblings' fields, which wait in tasks that are canceled before their first step."""
    deep = "kittens { kittens { kittens { slow { name } again: slow { name } } } }"
    document = f"{{ cat {{ slow(fails: true) {{ name }} {deep} }} }}"

    theirs, ours = await both(document, None)
    gc.collect()

    assert ours == theirs
    assert b"slow and failing" in theirs


async def test_a_resolver_may_ask_the_same_of_its_operation() -> None:
    document = 'query Named($t: String = "v") { alias: asked(text: $t) other: asked @include(if: true) }'
    theirs = await SCHEMA.execute(document, operation_extensions={"by": "them"})

    ours = await compiled(document, extensions={"by": "them"})

    assert ours is not None
    assert rendered(ours) == rendered(theirs)


@pytest.mark.parametrize("second", ["two", "error"])
async def test_a_mutations_fields_run_one_after_the_other(second: str) -> None:
    document = (
        f'mutation {{ a: note(text: "one") m: mark(text: "mark") b: note(text: "{second}") c: note(text: "no") }}'
    )
    calls.clear()
    theirs = await SCHEMA.execute(document)
    in_order = calls.copy()
    calls.clear()

    ours = await compiled(document)

    assert ours is not None
    assert (rendered(ours), calls) == (rendered(theirs), in_order)


@pytest.mark.parametrize(
    "document",
    [
        "{ __schema { types { name } } }",
        "{ shout }",
        "{ here }",
        "query A { cat { name } } query B { cat { name } }",
        MANY_CONDITIONS,
    ],
)
async def test_what_is_not_compilable_is_left_to_strawberry(document: str) -> None:
    assert await compiled(document, dict.fromkeys("abcd", True)) is None


async def test_null_where_skip_requires_a_boolean_is_left_to_strawberry() -> None:
    document = "query ($a: Boolean = true) { cat { name @skip(if: $a) } }"

    assert await compiled(document, {"a": None}) is None
    assert await compiled(document) is not None
