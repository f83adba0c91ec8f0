"""How well a place of the dial is found again from simulated votes: error, interval, gain.

.venv/bin/python tests/bench/dial_votes.py [--collection data] [--votes 300] [--sets 12]
"""

import argparse
from dataclasses import asdict

import numpy as np
import pandas as pd

from artsearch.evaluate.repaint import ensure_demo_data
from artsearch.judge.dial import TooFewVotes, fit_dial
from artsearch.judge.simulated import SimulatedJudge, simulate
from artsearch.judge.triplets import PLACES, choose_triplets
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection

TRUTHS, NOISES = (0.0, 0.2, 0.35, 0.5, 0.7, 0.9), (0.05, 0.1, 0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collection", default="data")
    parser.add_argument("--network", default="efficientnet_lite0")
    parser.add_argument("--votes", default=300, type=int)
    parser.add_argument("--sets", default=12, type=int)
    parser.add_argument("--out", default="build")
    options = parser.parse_args()
    works = Collection(ensure_demo_data(options.collection))
    searches = Searches(works, options.network, ["no_crop"], out=options.out)
    blend = searches.dial(options.network, "no_crop").blend
    places = {str(place): blend.at(place) for place in PLACES}
    rows = []
    for noise in NOISES:
        for truth in TRUTHS:
            rows.append(measure(blend, places, truth, noise, options.votes, options.sets))
    table = pd.DataFrame(rows)
    print(table.round(3).to_string(index=False))
    print(f"largest error {table['largest'].max():.2f}; the interval held the place in "
          f"{table['held'].sum()} of {table['fitted'].sum()}")  # fmt: skip


def measure(blend, places, truth, noise, votes, sets) -> dict:
    """Return what fitting makes of some sets of votes of one judge."""
    errors, held, widths, gains = [], 0, [], []
    for seed in range(sets):
        triplets = choose_triplets(places, votes, ("whole",), seed=seed)
        judge = SimulatedJudge("Ada", {"whole": blend.at(truth)}, noise)
        given = pd.DataFrame([asdict(one) for one in simulate([judge], triplets, seed)])
        try:
            fitted = fit_dial(given, blend, seed=seed)
        except TooFewVotes:
            continue
        errors.append(fitted.place - truth)
        held += fitted.low <= truth <= fitted.high
        widths.append(fitted.high - fitted.low)
        gains.append(fitted.gain)
    return {
        "noise": noise,
        "place": truth,
        "fitted": len(errors),
        "mean error": np.mean(errors),
        "largest": np.abs(errors).max(),
        "held": held,
        "width": np.mean(widths),
        "gain": np.mean(gains),
    }


if __name__ == "__main__":
    main()
