"""Folders and tables as people really have them, good and bad."""

import os
import shutil
import tempfile
import unicodedata
import warnings
from pathlib import Path

import pytest

from artsearch.base.errors import ArtsearchError, CollectionError
from artsearch.works.collection import Collection
from artsearch.works.formats import SUFFIXES
from artsearch.works.table import read_works_csv

MONA_LISA = "leonardo-da-vinci_mona-lisa.jpg"


def write_table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "works.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def open_quietly(folder: Path) -> Collection:
    """Open a collection that may not warn of anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Collection(folder)


# What is taken


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_in_any_case(tmp_path, paint, suffix):
    names = [f"lower{suffix}", f"mixed{suffix.title()}", f"upper{suffix.upper()}"]
    for name in names:
        shutil.move(paint(f"plain{suffix}", format="PNG"), tmp_path / name)
    collection = open_quietly(tmp_path)
    assert collection.ids == names
    assert all(collection.open(id).size == (8, 6) for id in collection)


def test_other_files_are_passed_over(tmp_path, paint):
    paint("a.png")
    for name in (".hidden.png", "._a.png", ".trash/b.png"):
        paint(name)
    for name in ("notes.txt", "a.png.bak", "png", "Thumbs.db"):
        (tmp_path / name).write_text("x")
    assert open_quietly(tmp_path).ids == ["a.png"]


def test_ids_are_relative_paths_in_sorted_order(tmp_path, paint):
    names = ["z.png", "b/c.png", "a.png", "b/a.png", "B.png", "b/c/d/e.png", "b.png"]
    for name in names:
        paint(name)
    assert open_quietly(tmp_path).ids == sorted(names)


def test_the_same_ids_however_the_folder_is_named(tmp_path, paint, monkeypatch):
    paint("sub/a.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    for name in (tmp_path, str(tmp_path), ".", "sub/..", link, "~"):
        assert Collection(name).ids == ["sub/a.png"], name
    assert Collection("sub").ids == ["a.png"]
    assert Collection(".").name == tmp_path.name


NAMES = [
    " leading and trailing .png",
    "quotes ' and \".png",
    "line\nend.png",
    "comma, semicolon; tab\t.png",
    "emoji 🎨.png",
    "dollar $x^2$ <b>.png",
    "a" * 250 + ".png",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names(tmp_path, paint, name):
    paint("plain.png").rename(tmp_path / name)
    quoted = name.replace('"', '""')
    write_table(tmp_path, f'file,artist,title\n"{quoted}",Somebody,A Title\n')
    collection = open_quietly(tmp_path)
    assert collection.ids == [name]
    assert collection.open(name).size == (8, 6)
    assert collection.caption(name) == "Somebody, A Title"


def test_a_name_of_bytes_that_are_no_utf8(tmp_path, paint):
    path = os.fsencode(paint("a.png").parent) + b"/caf\xe9.png"
    os.rename(tmp_path / "a.png", path)
    collection = open_quietly(tmp_path)
    assert collection.ids == [r"caf\xe9.png"]
    collection.ids[0].encode("utf-8")  # so that any table can store it
    assert collection.open(collection.ids[0]).size == (8, 6)
    assert len(collection.fingerprint()) == 16


def test_a_title_is_the_file_name_where_no_table_has_one(tmp_path, paint):
    paint("The_Great_Wave.png")
    paint("named.png")
    paint("line\nend.png")
    write_table(tmp_path, "file,title\nnamed.png,   \n")
    collection = open_quietly(tmp_path)
    assert collection.work("The_Great_Wave.png")["title"] == "The Great Wave"
    assert collection.caption("named.png") == "named"
    assert "\n" not in collection.caption("line\nend.png")


def test_links(tmp_path, paint):
    paint("works/a.png")
    (tmp_path / "works/circle").symlink_to(tmp_path / "works")
    (tmp_path / "works/dead.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "works/other.png").symlink_to(paint("elsewhere/b.png"))
    with pytest.warns(UserWarning, match="2 left out of works"):
        collection = Collection(tmp_path / "works")
    assert collection.ids == ["a.png", "other.png"]
    assert dict(collection.skipped).keys() == {"circle", "dead.png"}


def test_a_pipe_is_left_out_and_nothing_waits_for_it(tmp_path, paint):
    paint("a.png")
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "works.csv")
    with pytest.warns(UserWarning, match="pipe.png"):
        collection = Collection(tmp_path)
    assert collection.ids == ["a.png"]
    assert collection.fingerprint()


def test_a_folder_that_may_not_be_read_is_named(paintings, as_nobody):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(paintings / MONA_LISA, folder)
        locked = folder / "locked"
        locked.mkdir(mode=0)
        with as_nobody(), pytest.warns(UserWarning, match=r"locked.*Permission denied"):
            collection = Collection(folder)
        locked.chmod(0o755)
    assert collection.ids == [MONA_LISA]


# works.csv


def test_the_shipped_collection(paintings):
    collection = open_quietly(paintings)
    assert len(collection) == 21
    assert collection.caption(MONA_LISA).startswith("Leonardo da Vinci, Mona Lisa, 1")
    assert collection.works["licence"].eq("public domain").all()
    assert collection.works.columns[:5].tolist() == ["id", "artist", "title", "year", "style"]


def test_two_folders_each_with_its_table(tmp_path, paint):
    """As in data/, which holds paintings/ and repainted/."""
    for folder, column in (("paintings", "licence"), ("repainted", "manner")):
        paint(f"{folder}/a.png")
        write_table(tmp_path / folder, f"file,title,{column}\na.png,From {folder},x\n")
    collection = open_quietly(tmp_path)
    works = [collection.work(f"{folder}/a.png") for folder in ("paintings", "repainted")]
    assert [work["title"] for work in works] == ["From paintings", "From repainted"]
    assert [(work["licence"], work["manner"]) for work in works] == [("x", ""), ("", "x")]


def test_the_table_higher_up_wins(tmp_path, paint):
    paint("sub/a.png")
    paint("sub/b.png")
    write_table(tmp_path / "sub", "file,title\na.png,lower\nb.png,lower\n")
    write_table(tmp_path, "file,title\nsub/a.png,upper\n")
    collection = open_quietly(tmp_path)
    assert collection.works["title"].tolist() == ["upper", "lower"]


@pytest.mark.parametrize(
    "text",
    [
        "file,artist,title\na.png,Zoë,\"One, Two\"\n",
        "\ufefffile,artist,title\na.png,Zoë,\"One, Two\"\n",
        "file;artist;title\na.png;Zoë;One, Two\n",
        "file\tartist\ttitle\na.png\tZoë\tOne, Two\n",
        "file,artist,title\r\na.png,Zoë,\"One, Two\"\r\n",
        "file,artist,title\ra.png,Zoë,\"One, Two\"\r",
        " File , ARTIST,Title\na.png,Zoë,\"One, Two\"",
        "\n\nfile,artist,title\n\na.png,Zoë,\"One, Two\"\n,,\n\n",
        "artist,title,,,file,\nZoë,\"One, Two\",,,./a.png,\n",
        "id,file,artist,title\n17,a.png,Zoë,\"One, Two\"\n",
        "file,artist,title,artist\na.png,Zoë,\"One, Two\",Somebody else\n",
        "file,artist,title\n a.png ,Zoë,\"One, Two\"\n",
    ],
    ids=["plain", "BOM", "semicolons", "tabs", "CRLF", "CR", "header", "blanks", "empty columns",
         "id column", "column twice", "spaces"],
)  # fmt: skip
def test_tables_as_programs_write_them(tmp_path, paint, text):
    paint("a.png")
    write_table(tmp_path, text)
    work = open_quietly(tmp_path).work("a.png")
    assert (work["id"], work["artist"], work["title"]) == ("a.png", "Zoë", "One, Two")
    assert "" not in work


def test_every_value_stays_the_text_it_is(tmp_path, paint):
    paint("a.png")
    paint("b.png")
    write_table(tmp_path, "file,title,year,number\na.png,NA,0890,007\n")
    works = open_quietly(tmp_path).works
    assert works[["title", "year", "number"]].values.tolist() == [["NA", "0890", "007"],
                                                                  ["b", "", ""]]  # fmt: skip


@pytest.mark.parametrize("on_disk, in_table", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_match_however_they_are_composed(tmp_path, paint, on_disk, in_table):
    name = unicodedata.normalize(on_disk, "Dürer – Hasé.png")
    paint(name)
    write_table(tmp_path, f"file,title\n{unicodedata.normalize(in_table, name)},Hare\n")
    collection = open_quietly(tmp_path)
    assert collection.ids == [name]
    assert collection.work(name)["title"] == "Hare"


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "no column 'file'"),
        (b"\n\n", "no column 'file'"),
        (b"name,title\na.png,x\n", "no column 'file'.*'name', 'title'"),
        (b"file,title,File\na.png,x,y\n", "two columns 'file'"),
        ("file,title\na.png,x\n".encode("utf-16-le"), "no text in UTF-8"),
        (bytes(range(256)) * 20, "no text in UTF-8"),
        (b"PK\x03\x04" + bytes(100), "no text in UTF-8"),
        (b'file,title\n"a.png,x\n', "a quotation mark in line 2"),
        (b"file,title\na.png,One, Two\n", "2 columns, but its line 2 has 3.*'a.png'.*quotes"),
    ],
    ids=["empty", "blank", "no file", "two files", "utf-16", "bytes", "zip", "open quote",
         "ragged"],
)  # fmt: skip
def test_a_malformed_table_is_refused_in_one_line(tmp_path, paint, content, says):
    paint("sub/a.png")
    table = tmp_path / "sub" / "works.csv"
    table.write_bytes(content)
    with pytest.raises(CollectionError, match=says) as error:
        Collection(tmp_path)
    message = str(error.value)
    assert str(table) in message
    assert message.isprintable() and len(message) < 500
    assert any(step in message for step in ("remove it", "put quotes", "save it"))


def test_a_short_row_is_filled_up(tmp_path, paint):
    paint("a.png")
    write_table(tmp_path, "file,artist,title\na.png\n")
    assert open_quietly(tmp_path).work("a.png")["artist"] == ""


@pytest.mark.parametrize(
    "row, says",
    [
        ("missing.png", "the file is missing"),
        ("../outside.png", "outside the folder"),
        ("/etc/hostname", "outside the folder"),
        ("sub/../../outside.png", "outside the folder"),
        ("notes.txt", "not an image file"),
        ("sub", "not an image file"),
        ("a.png", "a second row"),
        ("./sub/../a.png", "a second row"),
        ("", "no file named"),
        ("nul\0.png", "the file is missing"),
        ("..two dots.png", "the file is missing"),
    ],
)
def test_a_row_without_its_file_is_reported_and_the_rest_goes_on(tmp_path, paint, row, says):
    paint("works/a.png")
    paint("works/sub/b.png")
    paint("outside.png")
    (tmp_path / "works/notes.txt").write_text("x")
    write_table(tmp_path / "works", f"file,title\na.png,First\n{row},Second\n")
    with pytest.warns(UserWarning, match=says) as caught:
        collection = Collection(tmp_path / "works")
    assert len(caught) == 1
    assert collection.ids == ["a.png", "sub/b.png"]
    assert collection.work("a.png")["title"] == "First"
    assert [name for name, _ in collection.skipped] == [row]


def test_an_absolute_path_inside_the_folder_is_taken(tmp_path, paint):
    write_table(tmp_path, f"file,title\n{paint('a.png')},Absolute\n")
    assert open_quietly(tmp_path).work("a.png")["title"] == "Absolute"


def test_a_long_table_with_few_images_gives_one_short_message(tmp_path, paint):
    original = paint("0.png")
    for number in range(1, 500):
        os.link(original, tmp_path / f"{number}.png")
    rows = "".join(f"{number}.png,Work {number}\n" for number in range(10_000))
    write_table(tmp_path, "file,title\n" + rows)
    with pytest.warns(UserWarning) as caught:
        collection = Collection(tmp_path)
    message = str(caught[0].message)
    assert len(caught) == 1 and "9500 left out" in message and len(message) < 500
    assert len(collection) == 500 and len(collection.skipped) == 9_500
    assert collection.work("499.png")["title"] == "Work 499"


# Folders that cannot be used


def test_folders_that_hold_no_collection(tmp_path, paint):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text/a.txt").write_text("x")
    for folder, says in {
        tmp_path / "empty": "no images in .*empty.*jpg.*png",
        tmp_path / "text": "no images in .*text",
        tmp_path / "missing": "missing.*does not exist.*name a folder",
        tmp_path / ("x" * 300): "does not exist",
        paint("picture.png"): "picture.png.*is a file, not a folder",
        "": "no collection named",
        "nul\0": "does not exist",
    }.items():
        with pytest.raises(CollectionError, match=says):
            Collection(folder)


def test_a_folder_of_pipes_only_says_so(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(CollectionError, match="no images.*'a.png': no regular file"):
        Collection(tmp_path)


# Asking a collection


def test_an_unknown_work_is_answered_with_the_nearest(paintings):
    collection = Collection(paintings)
    for ask in (collection.row, collection.path, collection.open, collection.work):
        with pytest.raises(ArtsearchError, match=f"did you mean '{MONA_LISA}'") as error:
            ask("leonardo-da-vinci_mona-liza.jpg")
        assert len(str(error.value)) < 800
    assert "nothing.jpg" not in collection and MONA_LISA in collection


def test_a_sample_repeats_and_differs(paintings):
    collection = Collection(paintings)
    assert collection.sample(5, seed=1) == collection.sample(5, seed=1)
    assert collection.sample(5, seed=1) != collection.sample(5, seed=2)
    assert sorted(collection.sample(21)) == collection.ids


@pytest.mark.parametrize("n", [0, -1, 22, 2.5, "3", None])
def test_a_sample_of_an_impossible_size(paintings, n):
    with pytest.raises(ArtsearchError, match="cannot draw .* 1 to 21"):
        Collection(paintings).sample(n)


def test_the_fingerprint_follows_names_and_contents_only(tmp_path, paint):
    def fingerprint() -> str:
        return Collection(tmp_path).fingerprint()

    paint("a.png")
    before = fingerprint()
    os.utime(tmp_path / "a.png", (0, 0))
    write_table(tmp_path, "file,title\na.png,Corrected\n")
    assert fingerprint() == before
    paint("a.png", color="blue")
    changed = fingerprint()
    (tmp_path / "works.csv").unlink()
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    renamed = fingerprint()
    paint("c.png")
    assert len({before, changed, renamed, fingerprint()}) == 4


def test_a_works_csv_is_plain_text_by_column(tmp_path):
    table = read_works_csv(write_table(tmp_path, "file,Year\na.png,1889\n"))
    assert table.to_dict("records") == [{"file": "a.png", "year": "1889"}]


def test_a_title_of_a_megabyte_is_cut_and_costs_no_other_row(tmp_path, paint):
    paint("a.png"), paint("b.png")
    huge = "x" * 1_000_000
    (tmp_path / "works.csv").write_text(f"file,title,note\na.png,{huge},{huge}\nb.png,Lion,\n")
    works = Collection(tmp_path)
    assert works.work("b.png")["title"] == "Lion"
    assert len(works.work("a.png")["title"]) == 10_000 and len(works.caption("a.png")) <= 300


def test_a_file_name_of_a_megabyte_is_named_in_short(tmp_path, paint):
    paint("a.png")
    (tmp_path / "works.csv").write_text(f"file,title\n{'x' * 1_000_000},Lion\n")
    with pytest.warns(UserWarning) as caught:
        Collection(tmp_path)
    assert len(str(caught[0].message)) < 1_000


def test_that_no_work_can_be_opened_is_said(tmp_path, paintings):
    for name in "ab":
        (tmp_path / f"{name}.jpg").write_bytes(b"no picture")
    with pytest.raises(
        CollectionError, match="none of the 2 works of .* because: cannot read 'a.j"
    ):
        list(Collection(tmp_path).readable())
    shutil.copy(paintings / MONA_LISA, tmp_path / "b.jpg")
    assert list(Collection(tmp_path).readable()) == ["b.jpg"]
