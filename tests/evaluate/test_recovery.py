"""The ranks of altered works: worked out by hand, and by a real network."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import beta

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.evaluate.alterations import ALTERATIONS, Alteration
from artsearch.evaluate.recovery import METRICS, Probe, measure_ranks, rank_own, recover
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.works.collection import Collection

COLOURS = {"blue": (0, 0, 200), "green": (0, 200, 0), "red": (200, 0, 0), "yellow": (200, 200, 0)}
KEY = ("net", "no_crop")


class MeanColour:
    """A network whose only layer is the mean colour; it notes its batches."""

    def __init__(self, batch_size=4):
        self.runner = SimpleNamespace(batch_size=batch_size)
        self.batches = []

    def preprocess(self, image):
        return np.asarray(image.resize((4, 4)))

    def rows(self, inputs):
        self.batches.append(len(inputs))
        return {"mean": np.stack(inputs).mean(axis=(1, 2)).astype(np.float32)}


class Same:
    """A descriptor that is one layer's output as it is."""

    def __init__(self, features, layer="mean"):
        self.features = features
        self.layer = layer

    def rows(self, by_layer):
        return by_layer[self.layer]


def making(name, function):
    return {name: Alteration(name, "", lambda image, rng: function(image))}


SAME = making("same", lambda image: image)
TO_RED = making("to red", lambda image: Image.new("RGB", image.size, COLOURS["red"]))
# Its mean is nearest to yellow (cosine 0.95), then red (0.89), green (0.45), blue (0).
TO_ORANGE = making("to orange", lambda image: Image.new("RGB", image.size, (200, 100, 0)))


@pytest.fixture
def colours(paint, tmp_path):
    for name, colour in COLOURS.items():
        paint(f"{name}.png", color=colour)
    return Collection(tmp_path)


@pytest.fixture
def probes(colours):
    return {KEY: Probe(MeanColour(), {"mean": Same(of_colours(colours.ids))})}


def of_colours(ids):
    return Features(np.array([COLOURS[id.split(".")[0]] for id in ids], np.float32), ids)


def ask(collection, probes, alterations, **options):
    options = {"details": (), "progress": False} | options
    table, metrics = recover(collection, probes, alterations, **options)
    return SimpleNamespace(ranks=table, metrics=metrics.table, notes=metrics.notes)


def ranks(recovered, alteration):
    table = recovered.ranks[recovered.ranks["alteration"] == alteration]
    return {id.split(".")[0]: rank for id, rank in zip(table["id"], table["rank"], strict=True)}


def test_ranks_as_worked_out_by_hand(colours, probes):
    found = ask(colours, probes, SAME | TO_RED | TO_ORANGE)
    assert ranks(found, "same") == dict.fromkeys(COLOURS, 1)
    # Of works equally near (blue and green, at a right angle to red) each has the worst place.
    assert ranks(found, "to red") == {"red": 1, "yellow": 2, "blue": 4, "green": 4}
    assert ranks(found, "to orange") == {"yellow": 1, "red": 2, "green": 3, "blue": 4}
    assert list(found.ranks) == ["network", "crop", "descriptor", "alteration", "id", "rank"]
    assert len(found.ranks) == 12


def test_the_measures_as_worked_out_by_hand(colours, probes):
    table = ask(colours, probes, TO_ORANGE, ks=(1, 3)).metrics
    values = {(row.metric, row.k): row.value for row in table.itertuples()}
    # Ranks 1 to 4: one of four works is found at 1, three are at 3.
    assert values == pytest.approx(
        {
            ("precision", 1): 1 / 4,
            ("recall", 1): 1 / 4,
            ("f1", 1): 1 / 4,
            ("precision", 3): 1 / 4,
            ("recall", 3): 3 / 4,
            ("f1", 3): 3 / 8,
        }
    )
    recall = table[(table.metric == "recall") & (table.k == 3)].iloc[0]
    # Clopper and Pearson's limits are quantiles of beta distributions.
    assert recall.low == pytest.approx(beta.ppf(0.025, 3, 2))
    assert recall.high == pytest.approx(beta.ppf(0.975, 4, 1))
    precision = table[(table.metric == "precision") & (table.k == 3)].iloc[0]
    assert precision.high == pytest.approx(recall.high / 3)


def test_the_measures_are_those_of_torchmetrics():
    import torch
    from torchmetrics.functional.retrieval import retrieval_precision, retrieval_recall

    rng = np.random.default_rng(0)
    rows = [("n", "c", "d", "a", str(query), int(rng.integers(1, 9))) for query in range(40)]
    columns = ["network", "crop", "descriptor", "alteration", "id", "rank"]
    metrics = measure_ranks(pd.DataFrame(rows, columns=columns), (1, 3, 5))
    for k, of_k in metrics.table.groupby("k"):
        expected = {metric: [] for metric in METRICS}
        for *_, rank in rows:
            near = 1 / torch.arange(1.0, 10)
            own = torch.arange(1, 10) == rank
            precision = float(retrieval_precision(near, own, top_k=int(k)))
            recall = float(retrieval_recall(near, own, top_k=int(k)))
            total = precision + recall
            expected["precision"].append(precision)
            expected["recall"].append(recall)
            expected["f1"].append(2 * precision * recall / total if total else 0)
        for row in of_k.itertuples():
            assert row.value == pytest.approx(np.mean(expected[row.metric]))
            assert row.low < row.value < row.high


def test_neither_order_nor_company_nor_batches_change_a_rank(few):
    collection = Collection(few)
    features = Features(np.random.default_rng(0).random((5, 3)), collection.ids)

    def found(alterations, batch_size, **options):
        probes = {KEY: Probe(MeanColour(batch_size), {"mean": Same(features)})}
        table = ask(collection, probes, alterations, **options).ranks
        return table.set_index(["alteration", "id"])["rank"].to_dict()

    some = {name: ALTERATIONS[name] for name in ("crop", "noise", "colour shift")}
    turned = dict(reversed(some.items()))
    all_of_them = found(some, 4, details=(0.1, 0.3))
    assert len(all_of_them) == 25
    assert found(turned, 1, details=(0.3, 0.1)) == all_of_them
    only = found({"noise": some["noise"]}, 100, details=())
    assert only == {key: rank for key, rank in all_of_them.items() if key[0] == "noise"}


def test_batches_are_those_of_the_network(few):
    collection = Collection(few)
    probes = {KEY: Probe(MeanColour(60), {"mean": Same(Features(np.eye(5, 3), collection.ids))})}
    many = {f"{number}": SAME["same"] for number in range(25)}
    ask(collection, probes, many)
    assert probes[KEY].extractor.batches == [60, 60, 5]
    plain = SimpleNamespace(rows=MeanColour().rows, preprocess=MeanColour().preprocess, runner=None)
    ask(collection, {KEY: Probe(plain, probes[KEY].descriptors)}, SAME)


def test_a_sample_is_drawn_by_seed_and_ranked_among_all(colours, probes):
    first, again = (ask(colours, probes, TO_ORANGE, sample=2, seed=3) for _ in range(2))
    assert first.ranks.equals(again.ranks) and len(first.ranks) == 2
    everything = ranks(ask(colours, probes, TO_ORANGE), "to orange")
    drawn = [
        ranks(ask(colours, probes, TO_ORANGE, sample=2, seed=s), "to orange") for s in range(9)
    ]
    assert all(one.items() <= everything.items() for one in drawn)
    assert len({tuple(sorted(one)) for one in drawn}) > 1


def test_several_probes_and_descriptors(colours, probes):
    turned = Features(np.roll(of_colours(colours.ids).vectors, 1, axis=0), colours.ids)
    other = Probe(MeanColour(), {"mean": Same(probes[KEY].descriptors["mean"].features)})
    both = Probe(MeanColour(), {"right": other.descriptors["mean"], "wrong": Same(turned)})
    found = ask(colours, {("a", "x"): both, ("b", "y"): other}, SAME)
    shares = found.metrics.query("metric == 'recall' and k == 1")
    assert list(shares.itertuples(index=False, name=None))[0][:6] == (
        *("a", "x", "right", "same", "recall"),
        1,
    )
    assert shares["value"].tolist() == [1, 0, 1]


def test_works_without_a_row_are_not_drawn(colours):
    features = of_colours(["red.png", "blue.png", "green.png"])
    found = ask(colours, {KEY: Probe(MeanColour(), {"mean": Same(features)})}, SAME, ks=(1, 3))
    assert ranks(found, "same") == {"blue": 1, "green": 1, "red": 1}
    assert found.notes == ("1 works are not drawn: not all descriptors have a row of them",)


def test_a_k_beyond_the_collection_is_left_out(colours, probes):
    found = ask(colours, probes, SAME, ks=(1, 4, 5))
    assert found.notes == ("k = 5 is left out: there are 4 works",)
    assert found.metrics["k"].unique().tolist() == [1, 4]
    with pytest.raises(ArtsearchError, match="from 1 to 4"):
        ask(colours, probes, SAME, ks=(5,))
    with pytest.raises(ArtsearchError, match="k is 0"):
        ask(colours, probes, SAME, ks=(0,))


def test_a_work_that_cannot_be_opened_any_more_is_named(colours, probes):
    colours.path("red.png").write_bytes(b"no picture")
    found = ask(colours, probes, SAME, ks=(1,))
    assert ranks(found, "same") == {"blue": 1, "green": 1, "yellow": 1}
    (note,) = found.notes
    assert note.startswith("red.png is left out: cannot read 'red.png'")
    for id in colours.ids:
        colours.path(id).unlink(missing_ok=True)
    with pytest.raises(ArtsearchError, match="none of the 4 works drawn can be opened; .* no such"):
        ask(colours, probes, SAME)


def test_what_cannot_be_compared_is_refused(colours, probes, paint, tmp_path):
    def descriptors(features):
        return {KEY: Probe(MeanColour(), {"mean": Same(features)})}

    with pytest.raises(ArtsearchError, match="no descriptor"):
        ask(colours, {}, SAME)
    with pytest.raises(ArtsearchError, match="nothing to alter; name one or more of crop, blur"):
        ask(colours, probes, {})
    with pytest.raises(ArtsearchError, match="share is 25"):
        ask(colours, probes, SAME, details=[25])
    with pytest.raises(ArtsearchError, match="two alterations are called 'detail of 25 %'"):
        ask(colours, probes, making("detail of 25 %", lambda image: image), details=[0.25])
    with pytest.raises(ArtsearchError, match="sample is 0"):
        ask(colours, probes, SAME, sample=0)
    with pytest.raises(ArtsearchError, match="0 of the 4 works .* compute all of them"):
        ask(colours, descriptors(Features(np.eye(2, 3), ["x", "y"])), SAME)
    with pytest.raises(MismatchError, match="'mean' makes rows of 3 numbers, its features have 4"):
        ask(colours, descriptors(Features(np.eye(4), colours.ids)), SAME)
    paint("one/only.png")
    with pytest.raises(ArtsearchError, match="holds one work"):
        ask(Collection(tmp_path / "one"), probes, SAME)


def test_rows_that_say_nothing_come_last():
    features = Features(np.array([[1, 0], [0, 1], [0, 0]]), "abc")
    rows = np.array([[np.nan, 1], [0, 0], [1, 0]], np.float32)
    assert rank_own(features, rows, ["a", "b", "a"], "d").tolist() == [3, 3, 1]


def test_true_duplicates_count_as_found_before(monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.random((500, 4_000)).astype(np.float32)
    rows[[7, 250, 499]] = rows[3]
    queries = rows[[3, 7, 250, 499, 10]] + rng.random((5, 4_000), dtype=np.float32) / 10
    ids = [str(number) for number in range(500)]
    features = Features(rows, ids)
    asked = ["3", "7", "250", "499", "10"]
    assert rank_own(features, queries, asked, "d").tolist() == [4, 4, 4, 4, 1]
    monkeypatch.setattr("artsearch.evaluate.recovery.CHUNK", 4_000 * 99)
    assert rank_own(features, queries, asked, "d").tolist() == [4, 4, 4, 4, 1]


@pytest.mark.quality
def test_a_real_network_finds_paintings_again(paintings, one_thread):
    from artsearch import compute_features

    collection, net = Collection(paintings), "efficientnet_lite0"
    features = compute_features(collection, net, progress=False)
    extractor = FeatureExtractor(net, precision="exact")
    probe = Probe(extractor, {"features": Same(features, extractor.layers[0])})
    some = {name: ALTERATIONS[name] for name in ("JPEG", "mirrored")}
    found = ask(collection, {(net, "no_crop"): probe}, some, details=[0.5], sample=10)
    table = found.metrics.query("metric == 'recall'").set_index(["label", "k"])["value"]
    assert table["JPEG", 1] == table["mirrored", 1] == 1
    assert table["detail of 50 %", 5] >= 0.8
