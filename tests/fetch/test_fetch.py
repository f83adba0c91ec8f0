"""Works of a museum into a folder: complete after any accident, and harmless whatever it says."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import filelock
import numpy as np
import pytest
from click.testing import CliRunner
from hostile import BROKEN_EXIF, NAMES, STORED, encode, png
from loopback import Answer, closed_address
from madeup import HOSTILE
from museum import MUSEUMS as MUSEUM_NAMES
from museum import Museum
from PIL import Image
from tiers import slow

from artsearch import ArtsearchError, Collection
from artsearch.base.http import Client, FetchError
from artsearch.cli.commands import Commands
from artsearch.fetch.command import fetch as fetch_command
from artsearch.fetch.folder import FIRST, clean, known, name_file
from artsearch.fetch.items import Fetched, Item, fetch
from artsearch.fetch.museums import MUSEUMS
from artsearch.works.table import read_works_csv

# Of what is broken on purpose; pytest puts its filter over that of artsearch.works.images.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.fixture
def server(paintings):
    with Museum(paintings) as server:
        yield server


@pytest.fixture
def bring(server, tmp_path):
    """Fetch from the made-up Met into a folder, with a client that is quick to give up."""

    def bring(out=tmp_path / "out", count=None, **settings):
        client = Client(
            10_000, retries=3, timeout=1, pause=0.005, most_seconds=2, most_bytes=2_000_000
        )
        items = museum("met", server.base("met")).items(client, known=known(out))
        return fetch(items, out, count=count, client=client, progress=False, **settings)

    return bring


def open_quietly(folder: Path) -> Collection:
    """Open a folder as a collection; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Collection(folder)


def museum(name: str, base: str):
    """Return a museum's source that asks at another address."""
    return replace(MUSEUMS[name], base=base)


def item(key: str, picture: bytes | str | Path, **about) -> Item:
    return Item(key, picture, about)


@pytest.fixture
def small() -> bytes:
    """A small picture as a file."""
    return encode(Image.new("RGB", (30, 20), "red"), "PNG")


def test_a_museums_works_become_a_collection(bring, server, tmp_path):
    fetched = bring()
    assert (fetched.added, fetched.kept, fetched.skipped) == (21, 0, [])
    assert fetched.report() == f"21 works added to {str(tmp_path / 'out')!r}"
    works = open_quietly(tmp_path / "out").works
    assert list(works.columns[:5]) == ["id", "artist", "title", "year", "style"]
    for work in server.works:
        row = works[works["title"] == work.title].iloc[0]
        assert (row["artist"], row["year"], row["licence"]) == (
            work.artist,
            work.year,
            "CC0 (public domain)",
        )
        assert row["source"] == f"https://www.metmuseum.org/art/collection/search/{work.number}"
        assert row["medium"] == "Oil on canvas"
    assert "leonardo-da-vinci_mona-lisa_" in " ".join(works["id"])


def test_pictures_have_one_size_and_none_is_enlarged(tmp_path, noise):
    sizes = {"wide": (2000, 500), "high": (500, 2000), "small": (300, 200), "just": (1024, 8)}
    items = [item(name, encode(noise(*size), "PNG"), title=name) for name, size in sizes.items()]
    fetch(items, tmp_path / "out", progress=False)
    found = {}
    for path in (tmp_path / "out").glob("*.jpg"):
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            found[path.name.partition("_")[0]] = image.size
    assert found == {
        "wide": (1024, 256),
        "high": (256, 1024),
        "small": (300, 200),
        "just": (1024, 8),
    }
    fetch(items[:1], tmp_path / "tiny", side=100, progress=False)
    assert Image.open(next((tmp_path / "tiny").glob("*.jpg"))).size == (100, 25)


def test_pictures_stand_upright_in_the_colours_of_a_screen(tmp_path):
    upright = Image.new("RGB", (64, 32), "red")
    upright.paste("blue", (0, 0, 32, 32))
    for orientation, store in STORED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = Image.fromarray(np.ascontiguousarray(store(np.asarray(upright))))
        data = encode(stored, "TIFF", exif=exif)
        fetch([item("a", data)], tmp_path / str(orientation), progress=False)
        image = Image.open(next((tmp_path / str(orientation)).glob("*.jpg")))
        assert image.size == (64, 32)
        assert image.getpixel((4, 16))[2] > 200 > image.getpixel((60, 16))[2]
    fetch([item("a", encode(upright.convert("CMYK"), "JPEG"))], tmp_path / "cmyk", progress=False)
    assert Image.open(next((tmp_path / "cmyk").glob("*.jpg"))).mode == "RGB"


def test_a_second_run_asks_for_no_picture_and_no_work(bring, server, tmp_path):
    bring()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    server.asked.clear()
    fetched = bring()
    assert (fetched.added, fetched.kept) == (0, 21)
    assert [line.partition("?")[0] for line in server.asked] == ["GET /met/v1.1/search"]
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}


def test_a_count_is_of_the_works_in_the_folder_in_all(bring, server, tmp_path):
    for count, added in ((5, 5), (5, 0), (3, 0), (12, 7)):
        server.asked.clear()
        fetched = bring(count=count)
        assert fetched.added == added
        assert len(server.pictures_asked()) == added
        assert len(server.asked) == 0 if not added else len(server.asked) > added
    assert len(open_quietly(tmp_path / "out")) == 12
    report = bring(count=50).report()
    assert report.endswith("12 were there already; the source has no more of the 50")


def test_no_more_than_the_count_is_asked_for(bring, server):
    server.works[1].free = False
    bring(count=2)
    assert [line.rpartition("/")[2] for line in server.pictures_asked()] == ["100.jpg", "102.jpg"]


@pytest.mark.parametrize("every", [2, 3])
def test_all_works_come_from_a_server_that_fails_so_often(every, server, tmp_path):
    server.fail_every = every
    client = Client(10_000, retries=6, timeout=5, pause=0.001)
    items = museum("met", server.base("met")).items(client)
    fetched = fetch(items, tmp_path / "out", client=client, progress=False)
    assert (fetched.added, fetched.skipped) == (21, [])
    assert len(open_quietly(tmp_path / "out")) == 21


def test_what_a_server_sends_in_place_of_a_picture_is_left_out_with_the_reason(bring, server):
    bomb = png(60_000, 60_000, 8, 0, b"")
    broken = {
        0: (Answer(b"<html><img src=x></html>"), "not a JPEG, PNG, WebP"),
        1: (Answer(server.works[1].picture.body[:200]), "cannot read the 200 bytes"),
        2: (Answer(server.works[2].picture.body, way="truncated"), "broke off"),
        3: (Answer(server.works[3].picture.body, way="trickled"), "not there after 2 seconds"),
        4: (Answer(status=404), "answered 404 Not Found"),
        5: (Answer(bomb), "more than 178 million pixels"),
        6: (Answer(b"x" * 2_100_000), "has more than 1.91 MB"),
        7: (Answer(status=302, headers={"Location": "file:///etc/passwd"}), "not an http or https"),
        8: (Answer(status=302, headers={"Location": "ftp://a/b"}), "not an http or https address"),
        9: (Answer(status=429, headers={"Retry-After": "31536000"}), "asks to come back"),
        10: (Answer(b""), "cannot read the 0 bytes"),
        11: (Answer(b"\xff\xd8\xff\xe0" + b"\0" * 5000), "cannot read the 5,004 bytes"),
        12: (Answer(b'<svg xmlns="http://www.w3.org/2000/svg"/>'), "not a JPEG"),
        13: (Answer(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "not a JPEG"),
    }
    for place, (answer, _) in broken.items():
        server.works[place].picture = answer
    said = []
    fetched = bring(say=said.append)
    assert fetched.added == 7
    assert [key for key, _ in fetched.skipped] == [f"met/{100 + place}" for place in broken]
    for (key, reason), (_, expected) in zip(fetched.skipped, broken.values(), strict=True):
        assert expected in reason
        assert f"skipped: {key!r}: {reason}" in said
    assert len(open_quietly(fetched.folder)) == 7
    assert len(list(fetched.folder.glob("*.jpg"))) == 7


def test_what_was_left_out_is_tried_again_by_the_next_run(bring, server, tmp_path):
    sound = server.works[4].picture
    server.works[4].picture = Answer(status=404)
    assert bring().added == 20
    server.works[4].picture = sound
    server.asked.clear()
    assert bring().added == 1
    assert server.pictures_asked() == ["GET /images/104.jpg"]
    assert len(read_works_csv(tmp_path / "out" / "works.csv")) == 21


def test_works_under_copyright_are_left_out_and_listed(bring, server):
    server.works[2].free = False
    server.works[5].more = {"isPublicDomain": False}  # with a picture all the same
    fetched = bring()
    assert fetched.added == 19
    reason = "the museum does not mark it as free to use"
    assert fetched.skipped == [("met/102", reason), ("met/105", reason)]
    assert not any("105.jpg" in line for line in server.pictures_asked())


def test_a_source_that_serves_us_no_more_is_left_in_peace_and_what_came_is_kept(bring, server):
    served = server.answer
    server.answer = lambda path: served(path) if len(server.asked) <= 10 else Answer(status=403)
    with pytest.raises(FetchError, match="403 Forbidden; 4 works are in .* same command goes on"):
        bring()
    assert len(server.asked) == 10 + 5
    server.answer = served
    fetched = bring()
    assert (fetched.added, fetched.kept) == (17, 4)


def test_a_source_that_fails_at_once_ends_with_a_sentence(bring, server, tmp_path):
    server.put("/met/v1.1/search?offset=0&limit=500&hasImages=true&q=%2A", status=500)
    with pytest.raises(FetchError, match="answered 500 Internal Server Error; 0 works are in"):
        bring()
    client = Client(1000, retries=1, pause=0.01)
    with pytest.raises(FetchError, match="127.0.0.1 cannot be reached; 0 works"):
        items = museum("cleveland", closed_address()).items(client)
        fetch(items, tmp_path / "out", client=client, progress=False)
    server.answers.clear()
    assert bring().added == 21


def test_a_source_without_such_works_says_so(bring, server, tmp_path):
    with pytest.raises(ArtsearchError, match="has no such work; ask for something else"):
        fetch([], tmp_path / "a", progress=False)
    with pytest.raises(ArtsearchError, match="none of 2 works could be had; the first: lost"):
        fetch([Item("a", "", {}, "lost"), Item("b", "", {})], tmp_path / "b", progress=False)


SCRIPT = """
import sys
from artsearch.fetch.items import fetch
from artsearch.fetch.folder import known
from dataclasses import replace
from artsearch.fetch.museums import MUSEUMS
from artsearch.base.http import Client
base, out = sys.argv[1:]
client = Client(10_000)
items = replace(MUSEUMS["met"], base=base).items(client, known=known(out))
fetch(items, out, client=client, progress=False)
"""


@pytest.mark.parametrize("times", [3, slow(10)])
def test_killed_at_random_moments_it_is_complete_in_the_end(server, tmp_path, times):
    out, moments = tmp_path / "out", random.Random(0)
    server.delay = 0.01
    command = [sys.executable, "-c", SCRIPT, server.base("met"), str(out)]
    for _ in range(times):
        before, wanted = len(server.asked), moments.randint(1, 7)
        with subprocess.Popen(command, stderr=subprocess.PIPE) as run:
            while len(server.asked) < before + wanted and run.poll() is None:
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.06))
            assert run.poll() is None, run.stderr.read()
            run.send_signal(signal.SIGKILL)
        pictures = list(out.glob("*.jpg"))
        for path in pictures:
            Image.open(path).load()
        if pictures:
            open_quietly(out)
    assert 0 < len(known(out)) < 21
    there = {path.name for path in out.glob("*.jpg")}
    subprocess.run(command, check=True, timeout=60)
    works = open_quietly(out)
    assert sorted(works.works["title"]) == sorted(work.title for work in server.works)
    assert there <= set(works.ids) and len(works) == 21
    assert {path.name for path in out.iterdir() if path.name.startswith(".")} <= {
        ".fetch.jsonl",
        ".fetch.lock",
    }
    # A picture is asked for once, and once more where a kill came before it was noted.
    assert len(server.pictures_asked()) <= 21 + times
    server.asked.clear()
    subprocess.run(command, check=True, timeout=60)
    assert server.pictures_asked() == []


def test_stopped_by_hand_it_is_tidy_and_says_how_to_go_on(bring, server, tmp_path):
    def items():
        for place in range(3):
            yield item(f"k/{place}", server.works[place].picture.body, title=str(place))
        raise KeyboardInterrupt

    said = []
    with pytest.raises(KeyboardInterrupt):
        fetch(items(), tmp_path / "out", progress=False, say=said.append)
    assert said == [
        f"stopped: 3 works are in {str(tmp_path / 'out')!r}, and the same command goes on there"
    ]
    assert len(read_works_csv(tmp_path / "out/works.csv")) == 3
    assert len(open_quietly(tmp_path / "out")) == 3
    fetch([item("k/9", server.works[9].picture.body)], tmp_path / "out", progress=False)


def test_a_torn_or_spoiled_journal_costs_no_more_than_a_work(bring, server, tmp_path):
    bring(count=6)
    journal = tmp_path / "out" / ".fetch.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = b"\0" * len(lines[2][:-1]) + b"\n"
    lines[3] = b'{"key": "met/102", "row": {"file": "../../escape.jpg"}}\n'
    lines[4] = b'[["deep"], null]\n'
    journal.write_bytes(b"".join(lines)[:-20])
    server.asked.clear()
    fetched = bring(count=6)
    assert (fetched.kept, fetched.added) == (2, 4)
    assert len(open_quietly(tmp_path / "out")) == 6
    server.asked.clear()
    assert bring(count=6).added == 0
    journal.write_bytes(b"")
    assert bring(count=6).added == 6
    journal.write_text('{"format": 99}\n')
    with pytest.raises(ArtsearchError, match="is no journal that this version can read"):
        bring()


def test_a_picture_that_is_gone_comes_back(bring, server, tmp_path):
    bring(count=4)
    gone = next((tmp_path / "out").glob("*lion*.jpg"))
    gone.unlink()
    fetched = bring(count=4)
    assert (fetched.kept, fetched.added) == (3, 1)
    assert gone.is_file()
    gone.unlink()
    server.works[0].picture = Answer(status=404)
    bring(count=3)
    assert len(read_works_csv(tmp_path / "out/works.csv")) == 3
    assert len(open_quietly(tmp_path / "out")) == 3


def test_what_was_written_into_the_table_by_hand_stays(bring, paint, tmp_path):
    bring(count=3)
    table = tmp_path / "out" / "works.csv"
    lines = table.read_text("utf-8").splitlines()
    lines = [line + (";note" if n == 0 else ";mine") for n, line in enumerate(lines)]
    text = "\n".join(line.replace(",", ";") for line in lines).replace("Lion", "A lion, seated")
    paint("out/mine.png")
    table.write_text(f"{text}\nmine.png;Me;My own\n", "utf-8")
    bring(count=5)
    works = open_quietly(tmp_path / "out").works.set_index("title")
    assert works.loc["A lion, seated", "note"] == "mine"
    assert works.loc["My own", "artist"] == "Me"
    assert len(works) == 6
    table.write_bytes(b"\xff\xfe broken")
    with pytest.raises(ArtsearchError, match="cannot be read as a table"):
        bring(count=7)
    assert table.read_bytes() == b"\xff\xfe broken"


def test_what_is_changed_by_hand_during_a_run_stays(small, tmp_path):
    def items():
        yield item("a", small, title="Before")
        fetch_table = tmp_path / "out" / "works.csv"
        fetch_table.write_text("file,title\nelse.png,Mine\n")
        (tmp_path / "out" / "else.png").write_bytes(small)
        yield item("b", small, title="After")

    fetch(items(), tmp_path / "out", progress=False)
    assert set(open_quietly(tmp_path / "out").works["title"]) == {"Before", "After", "Mine"}


def test_a_folder_that_is_somebodys_own_is_refused_and_left_as_it_is(
    bring, server, paint, tmp_path
):
    paint("own/picture.png")
    (tmp_path / "own" / "works.csv").write_text("file,title\npicture.png,Mine\n")
    with pytest.raises(ArtsearchError, match="holds other things, such as 'picture.png'"):
        bring(out=tmp_path / "own")
    assert sorted(os.listdir(tmp_path / "own")) == ["picture.png", "works.csv"]
    assert (tmp_path / "own" / "works.csv").read_text() == "file,title\npicture.png,Mine\n"
    assert server.asked == []
    with pytest.raises(ArtsearchError, match="cannot use .*name another folder"):
        bring(out=tmp_path / "own" / "picture.png")
    with pytest.raises(ArtsearchError, match="no folder named"):
        fetch([], "", progress=False)


def test_hidden_files_alone_make_no_folder_somebodys_own(bring, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").write_bytes(b"x")
    assert bring(count=1).added == 1


def test_two_runs_into_one_folder_do_not_mix(bring, tmp_path):
    bring(count=1)
    with filelock.FileLock(tmp_path / "out" / ".fetch.lock"):
        with pytest.raises(ArtsearchError, match="another run is fetching into"):
            bring(count=2)
    assert bring(count=2).added == 1


def test_a_disk_that_is_full_costs_nothing_that_is_there(bring, small, tmp_path, monkeypatch):
    bring(count=2)

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtsearchError, match=r"cannot use .* \(No space left on device\)"):
        bring(count=3)
    monkeypatch.undo()
    assert len(open_quietly(tmp_path / "out")) == 2
    assert bring(count=3).added == 1
    assert not list((tmp_path / "out").glob(".*.part"))


def test_a_folder_that_may_not_be_written_is_named(bring, tmp_path, as_nobody):
    (tmp_path / "out").mkdir(mode=0o555)
    with as_nobody(), pytest.raises(ArtsearchError, match="cannot use .*Permission denied"):
        bring()


HARMFUL = (
    *HOSTILE,
    *NAMES,
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\system32\\a.dll",
    "\\\\server\\share",
    "NUL",
    "con.jpg",
    "a\0b",
    "\x1b[2J\x07",
    "=HYPERLINK(\"http://evil\",\"x\")",
    " \t=1+1",
    "+1+1",
    "@SUM(A1)",
    "-2+3",
    "\u200f\u202eabc",
    "\ud800 half",
    "'; DROP TABLE works; --",
    'a,"b";c\td\ne',
    "title" * 200_000,
    "é" * 1001,
    "",
    "   ",
    "Same title",
    "Same title",
    None,
    1889,
    2.5,
    float("nan"),
    10**400,
    True,
    ["oil", "canvas"],
    [],
    {"a": 1},
    [["nested"] * 3] * 3,
    b"bytes",
)  # fmt: skip


def test_hostile_texts_do_no_harm(small, tmp_path):
    items = [
        item(f"k/{number}", small, artist=text, title=text, year=text, style=text, source=text)
        for number, text in enumerate(HARMFUL)
    ]
    before = sorted(path for path in tmp_path.rglob("*"))
    fetch(items, tmp_path / "in" / "out", progress=False)
    out = tmp_path / "in" / "out"
    assert [p for p in sorted(tmp_path.iterdir()) if p not in before] == [tmp_path / "in"]
    assert list((tmp_path / "in").iterdir()) == [out]
    works = open_quietly(out)
    assert len(works) == len(HARMFUL)
    for name in works.ids:
        assert name.isascii() and len(name) <= 100
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
        assert name.count(".") == 1
    text = (out / "works.csv").read_bytes().decode("utf-8")
    assert not set(text) & {chr(n) for n in (*range(10), *range(11, 32), 127, 0x202E, 0x2028)}
    for cell in read_works_csv(out / "works.csv").to_numpy().ravel():
        assert len(cell) <= 1001 and cell == " ".join(cell.split())
        assert cell[:1] not in ("=", "+", "@") and (cell[:1] != "-" or cell == "-rf")
    assert "🎨🖼️ 星月夜" in set(works.works["title"])


def test_hostile_keys_do_no_harm(small, tmp_path):
    keys = [key for key in HARMFUL if isinstance(key, str)]
    fetched = fetch([item(key, small) for key in keys], tmp_path / "out", progress=False)
    assert fetched.added == len(set(keys)) == len(open_quietly(tmp_path / "out"))
    assert known(tmp_path / "out") == set(keys)
    assert fetch([item(key, small) for key in keys], tmp_path / "out", progress=False).added == 0
    said = []
    fetch([Item(key, "", {}, key or "?") for key in ("\x1b[2J" * 999, "a\nb")], tmp_path / "out",
          progress=False, say=said.append)  # fmt: skip
    assert all(len(line) < 2100 and line.isprintable() for line in said)


def test_hostile_columns_do_no_harm(small, tmp_path):
    about = {name: "said" for name in HARMFUL if isinstance(name, str)}
    about |= {
        "file": "../../x.jpg",
        "FILE": "y.jpg",
        "id": "z",
        "a;;;;;;;;;;;;;;b": "1",
        "Medium ": "2",
    }
    fetch([Item("a", small, about)], tmp_path / "out", progress=False)
    table = read_works_csv(tmp_path / "out" / "works.csv")
    assert tuple(table.columns[: len(FIRST)]) == FIRST
    assert (table["file"][0], table["medium"][0]) == (name_file("a"), "2")
    assert open_quietly(tmp_path / "out").ids == [name_file("a")]


def test_pictures_with_spoiled_metadata_come(tmp_path, noise):
    items = [item(str(n), encode(noise(8, 8), "JPEG", exif=e)) for n, e in enumerate(BROKEN_EXIF)]
    assert fetch(items, tmp_path / "out", progress=False).added == len(BROKEN_EXIF)


def test_names_are_the_same_for_ever_and_no_two_alike():
    assert name_file("a", "Édouard Manet", "星月夜") == name_file("a", "Édouard Manet", "星月夜")
    assert name_file("a", "Édouard Manet", "x").startswith("edouard-manet_x_")
    assert name_file("a", "Manet", "x") != name_file("b", "Manet", "x")
    for name in ("CON", "nul", "LPT1", "aux.jpg", "."):
        assert len(Path(name_file("k", name)).stem) > 11


def test_numbers_in_a_table_stay_numbers():
    assert [clean(text) for text in ("-500", -500, "1889", "c. 1889")] == [
        "-500", "-500", "1889", "c. 1889"
    ]  # fmt: skip


def test_local_files_are_taken_as_pictures(paintings, tmp_path):
    items = [item(path.name, path) for path in sorted(paintings.glob("*.jpg"))[:3]]
    items += [item("gone", tmp_path / "gone.jpg"), item("folder", tmp_path)]
    items += [item("text", "/etc/passwd"), item("address", f"file://{paintings}")]
    fetched = fetch(items, tmp_path / "out", progress=False)
    assert fetched.added == 3
    assert [key for key, _ in fetched.skipped] == ["gone", "folder", "text", "address"]


def test_works_csv_is_there_while_a_run_goes_on(small, tmp_path):
    seen = []

    def items():
        for number in range(60):
            table = tmp_path / "out" / "works.csv"
            seen.append(len(read_works_csv(table)) if table.exists() else 0)
            yield item(str(number), small)

    fetch(items(), tmp_path / "out", progress=False)
    assert seen[20] == 20 and seen[45] == 40
    assert len(read_works_csv(tmp_path / "out" / "works.csv")) == 60


def test_progress_is_shown(small, tmp_path, capsys):
    fetch([item("a", small)], tmp_path / "out")
    fetch([item("a", small), item("b", small)], tmp_path / "out", count=2)
    fetch([item("a", small)], tmp_path / "out", count=2)
    assert capsys.readouterr().err.count("fetch: 1 works in") == 2


def test_a_count_or_side_that_is_no_number_is_refused(tmp_path):
    for wrong in ({"count": 0}, {"count": 1.5}, {"side": 0}, {"side": True}):
        with pytest.raises(ArtsearchError, match="take a whole number"):
            fetch([], tmp_path / "out", progress=False, **wrong)
    assert not (tmp_path / "out").exists()


def test_a_report_is_a_sentence():
    fetched = Fetched(Path("a"), added=2, kept=1, skipped=[("k", "gone")])
    assert fetched.report() == "2 works added to 'a', 1 were there already, 1 left out"


@pytest.fixture
def command(server, monkeypatch):
    """Run `fetch` as on a command line, with the museums on this machine."""
    for name, one in MUSEUMS.items():
        monkeypatch.setitem(MUSEUMS, name, replace(one, base=server.base(name), rate=10_000))

    def command(*words):
        group = Commands(commands={"fetch": fetch_command})
        return CliRunner().invoke(group, ["fetch", *map(str, words)])

    return command


@pytest.mark.parametrize("name", MUSEUM_NAMES)
def test_the_command_brings_works_of_a_museum(name, command, server, tmp_path):
    server.works[0].free = False
    out = tmp_path / "out"
    answer = command(name, "--out", out, "--count", 4, "--side", 64)
    assert answer.exit_code == 0, answer.output
    if name != "nga":  # whose tables have all works
        assert re.search(f"skipped: '{name}/(KMS)?100': the museum does not mark", answer.output)
        assert f"4 works added to {str(out)!r}, 1 left out" in answer.output
    works = open_quietly(out)
    assert {max(works.open(id).size) for id in works} == {64}
    answer = command(name, "--out", out, "--query", "hokusai", "--artist", "katsushika")
    assert answer.exit_code == 0, answer.output
    assert set(open_quietly(out).works["artist"]) >= {"Katsushika Hokusai"}


def test_the_command_says_in_a_sentence_what_is_wrong(command, paint, tmp_path):
    out = tmp_path / "out"
    paint("own/a.png")
    for words, expected in (
        (("met", "--period", "long ago"), "Error: period 'long ago' is not from one year"),
        (("met", "--department", "Armor"), "Error: unknown department 'Armor'"),
        (("aic", "--query", "qqq"), "Error: the source has no such work; ask for something else"),
        (("aic", "--count", "0"), "0 is not in the range"),
        (("folder", tmp_path / "own", "--columns", "artist"), "Error: 'artist' is not a pair"),
    ):
        answer = command(*words, "--out", out)
        assert answer.exit_code != 0 and expected in answer.output
        assert "Traceback" not in answer.output
    answer = command("folder", tmp_path / "own", "--out", tmp_path / "own" / "out")
    assert "lies in" in answer.output and "name a folder outside it" in answer.output


def test_the_command_takes_ones_own_folder_with_a_table_of_any_form(command, paint, tmp_path):
    for name in ("Löwe.png", "b/Welle.PNG", "ohne.png"):
        paint(f"own/{name}")
    table = tmp_path / "list.csv"
    table.write_text("Datei;Gemalt von;Titel\nLöwe;Dürer;Ein Löwe\nfort;;\nWelle.png;Hokusai;\n")
    out = tmp_path / "out"
    words = ("folder", tmp_path / "own", "--table", table, "--columns", "artist=Gemalt von")
    answer = command(*words, "--out", out)
    assert answer.exit_code == 0, answer.output
    assert "row without a file: 'fort'\nfile without a row: 'ohne.png'\n" in answer.output
    assert "3 works added to" in answer.output
    works = open_quietly(out).works
    assert set(works["artist"]) == {"Dürer", "Hokusai", ""}
    assert "1 works" not in command(*words, "--out", out).output


def test_the_command_takes_a_iiif_manifest(command, server, tmp_path):
    picture = server.put("/picture.jpg", server.works[0].picture.body)
    manifest = {
        "@context": "http://iiif.io/api/presentation/2/context.json",
        "@id": f"{server.url}/manifest.json",
        "@type": "sc:Manifest",
        "label": "A lion",
        "sequences": [{"canvases": [{"images": [{"resource": {"@id": picture}}]}]}],
    }
    address = server.put("/manifest.json", json.dumps(manifest).encode())
    answer = command("iiif", address, "--out", tmp_path / "out")
    assert answer.exit_code == 0, answer.output
    assert open_quietly(tmp_path / "out").works["title"].tolist() == ["A lion"]


def test_the_command_names_a_dataset_that_is_none(command, tmp_path):
    (tmp_path / "data").mkdir()
    words = ("wikiart", "--dataset", tmp_path / "data", "--where", "style=Ukiyo-e", "--count", 3)
    answer = command(*words, "--out", tmp_path / "out")
    assert answer.exit_code == 1 and "Error: " in answer.output
    assert str(tmp_path / "data") in answer.output


def test_the_journal_has_a_line_for_each_work(bring, tmp_path):
    bring(count=2)
    lines = (tmp_path / "out" / ".fetch.jsonl").read_text().splitlines()
    assert [json.loads(line).get("key") for line in lines] == [None, "met/100", "met/101"]
