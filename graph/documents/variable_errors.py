"""Why variables do not fit their types: where, as a path, and what is expected there, in the words of JSON.

graphql-core finds the same faults, but shows Python's form of what it found, and has no path: it is asked first, and
this only says what is wrong. Nothing here coerces.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLFormattedError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    Node,
    Undefined,
    get_operation_ast,
    is_specified_scalar_type,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.pyutils import did_you_mean, is_iterable, suggestion_list
from graphql.type import is_required_input_field

from graph.errors import ErrorCode

Path = tuple[str | int, ...]
Fault = tuple[Path, str]

ERRORS_MAX = 50
"""As many as graphql-core names."""
SHOWN_MAX_CHARACTERS = 80


class VariableError(GraphQLError):
    """A variable that does not fit. Its path leads from the variable's name into its value.

    `path` stays None: there it would say that a field of the answer had run and failed.
    """

    def __init__(self, message: str, node: Node, input_path: Path) -> None:
        super().__init__(message, node, extensions={"code": ErrorCode.BAD_USER_INPUT})
        self.input_path = input_path

    @property
    def formatted(self) -> GraphQLFormattedError:
        """The error as it is sent."""
        return {**super().formatted, "path": [_step(step) for step in self.input_path]}


def variable_errors(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation_name: str | None,
    given: Mapping[str, Any],
    *,
    shows_suggestions: bool,
) -> Sequence[VariableError]:
    """Return what is wrong with an operation's variables, at most ERRORS_MAX things."""
    operation = get_operation_ast(document, operation_name)
    if operation is None:
        return ()
    finder = _FaultFinder(shows_suggestions=shows_suggestions)
    found: list[VariableError] = []
    for definition in operation.variable_definitions or ():
        signature = get_variable_signature(schema, definition)
        if isinstance(signature, GraphQLError):
            continue
        value = given.get(signature.name, Undefined)
        if value is Undefined and definition.default_value is not None:
            continue
        faults = finder.faults(value, signature.type, (signature.name,))
        found += [
            VariableError(f"${_dotted(path)}: {sentence}", definition, path)
            for path, sentence in islice(faults, ERRORS_MAX - len(found))
        ]
    return found


class _FaultFinder:
    def __init__(self, *, shows_suggestions: bool) -> None:
        self._shows_suggestions = shows_suggestions

    def faults(self, value: Any, type_: GraphQLInputType, path: Path) -> Iterator[Fault]:  # noqa: ANN401 - any JSON
        if isinstance(type_, GraphQLNonNull):
            if value is Undefined:
                yield path, f"A value of the type {type_} is required."
            elif value is None:
                yield path, f"Expected a value of the type {type_}, found null."
            else:
                yield from self.faults(value, type_.of_type, path)
        elif value is None or value is Undefined:
            return
        elif isinstance(type_, GraphQLList):
            yield from self._faults_of_items(value, type_, path)
        elif isinstance(type_, GraphQLInputObjectType):
            yield from self._faults_of_fields(value, type_, path)
        elif (sentence := self._fault_of_leaf(value, type_)) is not None:
            yield path, sentence

    def _faults_of_items(self, value: object, type_: GraphQLList[Any], path: Path) -> Iterator[Fault]:
        if not is_iterable(value):
            yield from self.faults(value, type_.of_type, path)
            return
        for index, item in enumerate(value):
            yield from self.faults(item, type_.of_type, (*path, index))

    def _faults_of_fields(self, value: object, type_: GraphQLInputObjectType, path: Path) -> Iterator[Fault]:
        if not isinstance(value, dict):
            yield path, f"Expected an object of the type {type_}, found {_shown(value)}."
            return
        for name, field in type_.fields.items():
            if name in value or is_required_input_field(field):
                yield from self.faults(value.get(name, Undefined), field.type, (*path, name))
        for name in value:
            if name not in type_.fields:
                yield (*path, name), f"{type_} has no such field.{self._suggestion(name, type_.fields)}"
        if type_.is_one_of and [one is None for one in value.values()] != [False]:
            yield path, f"Expected exactly one field of {type_}, and no null."

    def _fault_of_leaf(self, value: Any, type_: GraphQLLeafType) -> str | None:  # noqa: ANN401 - as above
        try:
            coerced = type_.coerce_input_value(value)
        except GraphQLError as error:
            if not isinstance(type_, GraphQLEnumType) and not is_specified_scalar_type(type_):
                return error.message  # A scalar of ours, which says what it expects.
            coerced = Undefined
        except Exception:  # noqa: BLE001 - whatever it is, the value does not fit
            coerced = Undefined
        if coerced is not Undefined:
            return None
        hint = self._suggestion(value, type_.values) if isinstance(type_, GraphQLEnumType) else ""
        return f"Expected a value of the type {type_}, found {_shown(value)}.{hint}"

    def _suggestion(self, given: object, known: Mapping[str, object]) -> str:
        if not self._shows_suggestions or not isinstance(given, str):
            return ""
        return did_you_mean(suggestion_list(given, list(known)))


def _dotted(path: Path) -> str:
    return ".".join(str(_step(step)) for step in path)


def _step(step: str | int) -> str | int:
    """Return a step as it is shown: the names of variables and of unknown fields are the client's."""
    return _cut(step) if isinstance(step, str) else step


def _shown(value: object) -> str:
    """Return a JSON value as JSON writes it, or what kind of value it is where that may be long."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_MAX_CHARACTERS else f"{text[:SHOWN_MAX_CHARACTERS]}…"
