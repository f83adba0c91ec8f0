"""A sample of WikiArt, from small Parquet files in the schema of huggan/wikiart."""

import io
import os
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from dataset_hub import DatasetHub
from loopback import closed_address
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.fetch import wikiart
from artsearch.fetch.items import fetch
from artsearch.works.images import open_image

datasets = pytest.importorskip("datasets")
pa = pytest.importorskip("pyarrow")

ARTISTS = ["Unknown Artist", "vincent-van-gogh", "katsushika-hokusai", "joaquã\xadn-sorolla"]
GENRES = ["landscape", "genre_painting", "Unknown Genre"]
STYLES = ["Art_Nouveau", "Impressionism", "Pointillism", "Realism", "Ukiyo_e"]
# Of 100 works of a shard, so many are of each style.
SKEWED = [8, 60, 1, 26, 5]


def jpeg(number: int) -> bytes:
    colour = np.random.default_rng(number).integers(0, 256, 3)
    out = io.BytesIO()
    Image.new("RGB", (24, 16), tuple(colour.tolist())).save(out, "JPEG")
    return out.getvalue()


def schema(styles=STYLES, artists=ARTISTS):
    return datasets.Features(
        {
            "image": datasets.Image(),
            "artist": datasets.ClassLabel(names=artists),
            "genre": datasets.ClassLabel(names=GENRES),
            "style": datasets.ClassLabel(names=styles),
        }
    )


def write_shards(
    folder: Path, shards: int = 6, features=None, change=None, group: int = 20
) -> Path:
    """Write a dataset of 100 works a shard, as the hub keeps it; `change` edits a shard's rows."""
    features = features or schema()
    (folder / "data").mkdir(parents=True)
    for shard in range(shards):
        random = np.random.default_rng(shard)
        styles = random.permutation(np.repeat(np.arange(5), SKEWED)).tolist()
        rows = [
            {
                "image": {"bytes": jpeg(shard * 100 + row), "path": f"{row}.jpg"},
                "artist": int(random.integers(4)),
                "genre": int(random.integers(3)),
                "style": style,
            }
            for row, style in enumerate(styles)
        ]
        if change:
            change(shard, rows)
        table = pa.Table.from_pylist(rows, schema=features.arrow_schema)
        name = f"train-{shard:05}-of-{shards:05}.parquet"
        pa.parquet.write_table(table, folder / "data" / name, row_group_size=20)
    return folder


@pytest.fixture(scope="module", autouse=True)
def no_cache(tmp_path_factory):
    """Keep what `datasets` writes for itself out of the home folder."""
    import pyarrow.parquet  # noqa: F401

    patch = pytest.MonkeyPatch()
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Six shards of 100 works, most of them of two styles."""
    return write_shards(tmp_path_factory.mktemp("wikiart") / "shards")


@pytest.fixture
def opened(monkeypatch):
    """The names of the files that are opened, and the bytes that are read of each."""
    read = Counter()

    class Counted(io.FileIO):
        def readinto(self, buffer):
            number = super().readinto(buffer)
            read[Path(self.name).name] += number
            return number

        def read(self, size=-1):
            data = super().read(size)
            read[Path(self.name).name] += len(data)
            return data

    monkeypatch.setattr(wikiart, "open_file", Counted)
    return read


def styles_of(items) -> Counter:
    return Counter(item.about["style"] for item in items)


# The sample


def test_each_style_gives_as_many_works_and_small_ones_all_that_were_seen(shards):
    works = list(wikiart.items(60, dataset=shards))
    # 60 works of 5 styles want 12 each; 240 works at most are looked at, so in three shards.
    assert styles_of(works) == {
        "Pointillism": 3,
        "Art Nouveau": 14,
        "Impressionism": 15,
        "Realism": 14,
        "Ukiyo-e": 14,
    }
    assert len({work.key for work in works}) == 60


def test_the_same_seed_gives_the_same_works_and_another_seed_others(shards):
    once, again, other = (list(wikiart.items(40, seed, shards)) for seed in (3, 3, 4))
    assert once == again
    assert {work.key for work in once} != {work.key for work in other}


def test_each_picture_comes_with_its_own_labels(shards):
    for work in wikiart.items(50, dataset=shards):
        _, stem, row = work.key.split("/")
        shard = int(stem.split("-")[1])
        assert work.image == jpeg(shard * 100 + int(row))
        styles = np.random.default_rng(shard).permutation(np.repeat(np.arange(5), SKEWED))
        assert work.about["style"] == wikiart.spell_style(STYLES[styles[int(row)]])


def test_words_licence_and_source_are_said(shards):
    works = list(wikiart.items(200, dataset=shards))
    assert {work.about["artist"] for work in works} == {
        "",
        "Vincent van Gogh",
        "Katsushika Hokusai",
        "Joaquín Sorolla",
    }
    assert {work.about["genre"] for work in works} == {"", "landscape", "genre painting"}
    assert {work.about["title"] + work.about["year"] for work in works} == {""}
    assert {work.about["licence"] for work in works} == {wikiart.LICENCE}
    assert {work.about["source"] for work in works} == {str(shards)}


def test_a_larger_sample_of_the_same_shards_holds_the_smaller_one(shards):
    small, large = ({work.key for work in wikiart.items(n, 1, shards)} for n in (20, 25))
    assert small < large


def test_more_works_than_there_are_means_all(shards):
    assert len(list(wikiart.items(10_000, dataset=shards))) == 600


def test_shares_add_up_and_no_group_gives_more_than_it_has():
    random = np.random.default_rng(0)
    for _ in range(200):
        sizes = {str(n): int(random.integers(0, 50)) for n in range(random.integers(1, 28))}
        count = int(random.integers(1, 400))
        shares = wikiart.share_out(sizes, count)
        assert sum(shares.values()) == min(count, sum(sizes.values()))
        unfilled = [shares[name] for name in sizes if shares[name] < sizes[name]]
        assert not unfilled or max(shares.values()) - min(unfilled) <= 1


# What is read


def test_a_small_sample_reads_one_shard_and_not_all_its_pictures(shards, opened):
    works = list(wikiart.items(10, dataset=shards))
    assert len(works) == 10
    first = Path(wikiart._Dataset(shards).files[0]).name  # its schema is read
    drawn = works[0].key.split("/")[1] + ".parquet"
    assert set(opened) == {first, drawn}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Two shards of 1 MB each."""

    def enlarge(shard, rows):
        random = np.random.default_rng(shard)
        for row in rows:
            row["image"]["bytes"] += random.bytes(9_000)

    return write_shards(tmp_path_factory.mktemp("large") / "shards", 2, change=enlarge)


def test_labels_are_read_without_pictures(large, opened):
    every = {f"wikiart/train-{n:05}-of-00002/{row}" for n in range(2) for row in range(100)}
    assert len(list(wikiart.items(10, dataset=large, known=every))) == 10
    size = min(path.stat().st_size for path in large.rglob("*.parquet"))
    assert max(opened.values()) < 0.2 * size


def test_row_groups_without_a_chosen_work_are_not_read(large, opened):
    data = wikiart._Dataset(large)
    opened.clear()
    assert [row for row, _ in data.read_pictures(0, [25, 99])] == [25, 99]  # two groups of five
    some = sum(opened.values())
    opened.clear()
    assert len(list(data.read_pictures(0, range(100)))) == 100
    assert some < 0.6 * sum(opened.values())


def test_pictures_come_one_by_one(shards, opened):
    works = wikiart.items(600, dataset=shards)
    next(works)
    opened.clear()
    assert len(list(islice(works, 19))) == 19  # what the first of five row groups still has
    assert len(opened) <= 1


def test_known_works_come_without_reading_their_pictures(shards, opened):
    works = list(wikiart.items(60, dataset=shards))
    known = {work.key for work in works}
    opened.clear()
    again = list(wikiart.items(60, dataset=shards, known=known))
    labels_only = sum(opened.values())
    assert {work.key for work in again} == known
    assert {work.image for work in again} == {""}
    opened.clear()
    partly = list(wikiart.items(60, dataset=shards, known=set(sorted(known)[:30])))
    assert sum(work.image != "" for work in partly) == 30
    assert sum(opened.values()) > labels_only


# Where


def test_where_takes_the_words_in_any_case_and_goes_on_until_there_are_enough(shards):
    works = list(wikiart.items(5, dataset=shards, where={"style": ["pointillism"]}))
    assert styles_of(works) == {"Pointillism": 5}
    both = list(wikiart.items(10, dataset=shards, where={"style": ["Ukiyo-e", "Pointillism"]}))
    assert styles_of(both) == {"Ukiyo-e": 5, "Pointillism": 5}


def test_where_on_two_columns_takes_what_fits_both(shards):
    where = {"artist": "Vincent van Gogh", "genre": ["landscape"]}
    works = list(wikiart.items(20, dataset=shards, where=where))
    assert len(works) == 20
    assert {(work.about["artist"], work.about["genre"]) for work in works} == {
        ("Vincent van Gogh", "landscape")
    }


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ({"style": ["Pointilism"]}, "unknown style 'Pointilism'; did you mean 'Pointillism'"),
        ({"artist": "van Gogh"}, "did you mean 'Vincent van Gogh'"),
        ({"period": ["1800"]}, "unknown column 'period'; known: artist, genre, style"),
        ({"style": [7]}, "unknown style '7'"),
        ({"style": [""]}, "unknown style ''"),
    ],
)
def test_an_unknown_word_is_named_with_the_nearest(shards, where, sentence):
    with pytest.raises(ArtsearchError, match=".*".join(sentence.split("; did"))):
        list(wikiart.items(5, dataset=shards, where=where))


@pytest.mark.parametrize("count", [0, -1, 2.5, "ten", True])
def test_a_count_must_be_a_whole_number(shards, count):
    with pytest.raises(ArtsearchError, match="count is"):
        list(wikiart.items(count, dataset=shards))


# Other copies, and bad ones


def test_class_numbers_are_those_of_the_copy(tmp_path):
    features = schema(styles=STYLES[::-1])
    copy = write_shards(tmp_path / "copy", 1, features)
    # Number 1, of which there are 60, is Realism here.
    assert styles_of(wikiart.items(1000, dataset=copy))["Realism"] == 60


def test_plain_text_is_taken_as_it_stands(tmp_path):
    def spell_out(shard, rows):
        for row in rows:
            row.update(artist="Vincent van Gogh", genre=None, style=STYLES[row["style"]])

    text = datasets.Value("string")
    features = datasets.Features(
        {"image": datasets.Image(), "artist": text, "genre": text, "style": text}
    )
    copy = write_shards(tmp_path / "copy", 2, features, spell_out)
    works = list(wikiart.items(20, dataset=copy))
    assert set(styles_of(works)) == {wikiart.spell_style(style) for style in STYLES}
    assert {work.about["artist"] for work in works} == {"Vincent van Gogh"}
    assert {work.about["genre"] for work in works} == {""}
    some = wikiart.items(5, dataset=copy, where={"style": "Ukiyo-e"})
    assert styles_of(some) == {"Ukiyo-e": 5}
    with pytest.raises(ArtsearchError, match="unknown style 'Ukiyo-i'; did you mean 'Ukiyo-e'"):
        list(wikiart.items(5, dataset=copy, where={"style": "Ukiyo-i"}))


def test_a_corrupt_a_missing_and_an_unlabelled_work_do_not_end_the_sample(tmp_path):
    def spoil(shard, rows):
        rows[3]["image"]["bytes"] = b"\xff\xd8\xff\xe0 no picture"
        rows[4]["image"]["bytes"] = None
        rows[5]["image"] = None
        rows[6].update(artist=None, genre=-1, style=None)

    works = list(wikiart.items(500, dataset=write_shards(tmp_path / "spoilt", 1, change=spoil)))
    by_row = {int(work.key.split("/")[-1]): work for work in works}
    assert len(by_row) == 100
    assert by_row[3].image == b"\xff\xd8\xff\xe0 no picture"  # for who saves it to find out
    assert [by_row[row].image for row in (4, 5)] == ["", ""]
    assert "no picture" in by_row[4].reason
    assert by_row[6].about["style"] == by_row[6].about["artist"] == by_row[6].about["genre"] == ""
    assert open_image(by_row[7].image).size == (24, 16)


def test_a_dataset_that_cannot_be_used_is_an_error_that_says_so(tmp_path, shards):
    with pytest.raises(ArtsearchError, match="nowhere' .no such file or folder."):
        list(wikiart.items(5, dataset=tmp_path / "nowhere"))
    texts = tmp_path / "texts"
    (texts / "data").mkdir(parents=True)
    (texts / "data" / "train.csv").write_text("style\nRealism\n")
    with pytest.raises(ArtsearchError, match="no part 'train' of Parquet files"):
        list(wikiart.items(5, dataset=texts))
    broken = tmp_path / "broken"
    (broken / "data").mkdir(parents=True)
    (broken / "data" / "train-00000-of-00001.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ArtsearchError, match="cannot read 'train-00000-of-00001.parquet'"):
        list(wikiart.items(5, dataset=broken))
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    table = pa.table({"text": ["a"], "label": [1]})
    pa.parquet.write_table(table, other / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(ArtsearchError, match="its columns are: 'text', 'label'"):
        list(wikiart.items(5, dataset=other))


def test_a_shard_of_other_columns_is_named(tmp_path):
    folder = write_shards(tmp_path / "mixed", 2)
    path = folder / "data" / "train-00001-of-00002.parquet"
    pa.parquet.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(ArtsearchError, match="cannot read 'train-00001-of-00002.parquet'"):
        list(wikiart.items(500, dataset=folder))


def test_a_shard_that_breaks_off_is_named(tmp_path):
    folder = write_shards(tmp_path / "cut", 1)
    [path] = folder.rglob("*.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:2000] + bytes(2000) + whole[4000:])
    with pytest.raises(ArtsearchError, match="cannot read 'train-00000-of-00001.parquet'"):
        list(wikiart.items(500, dataset=folder))


def test_whatever_a_library_raises_meanwhile_is_a_sentence(monkeypatch, shards):
    def hang_up(address):
        raise RuntimeError("the hub hung up")

    monkeypatch.setattr(wikiart, "open_file", hang_up)
    with pytest.raises(ArtsearchError, match=r"cannot read 'train-.*\(the hub hung up\)"):
        list(wikiart.items(5, dataset=shards))


# From the hub, and into a folder

FROM_HUB = """
import sys
from artsearch.fetch import wikiart
from artsearch.base.errors import ArtsearchError
for name in sys.argv[1:]:
    try:
        for work in wikiart.items(10, dataset=name):
            print(work.key, len(work.image), work.about["style"], work.about["source"], sep="|")
    except ArtsearchError as error:
        print(error)
"""


def read_from_hub(hub: DatasetHub, home: Path, *names: str) -> list[str]:
    # The address of the hub is read when its library is imported.
    env = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "ARTSEARCH_OFFLINE": ""}
    command = [sys.executable, "-c", FROM_HUB, *names]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_dataset_of_the_hub_is_streamed_and_most_of_it_is_never_sent(shards, tmp_path):
    with DatasetHub("huggan/wikiart", shards) as hub:
        *lines, missing = read_from_hub(hub, tmp_path, "huggan/wikiart", "huggan/wikiert")
        assert len(hub.sent) <= 2 < len(hub.files)  # the schema of one file, the works of another
    works = {line.split("|")[0]: line.split("|")[1:] for line in lines}
    local = {work.key: work for work in wikiart.items(10, dataset=shards)}
    assert works.keys() == local.keys()
    for key, (size, style, source) in works.items():
        assert (int(size), style) == (len(local[key].image), local[key].about["style"])
        assert source == "https://huggingface.co/datasets/huggan/wikiart"
    assert missing.startswith("cannot open the dataset 'huggan/wikiert'")


def test_a_hub_out_of_reach_and_one_switched_off_are_said_at_once(monkeypatch):
    monkeypatch.delenv("ARTSEARCH_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", closed_address())
    with pytest.raises(ArtsearchError, match="cannot open the dataset 'a/b' .*127.0.0.1"):
        list(wikiart.items(5, dataset="a/b"))
    monkeypatch.setenv("ARTSEARCH_OFFLINE", "1")
    with pytest.raises(ArtsearchError, match="downloads are switched off"):
        list(wikiart.items(5, dataset="a/b"))


def test_a_sample_is_fetched_and_goes_on_where_it_was(tmp_path, shards, opened):
    fetch(islice(wikiart.items(30, dataset=shards), 12), tmp_path / "out", progress=False)
    journal = {work.key for work in islice(wikiart.items(30, dataset=shards), 12)}
    rest = wikiart.items(30, dataset=shards, known=journal)
    fetched = fetch(rest, tmp_path / "out", count=30, progress=False)
    assert (fetched.kept, fetched.added, fetched.skipped) == (12, 18, [])


def test_a_missing_package_is_named_with_its_extra(monkeypatch, shards):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ArtsearchError, match=r"artsearch\[fetch\]"):
        list(wikiart.items(5, dataset=shards))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("henri-de-toulouse-lautrec", "Henri de Toulouse-Lautrec"),
        ("james-mcneill-whistler", "James McNeill Whistler"),
        ("hans-holbein-the-younger", "Hans Holbein the Younger"),
        ("el-greco", "El Greco"),
        ("m.c.-escher", "M.C. Escher"),
        ("theo-van-rysselberghe", "Theo van Rysselberghe"),
        ("", ""),
    ],
)
def test_artists_are_written_as_they_are(name, written):
    assert wikiart.spell_artist(name) == written
