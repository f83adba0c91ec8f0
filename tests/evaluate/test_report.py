"""The report: on made-up searches, on a user's odd folders, and as the command writes it."""

import csv
import re
import shutil
import warnings
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from experimenting import FakeSearches
from madeup import HOSTILE, make_folder

from artsearch.base.errors import ArtsearchError
from artsearch.cli.commands import main
from artsearch.evaluate import report as module
from artsearch.evaluate.estimates import COLUMNS
from artsearch.evaluate.report import find_repainted, make_report
from artsearch.features.features import Features
from artsearch.show.report_page import write
from artsearch.works.collection import Collection

ROOT = Path(__file__).parents[2]


class Colours:
    """An extractor whose only layer is the colours of a picture."""

    precision = "exact"
    runner = SimpleNamespace(batch_size=8)

    def preprocess(self, image):
        return np.asarray(image.resize((3, 3)))

    def rows(self, inputs):
        return {"colours": np.stack(inputs).reshape(len(inputs), -1).astype(np.float32)}

    def with_crop(self, crop):
        return self


class ByColour(FakeSearches):
    """Searches by the colours of the pictures, in place of a network's."""

    def __init__(self, collection, networks, crops, out, progress):
        super().__init__(collection.works, {}, crops=crops)
        self.collection = collection

    def extract(self):
        self.features("", "")

    def features(self, network, crop):
        inputs = [Colours().preprocess(self.collection.open(id)) for id in self.collection]
        skipped = (("torn <b>.jpg", "cannot read 'torn'"),)
        return Features(Colours().rows(inputs)["colours"], self.collection.ids, {}, skipped)

    def extractor(self, network, crop, blend=False):
        return Colours()

    def descriptors(self, network, crop):
        features = self.features(network, crop)
        blend = SimpleNamespace(at=lambda place: features)
        rows = {"features": features, "rows": lambda by_layer: by_layer["colours"]}
        ours = SimpleNamespace(**rows, blend=blend)
        return {"final": SimpleNamespace(**rows)} | dict.fromkeys(
            ("content", "blend", "style"), ours
        )


@pytest.fixture
def by_colour(monkeypatch):
    monkeypatch.setattr(module, "Searches", ByColour)
    monkeypatch.setattr("artsearch.evaluate.estimates.RESAMPLES", 500)  # a tenth of the time


def fill(folder, number=12, titles=None, **columns):
    """Make a folder of pictures whose table has these columns, one value a picture."""
    make_folder(folder, titles or [f"work {n}" for n in range(number)])
    table = pd.read_csv(folder / "works.csv", dtype=str)[["file", "title"]]
    table.assign(**columns).to_csv(folder / "works.csv", index=False)
    return folder


@pytest.fixture
def repainted(tmp_path):
    """Nine works: three contents in three manners, which the colours know nothing of."""
    contents, manners = zip(*[(a, b) for a in "abc" for b in "xyz"], strict=True)
    return fill(tmp_path / "nine", 9, content=contents, manner=manners)


def report_on(folder, repainted, **options):
    options = {"sample": 2, "k": 3, "progress": False} | options
    return make_report(folder, "any", ["no_crop"], repainted, **options)


def read_metrics(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def text_of(page):
    """Return what a page says, without its tags."""
    return " ".join(re.sub("<[^>]*>", " ", page.partition("</style>")[2]).split())


def test_the_whole_report(by_colour, repainted, tmp_path):
    styles = [f"style {n % 3}" for n in range(12)]
    artists = [f"artist {n % 6}" for n in range(12)]
    folder = fill(tmp_path / "mine", style=styles, artist=artists, museum=["A", "B"] * 6)
    crops = ["no_crop", "center_crop"]
    made = report_on(folder, repainted)
    both = make_report(folder, "any", crops, repainted, sample=2, k=3, progress=False)
    path = write(both, tmp_path / "out")
    header, *rows = read_metrics(path.with_name("metrics.csv"))
    assert header == COLUMNS
    labels = {row[3] for row in rows}
    assert {"content", "manner", "style", "artist", "museum", "blur", "detail of 25 %"} < labels
    assert {row[2] for row in rows if row[3] == "style"} == {
        *("final", "content", "blend", "style", "final, csls", "blend, csls", "chance")
    }
    assert all((row[5] == "") == (row[4] == "map") for row in rows)
    assert {row[6] for row in rows if row[3] == "style"} == {"yes", "no"}
    assert len(made.table) < len(both.table)
    page = path.read_text("utf-8")
    headings = ["In short", "Content and manner", "Labels", "Altered works", "Details"]
    headings += ["Center crop against no crop", "Agreement", "Everyone’s neighbours"]
    headings += ["Notes, and what could not be measured", "What was run"]
    assert re.findall("<h2>(.*?)</h2>", page) == headings
    assert "Torn &lt;b&gt;.jpg could not be read: cannot read &#39;torn&#39;." in page
    assert page.count('class="figure"') == 2  # a crop each
    said = text_of(page)
    assert "the blend has 1.00 × the article&#39;s style precision" in said
    assert "Networks: one that nobody trained." in said
    assert "Same style, works by the same artist left out" in said


def test_figures_keep_all_their_digits(by_colour, repainted, tmp_path):
    made = report_on(fill(tmp_path / "mine", style=["a", "b", "c"] * 4), repainted)
    path = write(made, tmp_path / "out").with_name("metrics.csv")
    read = pd.read_csv(path, dtype={"k": "Int64"}, keep_default_na=False, na_values={"value": ""})
    assert read["value"].tolist() == made.table["value"].tolist()


class Tags(HTMLParser):
    """Counts the tags of a page."""

    def __init__(self, page):
        super().__init__()
        self.seen = Counter()
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.seen[tag] += 1
        names = [name for name, _ in attributes]
        self.seen["handlers"] += sum(name.startswith("on") or name == "style" for name in names)


def test_captions_and_labels_that_would_do_harm_are_text(by_colour, repainted, tmp_path):
    hostile = "<script>document.title='broken in'</script>"
    folder = fill(
        tmp_path / "<i>mine</i>",
        len(HOSTILE),
        titles=HOSTILE,
        style=["$name <b>bold</b>", "other"] * 3 + ["other"],
    )
    table = pd.read_csv(folder / "works.csv")
    table.assign(**{hostile: ["one", "two"] * 3 + ["one"]}).to_csv(
        folder / "works.csv", index=False
    )
    page = write(report_on(folder, repainted), tmp_path / "out").read_text("utf-8")
    seen = Tags(page).seen
    assert not {"script", "i", "svg"} & set(seen)
    assert seen["handlers"] == 0
    assert seen["title"] == 1
    assert "&lt;script&gt;" in page  # the label
    assert "&lt;i&gt;mine&lt;/i&gt;" in page
    assert "document.title" in page  # a caption
    assert "img-src data:" in page


NO_LABEL = "how works of the same style find each other cannot be measured"


@pytest.mark.parametrize(
    ("number", "columns", "said"),
    [
        (12, {}, [f"Labels: {NO_LABEL}: no work has a style"]),
        (12, {"style": ["one"] * 12}, ["have the same, &#39;one&#39;, so no answer is wrong"]),
        (12, {"style": [*"aabbccddeef", ""]}, ["1 of 12 works have no style", "1 of 6 styles"]),
        (3, {"style": [*"aab"]}, ["no query has 3 works to rank", "k is 2 in place of 3"]),
        (2, {"style": [*"aa"]}, ["have the same", "k is 1 in place of 3"]),
        (1, {"style": ["a"]}, ["there is no other work to rank", "holds one work"]),
    ],
)
def test_what_cannot_be_measured_is_said_and_the_rest_is(
    by_colour, repainted, tmp_path, number, columns, said
):
    folder = fill(tmp_path / "mine", number, **columns)
    path = write(report_on(folder, repainted), tmp_path / "out")
    notes = text_of(path.read_text("utf-8")).partition("Notes, and what could")[2]
    assert [one for one in said if one not in notes] == []
    labels = {row[3] for row in read_metrics(path.with_name("metrics.csv"))}
    assert {"content", "manner"} < labels
    assert ("blur" in labels) == (number > 1)


def test_a_part_that_fails_costs_no_other(by_colour, repainted, tmp_path, monkeypatch):
    def fail(*_):
        raise ArtsearchError("the cat sat on it")

    monkeypatch.setattr(module, "agreement", fail)
    monkeypatch.setattr(module, "content_and_manner", lambda *_, **__: fail())
    made = report_on(fill(tmp_path / "mine", style=["a", "b", "c"] * 4), repainted)
    assert "Agreement: the cat sat on it" in made.notes
    assert made.verdicts == []
    page = write(made, tmp_path / "out").read_text("utf-8")
    assert "<h2>Labels</h2>" in page
    assert "<h2>Agreement</h2>" not in page
    assert "Agreement: the cat sat on it." in text_of(page)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": ["stile"]}, "unknown label 'stile'; did you mean 'style'"),
        ({"k": 0}, "k is 0; take a whole number from 1 on"),
        ({"sample": 0}, "sample is 0"),
    ],
)
def test_what_is_asked_wrongly_is_said_at_once(by_colour, tmp_path, options, said):
    with pytest.raises(ArtsearchError, match=re.escape(said)):
        report_on(fill(tmp_path / "mine"), None, **options)


def test_a_report_takes_the_place_of_an_older_one(by_colour, repainted, tmp_path):
    folder = fill(tmp_path / "mine", style=["a", "b", "c"] * 4)
    options = {"crops": ["no_crop"], "repainted": repainted, "sample": 1, "progress": False}
    for _ in range(2):
        path = write(make_report(folder, "any", **options), tmp_path / "out")
    assert sorted(one.name for one in path.parent.iterdir()) == ["metrics.csv", "report.html"]


def test_content_and_manner_are_of_the_works_that_have_them(repainted, tmp_path):
    mine = Collection(repainted)
    assert find_repainted(mine) is mine
    assert find_repainted(Collection(fill(tmp_path / "mine")), repainted).name == "nine"
    shipped = find_repainted(Collection(ROOT / "data/paintings"))
    assert (len(shipped), shipped.name) == (441, "repainted")
    # The shipped folder as a whole has both columns too, for some of its works.
    assert len(find_repainted(Collection(ROOT / "data"))) == 441


@pytest.fixture
def run(monkeypatch):
    """Run the command as a shell in the project's folder would."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # the command has its own
    return lambda *words: CliRunner().invoke(main, ["evaluate", *words])


def test_the_command_on_the_shipped_paintings(run, one_thread, tmp_path):
    few = tmp_path / "few repainted"
    few.mkdir()
    table = pd.read_csv(ROOT / "data/repainted/works.csv", dtype=str)
    names = sorted(set(table["content"]))[:5]
    table = table[table["content"].isin(names) & table["manner"].isin(names)]
    for name in table["file"]:
        shutil.copy(ROOT / "data/repainted" / name, few)
    table.to_csv(few / "works.csv", index=False)
    done = run(
        *("data/paintings", "--networks", "efficientnet_lite0", "--crops", "no_crop"),
        *("--sample", "2", "--repainted", str(few), "--labels", "style,artist"),
        *("--cache", str(tmp_path / "build"), "--out", str(tmp_path / "out")),
    )
    assert done.exit_code == 0, done.output
    assert "EfficientNet-Lite0 sees content: " in done.stdout
    assert "× the article's style precision" in done.stdout
    assert f"{tmp_path / 'out' / 'report.html'}" in done.stdout
    rows = read_metrics(tmp_path / "out/metrics.csv")
    assert rows[0] == COLUMNS
    assert {row[0] for row in rows[1:]} == {"efficientnet_lite0"}
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert "25 works of few repainted" in page
    assert "4 of 8 styles have one work only" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "'nowhere' does not exist; name a folder of images"),
        (["data/paintings", "--networks", "vg16"], "did you mean 'vgg16'?"),
        (["data/paintings", "--labels", "stile"], "did you mean 'style'?"),
    ],
)
def test_errors_of_the_command_are_one_sentence(run, words, said, tmp_path):
    done = run(*words, "--out", str(tmp_path / "out"))
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert said in done.stderr


def test_where_it_cannot_write_it_says_so_before_it_computes(run, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("nowhere", "--out", str(tmp_path / "file" / "out"))
    assert done.exit_code == 1
    assert re.match("Error: cannot write .*file.*; name another folder", done.stderr)


def test_make_has_the_target():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"^evaluate: .*## ", makefile, re.M)
    assert " evaluate " in re.search(r"^\.PHONY: .*$", makefile, re.M)[0]
