"""The whole evaluation of a collection: `metrics.csv` and a page to read it by."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import artsearch
from artsearch.base.disk import cannot_write
from artsearch.base.errors import ArtsearchError, check_whole, unknown
from artsearch.evaluate.agreement import agreement, crop_changes, find_hubs, hubs
from artsearch.evaluate.experiments import (
    CONTENT,
    MANNER,
    by_label,
    content_and_manner,
    find_labels,
    recovered,
    verdicts,
)
from artsearch.evaluate.measured import COLUMNS, Measured, make_table
from artsearch.evaluate.repaint import ensure_demo_data
from artsearch.evaluate.scores import NotMeasurable
from artsearch.networks.transforms import CROPS, default_crop
from artsearch.search.searches import Searches
from artsearch.works.collection import TABLE, Collection

#: What is said first: ours against the article's recipe, by label and metric.
MAIN = (("style", "precision"), ("artist", "precision"), ("style", "map"))
#: Works that are named where they cannot be read; a folder may have thousands.
NAMED = 20


@dataclass(frozen=True, eq=False)
class Report:
    """All that was measured: a Measured each, and what was asked for.

    `dial` is content and manner on the `repainted` works, None where there are none. `changes` has
    by network the works by how few neighbours both crops share, `biggest` the three greatest hubs.
    """

    searches: Searches
    repainted: Collection | None
    settings: dict[str, object]
    dial: Measured
    labels: Measured
    recovered: Measured
    agreement: Measured
    hubs: Measured
    changes: dict[str, pd.DataFrame]
    biggest: dict[str, list[tuple[str, int]]]
    notes: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """All figures, with the columns of metrics.csv."""
        parts = (self.dial, self.labels, self.recovered, self.agreement, self.hubs)
        return pd.concat([part.table[COLUMNS] for part in parts], ignore_index=True)

    @property
    def verdicts(self) -> list[str]:
        """What each network sees, a sentence each, for the crop that a gallery begins with."""
        crop = default_crop(self.searches.crops)
        return [said for (_, one), said in verdicts(self.dial).items() if one == crop]

    @property
    def ratios(self) -> list[str]:
        """How many times the article's recipe the blend has, a sentence a network."""
        crop = default_crop(self.searches.crops)
        said = []
        for network in self.searches.networks:
            found = (self._ratio(network.name, crop, *main) for main in MAIN)
            parts = ", ".join(part for part in found if part)
            if parts:
                said.append(f"{network.title}: the blend has {parts}.")
        return said

    def _ratio(self, network: str, crop: str, label: str, metric: str) -> str:
        wanted = {"network": network, "crop": crop, "label": label, "metric": metric}
        try:
            ours, theirs = (
                self.labels.value(**wanted, descriptor=name, same_artist="yes")
                for name in ("blend", "final")
            )
        except NotMeasurable:
            return ""
        what = metric if metric == "precision" else "mean average precision"
        return f"{ours / theirs:.2f} × the article's {label} {what}" if theirs else ""


def make_report(
    collection: Collection | str | os.PathLike,
    networks: str | Sequence[str] = "auto",
    crops: Sequence[str] = CROPS,
    repainted: str | os.PathLike | None = None,
    labels: Sequence[str] | None = None,
    k: int = 10,
    sample: int = 100,
    seed: int = 0,
    cache: str | os.PathLike = "build",
    progress: bool = True,
    say: Callable[[str], object] = lambda text: None,
) -> Report:
    """Run all experiments on a collection; what cannot be measured is said in the notes.

    `repainted` is a folder with the columns content and manner; if None, the collection itself
    where it has them, and otherwise the shipped works, which are made when they are missing.
    `labels` are columns of the works' table, k the neighbours that are looked at, `sample` the
    works that are altered. Features are kept below `cache`; `say` is told what is going on.

    Raises ArtsearchError for what is asked wrongly, such as an unknown network or label, and where
    no work can be read. A part that fails never costs the others.
    """
    if not isinstance(collection, Collection):
        collection = Collection(collection)
    _check(collection, labels, k, sample, seed)
    searches = Searches(collection, networks, crops, cache, progress=progress)
    say(searches.sentence)
    searches.extract()
    parts = _Parts(say)
    known, dial = parts.try_dial(searches, repainted, cache, progress, seed)
    tell = parts.measure
    return Report(
        searches,
        known,
        {"k": k, "sample": sample, "seed": seed},
        dial,
        tell("Labels", lambda: by_label(searches, labels, k, seed=seed)),
        tell("Altered works", lambda: recovered(searches, sample, seed, progress=progress)),
        tell("Agreement", lambda: agreement(searches, k, seed)),
        tell("Hubs", lambda: hubs(searches, k, seed)),
        parts.by_network(searches, lambda name, crop: crop_changes(searches, name, k=k)),
        parts.by_network(searches, lambda name, crop: find_hubs(searches, name, crop, k=k).most(3)),
        (*parts.notes, *_name_unread(searches)),
    )


class _Parts:
    """Runs one part after the other, and keeps the sentences of those that fail."""

    def __init__(self, say: Callable[[str], object]):
        self.notes: dict[str, None] = {}
        self._say = say

    def measure(self, title: str, part: Callable[[], Measured]) -> Measured:
        """Return what a part measures, or nothing where it fails; take its notes."""
        self._say(f"{title} …")
        try:
            found = part()
        except ArtsearchError as error:
            found = Measured(make_table([]), (str(error),))
        self.notes |= dict.fromkeys(f"{title}: {note}" for note in found.notes)
        return found

    def try_dial(
        self, searches: Searches, folder, cache, progress: bool, seed: int
    ) -> tuple[Collection | None, Measured]:
        """Measure content and manner on the repainted works, where there are any."""
        known: list[Collection] = []

        def part() -> Measured:
            known.append(find_repainted(searches.collection, folder))
            names = [network.name for network in searches.networks]
            others = Searches(known[0], names, searches.crops, cache, progress=progress)
            others.extract()
            return content_and_manner(others, seed=seed)

        measured = self.measure("Content and manner", part)
        return (known[0] if known else None), measured

    def by_network(self, searches: Searches, part: Callable) -> dict[str, object]:
        """Return what a part finds for each network; a reason for none was given before."""
        found, crop = {}, default_crop(searches.crops)
        for network in searches.networks:
            try:
                found[network.name] = part(network.name, crop)
            except ArtsearchError:
                continue
        return found


def find_repainted(collection: Collection, folder: str | os.PathLike | None = None) -> Collection:
    """Return the works on which content and manner are told apart.

    Those of `folder`; or the collection itself, where its table has both columns; or the shipped
    ones, which take a minute to make. Raises ArtsearchError where there are none.
    """
    if folder is not None:
        return Collection(folder)
    data = Path(artsearch.__file__).parents[1] / "data"
    shipped = data / "repainted"
    has_columns = {CONTENT, MANNER} <= set(collection.works)
    # The shipped folder has both the repainted works and others: measured are the former alone.
    if has_columns and not shipped.resolve().is_relative_to(collection.folder.resolve()):
        return collection
    ensure_demo_data(data)
    if not (shipped / TABLE).exists():
        raise NotMeasurable(
            f"the repainted works are not at {str(shipped)!r}; name a folder whose {TABLE} has the "
            f"columns {CONTENT} and {MANNER}"
        )
    return Collection(shipped)


def make_folder(folder: str | os.PathLike) -> Path:
    """Make a folder now, and not after minutes of computing; raises ArtsearchError."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(Path(folder), error) from None
    return Path(folder)


def _check(collection: Collection, labels: Sequence[str] | None, k: int, sample: int, seed: int):
    check_whole("k", k)
    check_whole("sample", sample)
    check_whole("seed", seed, least=0)
    for label in labels or ():
        if label not in collection.works:
            raise unknown("label", label, find_labels(collection.works))


def _name_unread(searches: Searches) -> list[str]:
    """Return a sentence for each work that could not be read, up to NAMED of them."""
    skipped = searches.features(*next(iter(searches))).skipped
    left = [f"{id} could not be read: {reason}" for id, reason in skipped]
    left += [f"{name}: {reason}" for name, reason in searches.collection.skipped]
    said = [" ".join(one.split()) for one in left[:NAMED]]
    return said + ([f"and {len(left) - NAMED:,} more"] if len(left) > NAMED else [])
