"""How many votes it takes to tell two descriptors apart, before anybody has voted."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from artsearch.base.errors import ArtsearchError

#: The most votes that are looked at.
MOST = 1_000_000


def votes_needed(
    share: float, disputed: float = 1.0, power: float = 0.8, level: float = 0.05
) -> int:
    """Return how many votes it takes to tell which of two descriptors people side with.

    `share` is how many of the votes on disputed triplets go with the better one, `disputed` how
    many of all triplets are disputed between the two (those chosen for the pair all are). The test
    is the exact two-sided sign test at `level`, which finds it with the probability `power`
    (Dixon and Mood 1946, JASA 41(236), 557–566). Votes count as independent; where one judge gives
    many, or a query comes often, more are wanted. Raises ArtsearchError for a share of a half or
    less, and one so near to it that a million votes do not do.

    >>> votes_needed(0.6), votes_needed(0.7), votes_needed(0.6, disputed=0.4)
    (210, 54, 525)
    """
    if not 0.5 < share <= 1:
        raise ArtsearchError(
            f"the share is {share!r}; take one above 0.5, such as 0.6: at a half the two are equal"
        )
    for name, value in (("disputed", disputed), ("power", power), ("level", level)):
        if not 0 < value <= 1:
            raise ArtsearchError(f"{name} is {value!r}; take a share above 0 and up to 1")
    count = 1
    while power_of(count, share, level) < power:
        count *= 2
        if count > MOST:
            raise ArtsearchError(
                f"with a share of {share:g} even {MOST:,} votes would not tell the two apart"
            )
    # The exact test has steps: the least number from which on it is enough, to within a few.
    counts = np.arange(max(1, count // 2), count + 1)
    short = np.flatnonzero(power_of(counts, share, level) < power)
    return int(np.ceil((counts[short[-1]] + 1 if len(short) else counts[0]) / disputed))


def power_of(count: int | np.ndarray, share: float, level: float = 0.05) -> float | np.ndarray:
    """Return how probable it is that so many votes tell two descriptors apart (see votes_needed).

    >>> round(float(power_of(100, 0.6)), 2)
    0.46
    """
    count = np.asarray(count)
    # Right is called what as many or more would be by chance at most level / 2 of the time.
    least = binom.isf(level / 2, count, 0.5) + 1
    return binom.sf(least - 1, count, share)
