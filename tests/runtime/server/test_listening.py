"""A process accepts as many connections as its settings allow, where the operating system supports it."""

import subprocess
import sys

import pytest

from runtime.server.listening import OTHER_FILES

PROGRAM = """
import resource
from runtime.server.listening import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(allow_open_files({wanted}), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "room", "soft_after"),
    [
        pytest.param(256, 4_096, 1_000, 1_000, 1_000 + OTHER_FILES, id="the soft limit is raised"),
        pytest.param(256, 512, 1_000, 512 - OTHER_FILES, 512, id="as far as the hard one allows"),
        pytest.param(4_096, 4_096, 1_000, 1_000, 4_096, id="what is enough stays"),
    ],
)
def test_the_soft_limit_of_open_files_is_raised_to_what_is_wanted(
    soft: int, hard: int, wanted: int, room: int, soft_after: int
) -> None:
    program = PROGRAM.format(soft=soft, hard=hard, wanted=wanted)

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert output.split() == [str(room), str(soft_after), str(hard)]
