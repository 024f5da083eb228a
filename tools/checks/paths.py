"""Checks that every path of this repository that a page names, in backticks or as a link, exists."""

import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath

ROOT = Path(__file__).parents[2]
NOT_CHECKED = {
    "CHANGELOG.md",  # Its statements about a release were true then.
}
IN_BACKTICKS = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/?)`")
LINKED = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
SUFFIXES = {".py", ".md", ".yml", ".toml", ".graphql"}


def main() -> int:
    """Print every problem; the exit code is 1 when there is one."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    existing = {name for file in files if (ROOT / file).exists() for name in (file, *map(str, Path(file).parents))}
    problems = [
        problem
        for page in files
        if page.endswith(".md") and page not in NOT_CHECKED and page in existing
        for problem in find_problems(page, (ROOT / page).read_text(encoding="utf-8"), existing=existing)
    ]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def find_problems(page: str, text: str, *, existing: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each missing path; `existing` contains all files and folders, from the root."""
    for number, line in enumerate(text.splitlines(), start=1):
        named = [path for path in IN_BACKTICKS.findall(line) if _is_ours(path, existing)]
        for path in [*named, *LINKED.findall(line)]:
            beside = normpath(PurePosixPath(page).parent / path)
            if beside not in existing and normpath(path) not in existing:
                yield f"{page}:{number} names {path}, which is not there"


def _is_ours(path: str, existing: Collection[str]) -> bool:
    """Return whether it is a path of this repository: `application/json` and `/graphql` are not."""
    first, slash, _ = path.partition("/")
    return bool(slash) and (first in existing or PurePosixPath(path).suffix in SUFFIXES)


if __name__ == "__main__":
    sys.exit(main())
