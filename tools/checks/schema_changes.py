"""Compares schema.graphql with docs/releases/schema-VERSION.graphql of the last release, which front ends are built on.

A release keeps its schema: `cp schema.graphql docs/releases/schema-VERSION.graphql`, by its version in pyproject.toml.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from graphql import (
    DangerousChange,
    DangerousChangeType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
)
from packaging.version import Version

ROOT = Path(__file__).parents[2]
SCHEMA = "schema.graphql"
RELEASES = "docs/releases"
CHANGELOG = "CHANGELOG.md"
MUST_BE_NAMED = {
    DangerousChangeType.VALUE_ADDED_TO_ENUM: re.compile(r"Enum value (\S+) was added\."),
    DangerousChangeType.TYPE_ADDED_TO_UNION: re.compile(r"(\S+) was added to union type"),
}
"""Additions that a client which switches over every value must handle, and where their description has the name."""


def main() -> int:
    """Print every problem; the exit code is 1 when there is one."""
    problems = list(find_problems(ROOT))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def find_problems(root: Path) -> Iterator[str]:
    """Yield each change since the last release that breaks a client or is not in the changelog, as a sentence."""
    version, released = last_release(root)
    now = build_schema((root / SCHEMA).read_text(encoding="utf-8"))
    for change in find_breaking_changes(released, now):
        yield (
            f"{change.description} That breaks clients of {version}: keep the old beside the new, mark it @deprecated, "
            "and remove it in a release with a new major version."
        )
    changelog = (root / CHANGELOG).read_text(encoding="utf-8")
    for added in find_dangerous_changes(released, now):
        name = _added(added)
        if name is not None and name not in changelog:
            yield f"{added.description} Clients may switch over it: name {name} in {CHANGELOG}."


def last_release(root: Path) -> tuple[Version, GraphQLSchema]:
    """Return the newest release and its schema."""
    files = {Version(path.stem.removeprefix("schema-")): path for path in (root / RELEASES).glob("schema-*.graphql")}
    version = max(files)
    return version, build_schema(files[version].read_text(encoding="utf-8"))


def _added(change: DangerousChange) -> str | None:
    found = MUST_BE_NAMED[change.type].match(change.description) if change.type in MUST_BE_NAMED else None
    return None if found is None else found[1]


if __name__ == "__main__":
    sys.exit(main())
