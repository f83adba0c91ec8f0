"""`python -m artsearch.app`: how `python -m artsearch app` was called before there were rooms."""

import sys

from artsearch.cli.commands import main

if __name__ == "__main__":
    main(["app", *sys.argv[1:]], prog_name="python -m artsearch")
