"""`python -m tools.chaos`: one fault run; exit code 1 on any violation."""

import sys

import uvloop

from tools.chaos.options import read_options
from tools.chaos.run import run

if __name__ == "__main__":
    sys.exit(uvloop.run(run(read_options(sys.argv[1:]))))
