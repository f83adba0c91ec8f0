"""The tiers of the tests: how many examples hypothesis draws in each of them."""

import os

#: As many as `make test` draws at most for one test.
FEW = 50


def examples(many: int) -> int:
    """Return `many` where HYPOTHESIS_PROFILE is long, as in `make test-all`, and else few."""
    return many if os.environ.get("HYPOTHESIS_PROFILE") == "long" else min(many, FEW)
