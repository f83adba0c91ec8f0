"""How long one *Why?* by experiment takes: wall and processor time, by final layer and blend."""

from __future__ import annotations

import statistics
import time

import click
import torch

from artsearch import Collection, Searches

NETWORK, CROP = "efficientnet_lite0", "no_crop"
#: At which places of the answer the works stand that are asked about.
PLACES = (1, 5, 20)


@click.command()
@click.option("--collection", default="data", help="Folder of works.")
@click.option("--out", default="build", help="Folder where features are kept.")
@click.option("--queries", default=4, help="Works that are asked for, drawn by chance.")
@click.option("--threads", default=2, help="Threads of PyTorch.")
def main(collection: str, out: str, queries: int, threads: int) -> None:
    """Print medians and the slowest of experiments, the first one, which loads all, left out."""
    torch.set_num_threads(threads)
    works = Collection(collection)
    searches = Searches(works, NETWORK, [CROP], out, precision="exact", progress=False)
    named = {"final layer": searches[NETWORK, CROP], "blend": searches.dial(NETWORK, CROP)}
    for name, search in named.items():
        spent = []
        for query in works.by_hand_first(works.sample(len(works), 0))[: queries + 1]:
            answer = search.ask(query, max(PLACES)).ids
            for place in PLACES:
                begun = time.perf_counter(), time.process_time()
                search.experiment(query, answer[min(place, len(answer)) - 1])
                spent.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
        said = [
            f"{statistics.median(times):.2f} s (slowest {max(times):.2f})"
            for times in zip(*spent[len(PLACES) :], strict=True)
        ]
        clock, processor = said
        print(f"{name}: {clock} on the clock, {processor} of processors; {threads} threads,")
        asked = len(spent) - len(PLACES)
        print(f"  {asked} experiments among {len(works):,} works of {collection}", flush=True)


if __name__ == "__main__":
    main()
