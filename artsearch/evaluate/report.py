"""The whole evaluation of a collection: `metrics.csv` and a page to read it by."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

import artsearch
from artsearch.base.disk import cannot_write
from artsearch.base.errors import ArtsearchError, check_whole, unknown
from artsearch.evaluate.agreement import agreement, crop_changes, find_hubs, hubs
from artsearch.evaluate.estimates import COLUMNS, MetricsTable, NotMeasurable
from artsearch.evaluate.experiments import (
    CONTENT,
    MANNER,
    by_label,
    content_and_manner,
    find_labels,
    learnt_by_label,
    recovered,
    verdicts,
)
from artsearch.evaluate.identified import identified
from artsearch.evaluate.motifs import motifs
from artsearch.evaluate.nearness import nearness, reasons
from artsearch.evaluate.repaint import ensure_demo_data
from artsearch.features.published import no_network
from artsearch.networks.transforms import CROPS, default_crop
from artsearch.search.searches import Searches
from artsearch.works.collection import TABLE, Collection

#: What is said first: ours against the article's recipe, by label and metric.
MAIN = (("style", "precision"), ("artist", "precision"), ("style", "map"))
#: Works that are named where they cannot be read; a folder may have thousands.
NAMED = 20


@dataclass(frozen=True, eq=False)
class Report:
    """All that was measured, a table each, and what was asked for.

    `dial` is content and manner on the `repainted` works, None where there are none. `changes` has
    by network the works by how few neighbours both crops share, `biggest` the greatest hubs.
    """

    searches: Searches
    repainted: Collection | None
    settings: dict[str, object]
    dial: MetricsTable
    labels: MetricsTable
    recovered: MetricsTable
    identified: MetricsTable
    learnt: MetricsTable
    agreement: MetricsTable
    hubs: MetricsTable
    nearness: MetricsTable
    motifs: MetricsTable
    reasons: MetricsTable
    changes: dict[str, pd.DataFrame]
    biggest: dict[str, pd.DataFrame]
    notes: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """All figures, with the columns of metrics.csv."""
        parts = [getattr(self, field.name) for field in fields(self)]
        tables = [part.table[COLUMNS] for part in parts if isinstance(part, MetricsTable)]
        return pd.concat(tables, ignore_index=True)

    @property
    def verdicts(self) -> list[str]:
        """What each network sees, a sentence each, for the crop that a gallery begins with."""
        shown = default_crop(self.searches.crops)
        return [text for (_, crop), text in verdicts(self.dial).items() if crop == shown]

    @property
    def ratios(self) -> list[str]:
        """How many times the article's recipe the blend has, a sentence a network."""
        sentences = []
        for network in self.searches.networks:
            ratios = ", ".join(filter(None, (self._ratio(network.name, *main) for main in MAIN)))
            if ratios:
                sentences.append(f"{network.title}: the blend has {ratios}.")
        return sentences

    def _ratio(self, network: str, label: str, metric: str) -> str:
        key = network, default_crop(self.searches.crops)
        blend, final = (
            self.labels.estimates.get((*key, name, label, metric, "yes"))
            for name in ("blend", "final")
        )
        if blend is None or final is None or not final.value:
            return ""
        title = metric if metric == "precision" else "mean average precision"
        return f"{blend.value / final.value:.2f} × the article's {label} {title}"


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
    identify: bool = False,
    with_motifs: bool = False,
    why: bool = False,
    say: Callable[[str], object] = lambda text: None,
) -> Report:
    """Run all experiments on a collection; what cannot be measured is said in the notes.

    `repainted` is a folder with the columns content and manner; if None, the collection itself
    where it has them, and otherwise the shipped works, which are made when they are missing.
    `labels` are columns of the works' table, k the neighbours that are looked at, `sample` the
    works that are altered, and with `identify` are to be named as well; `with_motifs` parts of
    works are sought in others, and with `why` it is measured whether experiments name causes.
    Features are kept below `cache`; `say` is told what is going on.

    Raises ArtsearchError for what is asked wrongly, such as an unknown network or label, and where
    no work can be read. An experiment that fails never costs the others.
    """
    if not isinstance(collection, Collection):
        collection = Collection(collection)
    _check(collection, labels, k, sample, seed)
    searches = Searches(collection, networks, crops, cache, progress=progress)
    say(searches.sentence)
    searches.extract()
    with_content: Collection | None = None
    by_dial: Searches | None = None
    notes: dict[str, None] = {}

    def measure_dial() -> MetricsTable:
        nonlocal with_content, by_dial
        if not collection.has_pictures:
            raise no_network(searches.networks[0].name, "looking at repainted works")
        with_content = find_repainted(collection, repainted)
        names = [network.name for network in searches.networks]
        by_dial = Searches(with_content, names, searches.crops, cache, progress=progress)
        by_dial.extract()
        return content_and_manner(by_dial, seed=seed)

    def measure(title: str, experiment: Callable[..., MetricsTable], *args, **options):
        say(f"{title} …")
        try:
            metrics = experiment(*args, **options)
        except ArtsearchError as error:
            metrics = MetricsTable()
            metrics.note(str(error))
        notes.update(dict.fromkeys(f"{title}: {note}" for note in metrics.notes))
        return metrics

    def of_each_network(experiment: Callable[[str, str], pd.DataFrame]) -> dict[str, pd.DataFrame]:
        tables, crop = {}, default_crop(searches.crops)
        for network in searches.networks:
            with suppress(ArtsearchError):  # whose reason was noted before
                tables[network.name] = experiment(network.name, crop)
        return tables

    dial = measure("Content and manner", measure_dial)
    asked = collection, cache, sample, seed, (1,)
    return Report(
        searches,
        with_content,
        {"k": k, "sample": sample, "seed": seed},
        dial,
        measure("Labels", by_label, searches, labels, k, seed=seed),
        measure("Altered works", recovered, searches, sample, seed, progress=progress),
        measure("Identify", identified, *asked) if identify else MetricsTable(),
        measure("What was learnt", learnt_by_label, searches, labels, k, cache, seed),
        measure("Agreement", agreement, searches, k, seed),
        measure("Hubs", hubs, searches, k, seed),
        measure("How near is near", nearness, searches, k, seed),
        measure("Motifs", motifs, searches, seed, progress=progress)
        if with_motifs
        else MetricsTable(),
        measure("Why", reasons, searches, by_dial, sample, seed, progress)
        if why
        else MetricsTable(),
        of_each_network(lambda name, crop: crop_changes(searches, name, k=k)),
        of_each_network(lambda name, crop: find_hubs(searches, name, crop, k=k).table()),
        (*notes, *_name_unread(searches)),
    )


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
    unread = [f"{id} could not be read: {reason}" for id, reason in skipped]
    unread += [f"{name}: {reason}" for name, reason in searches.collection.skipped]
    sentences = [" ".join(text.split()) for text in unread[:NAMED]]
    return sentences + ([f"and {len(unread) - NAMED:,} more"] if len(unread) > NAMED else [])
