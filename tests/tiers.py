"""The tiers of the tests: what is slow, and how many examples hypothesis draws."""

import os

import pytest

#: As many as `make test` draws at most for one test.
FEW = 50


def examples(many: int) -> int:
    """Return `many` where HYPOTHESIS_PROFILE is long, as in `make test-all`, and else few."""
    return many if os.environ.get("HYPOTHESIS_PROFILE") == "long" else min(many, FEW)


def slow(*values):
    """Return what `pytest.mark.parametrize` takes for values that only the slow tier tries."""
    return pytest.param(*values, marks=pytest.mark.slow)
