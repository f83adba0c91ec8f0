"""Tables with the mishaps of spreadsheets, databases and hands; and the files that rows mean."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import examples

from artsearch.base.errors import CollectionError
from artsearch.works.collection import Collection
from artsearch.works.table import Matches, match_files, read_table


def read(folder: Path, text: str) -> list[list[str]]:
    path = folder / "t.csv"
    path.write_text(text, "utf-8", newline="")
    return read_table(path)[0].to_numpy().tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("sep=;\r\nfile;title\r\na.png;One, two\r\n", [["a.png", "One, two"]]),
        ('"sep=|"\nfile|title\na.png|x\n', [["a.png", "x"]]),
        ("\ufeffSEP=\t\t\nfile\ttitle\na.png\tOne; two\n", [["a.png", "One; two"]]),
        ("file,title,,\na.png,x,,\nb.png,y,,,,\n", [["a.png", "x"], ["b.png", "y"]]),
        ('file,title\na.png,"Nude" (study)\n', [["a.png", '"Nude" (study)']]),
        ('file,title\na.png,6" x 4"\nb.png,"x, y"\n', [["a.png", '6" x 4"'], ["b.png", "x, y"]]),
        ('file,title\na.png,"A ""b"", c"\nb,"N" o\n', [["a.png", 'A "b", c'], ["b", '"N" o']]),
        ('file,title\na.png,"The \\"big\\", one"\n', [["a.png", 'The "big", one']]),
        ('file,title\na.png,"The \\"big\\""\nb,"x"\n', [["a.png", 'The "big"'], ["b", "x"]]),
        ('file,title,year\na.png,"N" o,\n\nb.png,"two\nlines",1\n',
         [["a.png", '"N" o', ""], ["b.png", "two\nlines", "1"]]),
        ('file,title\ra.png,"N" o\rb.png,x', [["a.png", '"N" o'], ["b.png", "x"]]),
        ("file,title\na.png,Grid\x0cpage\u2028line\n", [["a.png", "Grid\x0cpage\u2028line"]]),
    ],
    ids=["sep", "sep in quotes", "sep is a tab", "commas behind", "quotes before more", "inches",
         "doubled beside stray", "backslashes", "backslash at the end", "lines", "CR",
         "other line ends"],
)  # fmt: skip
def test_csv_as_it_comes(tmp_path, text, rows):
    assert read(tmp_path, text) == rows


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('file,title\na.png,x\n\nb.png,"never closed\nc.png,y\n', 4),
        ('file,title\na.png,"two\nlines"\nb.png,"one" and "two\nc.png,y\n', 4),
        ('sep=,\nfile,title\r\na.png,"N" (1, 2)\r\n', 3),
        ('file,title\na.png,"two\nlines"\nb.png,x,y\n', 4),
    ],
    ids=["open quote", "open quote behind two lines", "comma behind quotes", "too many"],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, text, line):
    with pytest.raises(CollectionError, match=rf"t\.csv has .* line {line} ") as error:
        read(tmp_path, text)
    assert str(error.value).isprintable()


@settings(deadline=None, max_examples=examples(300))
@given(text=st.text(",;\"'\\\t\r\n ab=", max_size=40))
def test_any_text_is_a_table_or_a_sentence(tmp_path_factory, text):
    try:
        read(tmp_path_factory.mktemp("csv"), "file,title\n" + text)
    except CollectionError as error:
        assert str(error).isprintable()


# Files


def test_what_is_spelled_as_on_disk_comes_first():
    ids = ["12.jpg", "a/x.png", "b/x.png", "B.JPG"]
    assert match_files(["12.png", "12.jpg", "x.png", "b.jpg", "b", "", "y"], ids) == Matches(
        rows={"12.jpg": 1, "B.JPG": 3},
        missing=[5, 6],
        unclear={0: ["12.jpg"], 2: ["a/x.png", "b/x.png"], 4: ["B.JPG"]},
    )


def test_names_are_found_as_an_editor_or_a_web_page_wrote_them():
    names = ["“a b.jpg”", "x%20y.JPG", "'c.png'", "100%25.jpg", "%zz.jpg"]
    ids = ["a b.jpg", "x y.jpg", "c.png", "100%25.jpg", "%zz.jpg"]
    assert match_files(names, ids).rows == dict(zip(ids, range(5), strict=True))


def test_a_works_csv_finds_its_files_however_they_are_spelled(tmp_path, paint):
    for name in ("a.png", "sub/q.png", "sub/deep/P.PNG", "other/q.png", "other/only.png"):
        paint(name)
    rows = ["q.png,same folder", "deep\\p.png,backslash", "A.PNG,elsewhere", "../A,up", "only,far"]
    (tmp_path / "sub" / "Works.CSV").write_text("File,Title\n" + "\n".join(rows), "utf-8")
    with pytest.warns(UserWarning, match="3 left out"):
        collection = Collection(tmp_path)
    assert collection.work("sub/q.png")["title"] == "same folder"
    assert collection.work("sub/deep/P.PNG")["title"] == "backslash"
    # A row means files of its own folder, unless it names the way to another.
    assert [name for name, _ in collection.skipped] == ["A.PNG", "../A", "only"]


def test_what_a_row_may_mean_is_named(tmp_path, paint):
    paint("x/a.png"), paint("y/a.png")
    (tmp_path / "works.csv").write_text("file,title\na,Lion\n", "utf-8")
    with pytest.warns(UserWarning, match="it may be 'x/a.png' or 'y/a.png'"):
        Collection(tmp_path)


@pytest.mark.parametrize(("encoding", "said"), [("cp1252", "Windows-1252"), ("utf-16", "UTF-16")])
def test_another_encoding_is_read_and_said(tmp_path, paint, encoding, said):
    paint("a.png")
    (tmp_path / "works.csv").write_bytes("file,title\na.png,Zoë\n".encode(encoding))
    with pytest.warns(UserWarning, match=f"works.csv is read as {said}"):
        collection = Collection(tmp_path)
    assert collection.work("a.png")["title"] == "Zoë"
