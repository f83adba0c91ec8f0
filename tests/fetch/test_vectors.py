"""Vectors that others publish: each form, several side by side, and what is wrong with some."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dataset_hub import DatasetHub
from published import rows, write_met, write_records

from artsearch.base.errors import ArtsearchError
from artsearch.features.published import choose_vectors, vector_features
from artsearch.fetch import data_files, vectors
from artsearch.fetch.vectors import fetch_vectors
from artsearch.works.collection import Collection

pytest.importorskip("pyarrow")


def stored(folder: Path, model: str = "dinov2-giant"):
    """Return the vectors of a folder as they are found again."""
    return vector_features(Collection(folder), f"vectors:{model}")


def check(folder: Path, vectors, ids=None, model: str = "dinov2-giant") -> None:
    found = stored(folder, model)
    assert np.array_equal(np.asarray(found.vectors), vectors)
    assert ids is None or list(found.ids) == ids


# The forms


def test_parquet_of_the_met_becomes_a_collection(tmp_path):
    made = rows(5)
    titles = ["The Harvesters", "", "Irises", "=1+1", None]
    source = write_met(
        tmp_path / "met.parquet", made, title=titles, artistDisplayName=["Bruegel"] * 5
    )
    report = fetch_vectors(str(source), tmp_path / "out").report()
    assert report.startswith("5 vectors of 8 numbers each by 'dinov2-giant' from 'met' in ")
    check(tmp_path / "out", made, [f"met/{row}" for row in range(5)])
    works = Collection(tmp_path / "out").works
    assert works["title"].tolist() == ["The Harvesters", "1", "Irises", "'=1+1", "4"]
    assert set(works["source"]) == {"met"} and set(works["artist"]) == {"Bruegel"}


@pytest.mark.parametrize("kind", ["folder", "pattern"])
def test_several_shards_are_one_source(kind, tmp_path):
    made = rows(6)
    for shard in range(3):
        ids = [2 * shard, 2 * shard + 1]
        part = made[2 * shard : 2 * shard + 2]
        write_met(tmp_path / f"met/data/part-{shard}.parquet", part, objectID=ids)
    name = tmp_path / "met" if kind == "folder" else tmp_path / "met/data/part-*.parquet"
    fetch_vectors(str(name), tmp_path / "out", name="met")
    check(tmp_path / "out", made, [f"met/{row}" for row in range(6)])


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_npy_has_its_words_in_a_table_beside_it(ending, tmp_path):
    made = rows(3).astype(np.float16)
    np.save(tmp_path / "moma.npy", made)
    table = pd.DataFrame({"ID": ["a", "b", "c"], "Title": ["A", "B", "C"]})
    beside = tmp_path / f"moma{ending}"
    table.to_csv(beside, index=False) if ending == ".csv" else table.to_parquet(beside)
    fetch_vectors(str(tmp_path / "moma.npy"), tmp_path / "out", model="clip")
    check(tmp_path / "out", made.astype(np.float32), ["moma/a", "moma/b", "moma/c"], "clip")
    assert Collection(tmp_path / "out").work("moma/b")["title"] == "B"


@pytest.mark.parametrize("kind", [">f4", ">f2", np.longdouble])
def test_npy_holds_numbers_of_any_kind(kind, tmp_path):
    made = rows(2).astype(kind)
    np.save(tmp_path / "img.npy", np.asfortranarray(made))
    fetch_vectors(str(tmp_path / "img.npy"), tmp_path / "out", model="clip", name=" ")
    check(tmp_path / "out", made.astype(np.float32), ["img/img-0", "img/img-1"], "clip")


def test_npy_alone_knows_its_works_by_the_row(tmp_path):
    np.save(tmp_path / "img.npy", rows(2))
    fetch_vectors(str(tmp_path / "img.npy"), tmp_path / "out", model="clip")
    check(tmp_path / "out", rows(2), ["img/img-0", "img/img-1"], "clip")


def test_records_of_go_embeddingsdb(tmp_path):
    source = write_records(tmp_path / "records.jsonl", rows(3))
    fetch_vectors(str(source), tmp_path / "out")
    ids = ["sfomuseum/1000", "sfomuseum/1001", "sfomuseum/1002"]
    check(tmp_path / "out", rows(3), ids, "apple/mobileclip_s0")
    work = Collection(tmp_path / "out").work(ids[1])
    assert work["title"] == "Flight bag 1" and work["image"] == "https://x.org/1"
    assert work["source"] == "sfomuseum" and work["subject_id"] == "1"


def test_records_with_attributes_as_parquet(tmp_path):
    pairs = [[("title", "Bag"), ("image_url", "https://x.org/a")], [("title", "Cap")]]
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = {
        "provider": ["sfo", "sfo"],
        "depiction_id": ["1", "2"],
        "embeddings": pa.array(rows(2).tolist(), pa.list_(pa.float32())),
        "model": ["clip", "clip"],
        "attributes": pa.array(pairs, pa.map_(pa.string(), pa.string())),
    }
    pq.write_table(pa.table(table), tmp_path / "records.parquet")
    fetch_vectors(str(tmp_path / "records.parquet"), tmp_path / "out")
    works = Collection(tmp_path / "out").works
    assert works["title"].tolist() == ["Bag", "Cap"]
    assert works["image"].tolist() == ["https://x.org/a", ""]


def test_folder_of_clip_retrieval(tmp_path):
    made = rows(5)
    for shard, part in enumerate((slice(0, 3), slice(3, 5))):
        for name in ("img_emb", "metadata"):
            (tmp_path / "clip" / name).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / f"clip/img_emb/img_emb_{shard}.npy", made[part])
        known = {"image_path": list(range(5))[part], "caption": ["a lion"] * len(made[part])}
        known["url"] = [f"https://x.org/{row}.jpg" for row in range(5)[part]]
        pd.DataFrame(known).to_parquet(tmp_path / f"clip/metadata/metadata_{shard}.parquet")
    fetch_vectors(str(tmp_path / "clip"), tmp_path / "out", model="ViT-B/32")
    check(tmp_path / "out", made, [f"clip/{row}" for row in range(5)], "ViT-B/32")
    work = Collection(tmp_path / "out").work("clip/4")
    assert (work["title"], work["image"]) == ("a lion", "https://x.org/4.jpg")


HUB = """
import sys
from artsearch.fetch.vectors import fetch_vectors
print(fetch_vectors("metmuseum/dinov2", sys.argv[1]).report())
"""


def test_dataset_of_the_hub(tmp_path, monkeypatch):
    """In a process of its own: huggingface_hub reads its endpoint when it is imported."""
    for shard in range(2):
        name = tmp_path / f"hub/data/train-0000{shard}-of-00002.parquet"
        write_met(name, rows(3, seed=shard), objectID=[3 * shard + row for row in range(3)])
    (tmp_path / "hub/passport.json").write_text(json.dumps({"weights": "ab" * 32}))
    with DatasetHub("metmuseum/dinov2", tmp_path / "hub") as hub:
        places = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
        for name in ("ARTSEARCH_OFFLINE", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in places.items():
            monkeypatch.setenv(name, value)
        command = [sys.executable, "-c", HUB, tmp_path / "out"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "6 vectors of 8 numbers each by 'dinov2-giant' from 'metmuseum'" in done.stdout
    made = np.vstack([rows(3, seed=0), rows(3, seed=1)])
    check(tmp_path / "out", made, [f"metmuseum/{row}" for row in range(6)])
    (passport,) = (tmp_path / "out/vectors").glob("*/*.json")
    assert json.loads(passport.read_text())["weights"] == "ab" * 32


def test_columns_are_named_by_hand(tmp_path):
    source = write_met(tmp_path / "a.parquet", rows(2), was=["x", "y"], wer=["Ada", "Bob"])
    pairs = {"id": "was", "artist": "wer"}
    fetch_vectors(str(source), tmp_path / "out", columns=pairs)
    assert Collection(tmp_path / "out").works["artist"].tolist() == ["Ada", "Bob"]
    assert Collection(tmp_path / "out").ids == ["a/x", "a/y"]


def test_a_table_says_what_vectors_alone_do_not(tmp_path):
    source = write_met(tmp_path / "met.parquet", rows(3))
    table = {"Object ID": ["1", "0", "9"], "Title": ["One", "Nought", "Nine"]}
    table |= {
        "Department": ["Asian Art", "Islamic Art", ""],
        "Link Resource": ["https://x.org/1", "", ""],
    }
    pd.DataFrame(table).to_csv(tmp_path / "MetObjects.csv", index=False)
    fetch_vectors(str(source), tmp_path / "out", table=str(tmp_path / "MetObjects.csv"))
    works = Collection(tmp_path / "out").works
    assert works["title"].tolist() == ["Nought", "One", "2"]
    assert works["department"].tolist() == ["Islamic Art", "Asian Art", ""]
    assert works["link"].tolist() == ["", "https://x.org/1", ""]


def test_pictures_and_other_vectors_that_come_along_are_left_where_they_are(tmp_path):
    pictures = [{"bytes": b"x" * 100, "path": "a.jpg"}] * 2
    more = {"text_embedding": [[0.5] * 4] * 2, "image": pictures, "raw": [b"x"] * 2}
    source = write_met(tmp_path / "met.parquet", rows(2), **more, keywords=[["a", "b"], []])
    fetch_vectors(str(source), tmp_path / "out")
    check(tmp_path / "out", rows(2))
    works = Collection(tmp_path / "out").works
    assert not {"text_embedding", "raw"} & set(works) and set(works["image"]) == {""}
    assert works["keywords"].tolist() == ["a; b", ""]


# Several side by side


def test_a_second_source_and_a_second_model_are_added(tmp_path):
    out = tmp_path / "out"
    fetch_vectors(str(write_met(tmp_path / "met.parquet", rows(3))), out)
    fetch_vectors(str(write_met(tmp_path / "moma.parquet", rows(2, seed=1))), out)
    other = write_met(tmp_path / "siglip.parquet", rows(3, 4, 2), "siglip", title=["A", "B", "C"])
    fetch_vectors(str(other), out, name="met")
    check(out, np.vstack([rows(3), rows(2, seed=1)]))
    check(out, rows(3, 4, 2), ["met/0", "met/1", "met/2"], "siglip")
    works = Collection(out).works
    assert works["source"].tolist() == ["met"] * 3 + ["moma"] * 2
    assert works["title"].tolist()[:3] == ["A", "B", "C"]  # what the first source left open
    assert stored(out, "siglip").skipped[0] == ("moma/0", "it has no vector of siglip")


def test_the_same_source_again_takes_the_place_of_its_older_vectors(tmp_path):
    out = tmp_path / "out"
    source = write_met(tmp_path / "met.parquet", rows(3), title=["A", "B", "C"])
    fetch_vectors(str(source), out)
    table = (out / "works.csv").read_text().replace(",A,", ",corrected,")
    (out / "works.csv").write_text(table)
    fetch_vectors(str(write_met(source, rows(3, seed=5), title=["A", "B", "C"])), out)
    check(out, rows(3, seed=5))
    assert Collection(out).works["title"].tolist() == ["corrected", "B", "C"]


def test_what_the_table_names_no_more_is_left_out(tmp_path):
    fetch_vectors(str(write_met(tmp_path / "met.parquet", rows(3))), tmp_path / "out")
    table = tmp_path / "out/works.csv"
    table.write_text(
        "\n".join(line for line in table.read_text().split("\n") if "met/1" not in line)
    )
    check(tmp_path / "out", rows(3)[[0, 2]], ["met/0", "met/2"])


# What is wrong: a sentence with the value, and what is good goes on


def test_bad_rows_are_left_out_and_said(tmp_path):
    made = [*rows(8)]
    made[1] = made[1][:5]
    made[2] = np.array([*made[2][:7], np.nan])
    made[3] = np.array([*made[3][:7], np.inf])
    made[4] = None
    made[6] = np.zeros(8)
    ids = ["0", "1", "2", "3", "4", "0", "6", "7"]
    source = write_met(tmp_path / "met.parquet", made, objectID=ids)
    fetched = fetch_vectors(str(source), tmp_path / "out")
    check(tmp_path / "out", rows(8)[[0, 7]], ["met/0", "met/7"])
    assert fetched.skipped == [
        ("1", "a vector of 5 numbers, where the others have 8"),
        ("2", "numbers that are not finite"),
        ("3", "numbers that are not finite"),
        ("4", "no vector, where the others have 8"),
        ("0", "an id that came before"),
        ("6", "a vector of zeros, which has no direction"),
    ]
    assert "2 rows left out: numbers that are not finite (first '2')" in fetched.report()


def test_one_odd_record_is_left_out_and_the_others_are_taken(tmp_path):
    odd = ({"id": [1]}, {"vector": "[1]"}, {"id": 2, "vector": [10**39, 1]}, {"id": 3})
    records = [{"id": 1, "vector": [1, 2], "model": "a"} | one for one in ({"id": 0}, *odd)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    fetched = fetch_vectors(str(tmp_path / "a.jsonl"), tmp_path / "out")
    assert [id for id, _ in fetched.skipped] == ["1", "2"]
    check(tmp_path / "out", np.float32([[1, 2]] * 3), ["a/0", "a/1", "a/3"], "a")


def test_a_row_without_an_id_is_left_out_and_a_model_may_have_a_comma(tmp_path):
    source = write_met(tmp_path / "met.parquet", rows(2), "a,b", objectID=["", "1"])
    assert fetch_vectors(str(source), tmp_path / "out").skipped == [("", "no id")]
    (network,) = choose_vectors(Collection(tmp_path / "out"), "a,b").networks
    assert network.title == "a,b"


def test_the_first_row_may_be_the_odd_one(tmp_path):
    made = [rows(1, 3)[0], *rows(4)]
    fetch_vectors(str(write_met(tmp_path / "met.parquet", made)), tmp_path / "out")
    check(tmp_path / "out", rows(4), ["met/1", "met/2", "met/3", "met/4"])


def test_the_length_is_that_of_the_model_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(data_files, "CHUNK", 4)
    made = [*rows(6, 5), *rows(3)]
    source = write_met(tmp_path / "a.parquet", made, model=["siglip"] * 6 + ["dinov2"] * 3)
    fetch_vectors(str(source), tmp_path / "out", "dinov2")
    check(tmp_path / "out", rows(3), ["a/6", "a/7", "a/8"], "dinov2")


def test_texts_do_no_harm(tmp_path):
    ids = ["=1+1", "a\nb", "\ud800c", "x" * 5_000, ""]
    source = tmp_path / "hostile.jsonl"
    records = [{"id": id, "vector": [1.0, row], "title": id} for row, id in enumerate(ids)]
    source.write_text("\n".join(map(json.dumps, records)))
    fetched = fetch_vectors(str(source), tmp_path / "out", "clip", name="=me")
    works = Collection(tmp_path / "out")
    assert len(works) == len(stored(tmp_path / "out", "clip")) == 4 and not works.skipped
    assert works.ids[:3] == ["'=me/=1+1", "'=me/a b", "'=me/?c"]
    assert fetched.skipped == [("", "no id")]


def test_several_models_want_one_chosen(tmp_path):
    models = ["dinov2", "siglip", "", "dinov2"]
    source = write_met(tmp_path / "met.parquet", rows(4), model=models)
    with pytest.raises(ArtsearchError, match="2 models: dinov2, siglip; choose one with --model"):
        fetch_vectors(str(source), tmp_path / "out")
    with pytest.raises(ArtsearchError, match="unknown model 'dino'; did you mean 'dinov2'"):
        fetch_vectors(str(source), tmp_path / "out", "dino")
    fetched = fetch_vectors(str(source), tmp_path / "out", "dinov2")
    check(tmp_path / "out", rows(4)[[0, 3]], ["met/0", "met/3"], "dinov2")
    assert [reason for _, reason in fetched.skipped] == [
        "the model is 'siglip'",
        "no model is stated",
    ]


def test_a_model_that_is_not_stated_is_asked_for(tmp_path):
    np.save(tmp_path / "a.npy", rows(2))
    with pytest.raises(
        ArtsearchError, match="which model made the vectors; name it, as in --model"
    ):
        fetch_vectors(str(tmp_path / "a.npy"), tmp_path / "out")
    source = write_met(tmp_path / "met.parquet", rows(2), model=["", None])
    with pytest.raises(ArtsearchError, match="'model' of 'met.parquet' states no model"):
        fetch_vectors(str(source), tmp_path / "out")
    fetch_vectors(str(source), tmp_path / "out", "clip")
    check(tmp_path / "out", rows(2), model="clip")


def test_a_table_of_another_length_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", rows(2))
    pd.DataFrame({"id": [1, 2, 3]}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ArtsearchError, match="a.npy has 2 rows and a.csv 3"):
        fetch_vectors(str(tmp_path / "a.npy"), tmp_path / "out", "clip")


def broken(tmp_path) -> dict:
    """Return sources of which nothing can be taken, with what is said."""
    write_met(tmp_path / "words.parquet", rows(1), embedding=[None])
    write_met(tmp_path / "ids.parquet", rows(1)).rename(tmp_path / "x.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:-30])
    pd.DataFrame({"embedding": [[1.0]], "model": ["a"]}).to_parquet(tmp_path / "noid.parquet")
    pd.DataFrame({"id": ["a"], "model": ["a"]}).to_parquet(tmp_path / "novector.parquet")
    texts = {"id": ["a"], "embedding": ["[1, 2]"], "model": ["a"]}
    pd.DataFrame(texts).to_parquet(tmp_path / "texts.parquet")
    nested = {"id": ["a"], "embedding": [[[1.0], [2.0]]], "model": ["a"]}
    pd.DataFrame(nested).to_parquet(tmp_path / "nested.parquet")
    np.save(tmp_path / "flat0.npy", np.zeros((3, 0)))
    (tmp_path / "list.jsonl").write_text('["a"]\n')
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("a")
    np.save(tmp_path / "flat.npy", np.zeros(3))
    return {
        "words.parquet": "no vector of 'words.parquet' can be taken; .* no vector",
        "cut.parquet": "cannot read 'cut.parquet'",
        "noid.parquet": "known to hold the id; its columns are: 'embedding', 'model'; say which",
        "novector.parquet": "known to hold the vector; .* --columns vector=embedding",
        "texts.parquet": "holds (large_)?string, not lists of numbers",
        "nested.parquet": "holds list<.*list<.*, not lists of numbers",
        "flat0.npy": r"flat0.npy holds float64 in the shape \(3, 0\)",
        "list.jsonl": "it holds .* where a record should be",
        "empty": "has no .parquet, .jsonl or .npy files",
        "a.txt": "'a.txt' holds no vectors that can be read",
        "flat.npy": r"flat.npy holds float64 in the shape \(3,\)",
        "no where": "cannot open the dataset .* .no such file or folder.",
    }


def test_a_source_that_cannot_be_used_is_said_in_a_sentence(tmp_path):
    for name, sentence in broken(tmp_path).items():
        with pytest.raises(ArtsearchError, match=sentence):
            fetch_vectors(str(tmp_path / name), tmp_path / "out", "a" if name[0] in "fe" else "")
    assert not (tmp_path / "out/vectors").exists()


def test_a_folder_with_other_things_is_not_used(tmp_path):
    source = write_met(tmp_path / "met.parquet", rows(2))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/diary.txt").write_text("mine")
    with pytest.raises(ArtsearchError, match="holds other things, such as 'diary.txt'"):
        fetch_vectors(str(source), tmp_path / "out")


def test_vectors_of_one_model_that_cannot_be_compared_are_kept_apart(tmp_path):
    out = tmp_path / "out"
    first = write_met(tmp_path / "a/met.parquet", rows(2))
    (tmp_path / "a/passport.json").write_text('{"weights": "aaaaaaaaaa"}')
    fetch_vectors(str(first), out)
    shorter = write_met(tmp_path / "b/moma.parquet", rows(2, 6))
    with pytest.raises(ArtsearchError, match="have 8 numbers, these 6; .* --model dinov2-giant-6"):
        fetch_vectors(str(shorter), out)
    other = write_met(tmp_path / "c/moma.parquet", rows(2))
    (tmp_path / "c/passport.json").write_text('{"weights": "bbbbbbbbbb"}')
    with pytest.raises(
        ArtsearchError, match="made with weights 'aaaaaaaaaa', these with 'bbbbbbbbbb'"
    ):
        fetch_vectors(str(other), out)
    check(out, rows(2))


def test_an_id_of_another_source_is_not_taken_twice(tmp_path):
    out = tmp_path / "out"
    fetch_vectors(str(write_met(tmp_path / "one.parquet", rows(2))), out, name="met")
    fetched = fetch_vectors(
        str(write_met(tmp_path / "two.parquet", rows(3, seed=1))), out, name="met"
    )
    assert [id for id, _ in fetched.skipped] == ["0", "1"]
    assert "an id that 'one.parquet' has, in the folder already" in fetched.report()
    assert list(stored(out).ids) == ["met/0", "met/1", "met/2"]


def test_rows_go_through_the_memory_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(data_files, "CHUNK", 10)
    seen = []
    take = vectors._Reader._take
    monkeypatch.setattr(
        vectors._Reader, "_take", lambda self, batch: seen.append(len(batch)) or take(self, batch)
    )
    fetch_vectors(str(write_met(tmp_path / "met.parquet", rows(25))), tmp_path / "out")
    check(tmp_path / "out", rows(25))
    assert seen == [10, 10, 5]
