"""python -m artsearch: see artsearch.cli.commands."""

from artsearch.cli.commands import main

if __name__ == "__main__":
    main()
