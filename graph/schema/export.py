"""Print the schema: `python -m graph.schema.export`; with --check, compare it with the schema.graphql of the root."""

import argparse
import difflib
import sys
from pathlib import Path

from graph.schema.build import build_schema
from graph.settings import GraphSettings

SCHEMA_PATH = Path("schema.graphql")


def schema_text() -> str:
    """Return the schema as it is committed."""
    return build_schema(GraphSettings()).as_str() + "\n"


def find_drift(path: Path) -> str:
    """How the file differs from the code, as a diff; empty when it does not."""
    committed = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        committed.splitlines(keepends=True), schema_text().splitlines(keepends=True), str(path), "the code"
    )
    return "".join(lines)


def main(arguments: list[str]) -> int:
    """Print or check; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m graph.schema.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with schema.graphql instead of printing")
    if not parser.parse_args(arguments).check:
        sys.stdout.write(schema_text())
        return 0
    drift = find_drift(SCHEMA_PATH)
    if drift:
        sys.stderr.write(drift + "Update it with: python -m graph.schema.export > schema.graphql\n")
    return 1 if drift else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
