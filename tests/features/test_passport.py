"""Vectors for others: exported bit by bit, with a passport, and compared by their strips."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from published import rows, write_met
from scipy.stats import ortho_group

from artsearch.base.errors import ArtsearchError
from artsearch.cli.commands import main
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.features.parquet import write_parquet
from artsearch.features.passport import PAINTINGS, compare, make_passport, map_one_by_one
from artsearch.features.published import vector_features
from artsearch.fetch.vectors import fetch_vectors
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection

LITE = "efficientnet_lite0"


def invoke(*words: object):
    return CliRunner().invoke(main, list(map(str, words)))


def passport(vectors: np.ndarray, **more) -> dict:
    """Return a passport with a strip of made-up vectors of the same paintings."""
    strip = {"works": [f"{row}.jpg" for row in range(len(vectors))], "vectors": vectors.tolist()}
    return {"model": "made up", "strip": strip, **more}


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """The shipped paintings as one network sees them, exactly, with both crops."""
    place = tmp_path_factory.mktemp("exported")
    works = Collection(PAINTINGS)
    Searches(works, LITE, out=place / "build", precision="exact", progress=False).extract()
    done = invoke("export", PAINTINGS, "--to", place / "to", "--out", place / "build")
    assert done.exit_code == 0, done.output
    return place


def test_a_round_trip_is_the_same_bit_by_bit(tmp_path):
    odd = rows(7)
    odd[0, :4] = [1e-42, -0.0, 3.4e38, np.float32(1 / 3)]
    features = Features(odd, tuple(f"met/{row}" for row in range(7)))
    source = write_met(tmp_path / "met.parquet", odd, title=[f"Work {row}" for row in range(7)])
    fetch_vectors(str(source), tmp_path / "works")
    done = invoke("export", tmp_path / "works", "--to", tmp_path / "to")
    assert done.exit_code == 0 and "no passport came with them" in done.output
    (folder,) = (tmp_path / "to").iterdir()
    fetch_vectors(str(folder), tmp_path / "again")
    again, before = (
        vector_features(Collection(tmp_path / name), "vectors:dinov2-giant")
        for name in ("again", "works")
    )
    assert np.asarray(again.vectors).tobytes() == odd.tobytes() == before.vectors.tobytes()
    assert again.ids == features.ids
    tables = [Collection(tmp_path / name).works for name in ("again", "works")]
    assert tables[0].equals(tables[1])


def test_shards_are_parquet_with_the_columns_of_the_met(tmp_path):
    features = Features(rows(10), tuple(f"a/{row}" for row in range(10)))
    works = Collection(PAINTINGS).works.head(0)
    made = {"model": "clip", "strip": None, "note": "none"}
    write_parquet(tmp_path / "out", features, works, made, shard_rows=4)
    files = sorted((tmp_path / "out/data").iterdir())
    assert [file.name for file in files][0] == "train-00000-of-00003.parquet" and len(files) == 3
    table = pq.read_table(tmp_path / "out/data")
    assert table.column_names[:4] == ["objectID", "embedding", "model", "dim"]
    assert table["objectID"].to_pylist() == list(features.ids)
    assert set(table["dim"].to_pylist()) == {8} and set(table["model"].to_pylist()) == {"clip"}
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(ArtsearchError, match="holds other things, such as 'mine.txt'"):
        write_parquet(tmp_path / "out", features, works, made)


def test_a_passport_says_what_made_the_vectors(exported):
    folder = exported / "to" / f"{LITE}-no_crop-exact"
    found = json.loads((folder / "passport.json").read_text())
    assert found["model"] == found["network"] == LITE and found["weights"].startswith("57934424")
    assert (found["layer"], found["crop"], found["size"]) == ("global_pool", "no_crop", 224)
    assert (found["mean"], found["interpolation"]) == ([0.5, 0.5, 0.5], "bicubic")
    assert found["precision"] == "exact" and found["versions"]["torch"] and found["note"] == ""
    strip = np.array(found["strip"]["vectors"], np.float32)
    table = pq.read_table(folder / "data").to_pydict()
    assert found["strip"]["works"] == table["objectID"]
    assert np.array_equal(strip, np.array(table["embedding"], np.float32))
    assert "The Great Wave off Kanagawa" in table["title"]


def test_what_was_exported_may_be_compared_with_the_store_it_is_from(exported):
    store = next((exported / "build/stores").glob("*global_pool*no_crop-exact"))
    folder = exported / "to" / f"{LITE}-no_crop-exact"
    for first, second in ((store, folder), (folder / "passport.json", folder / "data")):
        done = invoke("compare", first, second, "--out", exported / "build")
        if second.name == "data":  # where no passport lies
            assert done.exit_code == 1 and "no passport.json beside" in done.output
            continue
        assert done.exit_code == 0, done.output
        assert "These vectors may be compared." in done.output
        assert "Cosine of the 21 paintings: 1.0000 at least" in done.output


def test_another_crop_cannot_be_compared(exported):
    folders = [exported / "to" / f"{LITE}-{crop}-exact" for crop in ("no_crop", "center_crop")]
    done = invoke("compare", *folders, "--out", exported / "build")
    assert done.exit_code == 1
    assert "The passports differ in crop (no_crop, center_crop)." in done.output
    assert "These vectors cannot be compared." in done.output
    assert "An orthogonal map learnt on the other paintings" in done.output
    done = invoke("compare", PAINTINGS, folders[0], "--out", exported / "build")
    assert done.exit_code == 1 and "has the vectors of several networks" in done.output


def test_a_strip_is_passed_on_and_computed_where_the_network_is(exported, tmp_path):
    folder = exported / "to" / f"{LITE}-no_crop-exact"
    fetch_vectors(str(folder), tmp_path / "works")
    done = invoke("compare", tmp_path / "works", folder, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    bare = json.loads((folder / "passport.json").read_text()) | {"strip": None}
    whole = json.loads((folder / "passport.json").read_text())
    assert whole["strip"].pop("sha256") and whole.pop("weights")
    (tmp_path / "few.json").write_text(json.dumps(whole))  # not stated, not compared
    done = invoke("compare", tmp_path / "few.json", folder)
    assert done.exit_code == 0 and "differ" not in done.output, done.output
    (tmp_path / "bare.json").write_text(json.dumps(bare))
    done = invoke("compare", tmp_path / "bare.json", folder, "--out", exported / "build")
    assert done.exit_code == 0, done.output
    (tmp_path / "other.json").write_text(json.dumps(bare | {"weights": "ab" * 32}))
    done = invoke("compare", tmp_path / "other.json", folder, "--out", exported / "build")
    assert done.exit_code == 1 and "calibration strip (weights is 'abab" in done.output


def test_random_weights_make_a_strip(tmp_path):
    made = FeatureExtractor("timm:test_vit@random").provenance("")
    assert len(make_passport(made, 64, tmp_path)["strip"]["vectors"]) == 21


def test_vectors_of_one_model_and_another_crop_are_not_put_side_by_side(exported, tmp_path):
    fetch_vectors(str(exported / "to" / f"{LITE}-no_crop-exact"), tmp_path / "works", name="a")
    with pytest.raises(ArtsearchError, match="with crop 'no_crop', these with 'center_crop'"):
        fetch_vectors(
            str(exported / "to" / f"{LITE}-center_crop-exact"), tmp_path / "works", name="b"
        )


def test_without_features_the_command_that_computes_them_is_named(tmp_path):
    done = invoke("export", PAINTINGS, "--to", tmp_path, "--out", tmp_path)
    assert done.exit_code == 1 and "compute them first (python -m artsearch extract" in done.output


# The strips


def test_a_turned_space_is_found_by_the_map_that_did_not_see_the_work():
    """Of 8 dimensions, which 20 works span: the map is found in full."""
    made = rows(21)
    turned = made @ ortho_group(8, seed=0).rvs()
    found = compare(passport(made), passport(turned))
    assert not found.same and found.cosines.min() < 0.9
    assert found.mapped.min() > 1 - 1e-6 and found.found == 21
    assert "1.0000 at least" in found.sentences()[-1]


def test_directions_that_the_strip_does_not_span_stay_what_they_are():
    """21 rows in 200 dimensions, nearly the same on both sides: the map must not spoil that."""
    made = rows(21, 200)
    found = compare(passport(made), passport(made + 0.01 * rows(21, 200, 1)))
    assert found.same and found.found == 21 and found.mapped.min() > 0.999


def test_the_map_is_honest_where_there_is_nothing_to_learn():
    """Learnt with the work itself it would be perfect: 21 rows in 200 dimensions."""
    cosines, found = map_one_by_one(*(_unit(rows(21, 200, seed)) for seed in (1, 2)))
    assert np.abs(cosines).max() < 0.5 and found < 5


def test_other_dimensions_have_no_cosine_but_a_map():
    made = rows(21, 12)
    wider = made @ np.linalg.qr(rows(40, 12, 3))[0].T  # an isometry from 12 into 40 dimensions
    found = compare(passport(made, crop="a"), passport(wider, crop="b"))
    assert found.cosines is None and not found.same and found.mapped.min() > 1 - 1e-6
    assert found.sentences()[:2] == [
        "The passports differ in crop (a, b).",
        "The vectors have 12 and 40 numbers: no cosine tells.",
    ]


def test_one_work_that_differs_is_enough():
    made, other = rows(21, 200), rows(21, 200)
    other[5] += 0.15 * rows(21, 200, 1)[5]
    found = compare(passport(made), passport(other))
    assert not found.same and found.cosines.mean() > 0.999 and (found.cosines > 0.99).sum() == 20


def test_a_little_in_every_work_is_too_much():
    made = rows(21, 200)
    found = compare(passport(made), passport(made + 0.06 * rows(21, 200, 1)))
    assert not found.same and found.cosines.min() > 0.99


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"strip": None, "note": "no network"}, r"without a calibration strip .no network."),
        ({"strip": {"works": ["a"], "vectors": [["x"]]}}, "cannot be read"),
        ({"strip": {"works": ["a"], "vectors": [[1, 2], [1, 2]]}}, r"shape \(2, 2\) for 1 works"),
        ({"strip": {"works": ["0.jpg"], "vectors": [[np.nan] * 8]}}, "cannot be read"),
        ({"strip": {"vectors": []}}, "cannot be read"),
        ({"strip": {"works": ["0.jpg"], "vectors": [[1.0] * 8]}}, "1 paintings in common"),
    ],
)
def test_a_strip_that_tells_nothing_is_said(changed, sentence):
    with pytest.raises(ArtsearchError, match=sentence):
        compare(passport(rows(21)), passport(rows(21)) | changed)


def _unit(made: np.ndarray) -> np.ndarray:
    return made / np.linalg.norm(made, axis=1, keepdims=True)
