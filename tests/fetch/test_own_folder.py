"""The folders and tables that people bring: their languages, their formats, their mishaps."""

import json
import os
import sys
import unicodedata
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiers import examples

from artsearch.base.errors import ArtsearchError
from artsearch.fetch import own_folder
from artsearch.fetch.column_names import map_columns, usual_column
from artsearch.works import table as tables

HEADER = {
    "English": "filename,artist,title,date,style,accession number",
    "German": "Dateiname,Künstler/in,Titel,Datierung,Stilrichtung,Inventarnummer",
    "French": "Fichier,Artiste,Titre,Année,Mouvement,Numéro d'inventaire",
    "Italian": "Immagine,Autore,Titolo,Datazione,Stile,Numero inventario",
    "Spanish": "Archivo,Pintor,Título,Año,Estilo,Inventario",
    "Dutch": "Bestandsnaam,Kunstenaar,Titel,Datering,Stijl,Inventarisnummer",
}
ROW = "wave.png,Hokusai,Die große Welle,1831,Ukiyo-e,12/3"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def read(folder, table=None, columns=None):
    """Return what is known of the works by id, and the report."""
    found, report = own_folder.items(folder, table, columns)
    return {item.key: item.about for item in found}, report


# Columns


@pytest.mark.parametrize("language", HEADER)
def test_columns_are_known_by_their_usual_names(tmp_path, paint, language):
    paint("wave.png")
    write(tmp_path / "works.csv", f"{HEADER[language]}\n{ROW}\n")
    works, report = read(tmp_path)
    about = works["wave.png"]
    assert (about["artist"], about["title"], about["year"], about["style"]) == (
        "Hokusai",
        "Die große Welle",
        "1831",
        "Ukiyo-e",
    )
    assert about["inventory"] == "12/3"
    assert report.matched == 1
    assert report.without_file == report.without_row == report.unclear == []


def test_columns_are_named_by_hand_and_all_others_kept(tmp_path, paint):
    paint("a.png")
    write(tmp_path / "t.csv", "Scan;Wer;Artist;Ort\na.png;Dürer;unknown;Wien\n")
    works, report = read(tmp_path, "t.csv", {"file": "scan", "artist": "Wer"})
    assert works["a.png"]["artist"] == "Dürer"
    assert works["a.png"]["Artist (of the table)"] == "unknown"
    assert works["a.png"]["Ort"] == "Wien"
    assert report.sentence().startswith("1 work found in t.csv (file from 'Scan', artist from")


def test_a_column_that_does_not_exist_is_named_with_the_nearest(tmp_path, paint):
    paint("a.png")
    write(tmp_path / "t.csv", "Datei,Künstler\na.png,Dürer\n")
    with pytest.raises(ArtsearchError, match="unknown column 'Künster'; did you mean 'Künstler'"):
        read(tmp_path, "t.csv", {"artist": "Künster"})


def test_without_a_column_of_files_the_next_step_is_said(tmp_path, paint):
    paint("a.png")
    write(tmp_path / "t.csv", "Werk,Ort\na.png,Wien\n")
    with pytest.raises(ArtsearchError, match="its columns are: 'Werk', 'Ort'.*--columns file="):
        read(tmp_path, "t.csv")


def test_of_two_columns_for_one_thing_the_better_word_is_taken():
    mapping = map_columns(["Periode", "Jahr", "Bild", "Dateiname"], {})
    assert mapping == {"Periode": "Periode", "Jahr": "year", "Bild": "Bild", "Dateiname": "file"}


def test_no_usual_word_stands_for_two_things():
    from artsearch.fetch.column_names import _OF_VECTORS, _USUAL, OF_VECTORS, USUAL

    for known, usual in ((_USUAL, USUAL), (_OF_VECTORS, OF_VECTORS)):
        for target, words in known.items():
            assert {usual_column(word, usual) for word in words.split()} == {target}
        assert all(word.isascii() and word.isalnum() for word in usual)


# Tables


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", "UTF-16"), ("cp1252", "Windows-1252")],
)
def test_csv_of_any_separator_and_encoding_and_it_says_which(
    tmp_path, paint, separator, encoding, said
):
    paint("wave.png")
    lines = [HEADER["German"].split(","), ["wave.png", "Dürer", '"A, b; c\nd"', "1500", "", "7"]]
    text = "\r\n".join(separator.join(line) for line in lines)
    write(tmp_path / "works.csv", text, encoding)
    works, report = read(tmp_path)
    assert works["wave.png"]["artist"] == "Dürer"
    assert works["wave.png"]["title"] == "A, b; c\nd"
    assert report.encoding.startswith(said) and bool(report.encoding) == bool(said)
    assert said in report.sentence()


def test_excel_numbers_dates_and_gaps_are_as_a_person_writes_them(tmp_path, paint):
    pytest.importorskip("openpyxl")
    paint("wave.png")
    cells = [
        [None, None, None, None, None],
        ["Datei", "Titel", "Jahr", "Erworben", "Preis"],
        ["wave.png", None, 1831.0, datetime(1999, 5, 1), 12.5],
        [None, None, None, None, None],
    ]
    pd.DataFrame(cells).to_excel(tmp_path / "works.xlsx", header=False, index=False)
    works, _ = read(tmp_path)
    about = works["wave.png"]
    assert about["year"] == "1831"
    assert about["Erworben"] == "1999-05-01"
    assert about["Preis"] == "12.5"
    assert about["title"] == "wave"  # for want of another


ROWS = [{"file": "a.png", "title": "A", "year": 1831.0}, {"file": "b.png", "title": None}]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps({"works": ROWS}),
        "\n".join(map(json.dumps, ROWS)),
        json.dumps({"file": ["a.png", "b.png"], "title": ["A", None], "year": [1831, None]}),
        pd.DataFrame(ROWS).to_json(),
    ],
    ids=["list", "wrapped", "lines", "columns", "pandas"],
)
def test_json_of_every_shape(tmp_path, paint, text):
    paint("a.png")
    paint("b.png")
    works, report = read(tmp_path, write(tmp_path / "t.json", text))
    assert report.matched == 2
    assert (works["a.png"]["title"], works["a.png"]["year"]) == ("A", "1831")
    assert (works["b.png"]["title"], works["b.png"]["year"]) == ("b", "")


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("t.csv", b"", "no rows below"),
        ("t.csv", b"file,title\n", "no rows below"),
        ("t.csv", b"file\na.png\nb,c,d\n", "1 columns, but its line 3 has 3"),
        ("t.csv", b'file,title\na.png,"never closed\n', "a quotation mark in line 2"),
        ("t.csv", b"file\0title\0", "no text"),
        ("t.csv", b"file,title\na.png,\x81\x8d\n", "as a table"),
        ("t.xlsx", b"PK no zip", "as a table"),
        ("t.json", b"[1, 2]", "neither a list of objects"),
        ("t.json", b"null", "neither a list of objects"),
        ("t.json", b"{}", "neither a list of objects"),
        ("t.json", b"[" * 100_000, "as a table"),
        ("t.json", b"{broken", "as a table"),
        ("t.xls", b"old", "unknown kind of table 't.xls'"),
    ],
)
def test_what_is_no_table_is_said_in_a_sentence(tmp_path, paint, name, data, sentence):
    paint("a.png")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ArtsearchError, match=sentence):
        read(tmp_path, name)


def test_a_packed_bomb_is_not_unpacked(tmp_path, paint, monkeypatch):
    pytest.importorskip("openpyxl")
    paint("a.png")
    pd.DataFrame({"file": ["x" * 30_000] * 40}).to_excel(tmp_path / "t.xlsx", index=False)
    monkeypatch.setattr(tables, "MOST_BYTES", 20_000)
    with pytest.raises(ArtsearchError, match="when unpacked"):
        read(tmp_path, "t.xlsx")


def test_without_openpyxl_the_command_that_installs_it_is_named(tmp_path, paint, monkeypatch):
    pytest.importorskip("openpyxl")
    paint("a.png")
    pd.DataFrame({"file": ["a.png"]}).to_excel(tmp_path / "t.xlsx", index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ArtsearchError, match=r"artsearch\[fetch\]"):
        read(tmp_path, "t.xlsx")


def test_a_missing_table_or_folder_is_named(tmp_path, paint):
    paint("a.png")
    with pytest.raises(ArtsearchError, match="no table 'none.csv'"):
        read(tmp_path, "none.csv")
    with pytest.raises(ArtsearchError, match="does not exist"):
        read(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtsearchError, match="no images in"):
        read(tmp_path / "empty")


# Files


def test_files_are_found_by_path_then_name_then_name_without_ending(tmp_path, paint):
    for name in ("a.png", "sub/a.png", "sub/B.PNG", "sub/1975.1.34.png", "cafe\u0301.png"):
        paint(name)
    text = "file\nsub/a.png\na.png\nC:\\Bilder\\b.png\n1975.1.34\n./CAF\u00c9\n"
    found, report = own_folder.items(tmp_path, write(tmp_path / "t.csv", text))
    assert report.without_file == report.unclear == report.without_row == []
    assert report.matched == 5
    assert {unicodedata.normalize("NFC", item.key) for item in found} == {
        "a.png",
        "sub/a.png",
        "sub/B.PNG",
        "sub/1975.1.34.png",
        "caf\u00e9.png",
    }


def test_an_inventory_number_finds_its_file_and_stays(tmp_path, paint):
    paint("NG-12.png")
    works, _ = read(tmp_path, write(tmp_path / "t.csv", "Inventarnummer,Titel\nng-12,Blume\n"))
    assert works["NG-12.png"]["inventory"] == "ng-12"
    assert works["NG-12.png"]["title"] == "Blume"


def test_what_is_ambiguous_is_listed_and_not_guessed(tmp_path, paint):
    for name in ("x/a.png", "y/a.png", "b.png", "b.jpg", "c.png"):
        paint(name)
    text = "file,title\na.png,1\nb,2\nc.png,3\nC,4\ngone.png,5\n,6\n"
    works, report = read(tmp_path, write(tmp_path / "t.csv", text))
    assert report.unclear == ["a.png", "b", "C"]
    assert report.without_file == ["gone.png", ""]
    assert report.without_row == ["b.jpg", "b.png", "x/a.png", "y/a.png"]
    assert works["c.png"]["title"] == "3"
    assert report.sentence() == (
        "1 work found in t.csv; 2 rows without a file ('gone.png', ''); 3 rows whose file is not "
        "clear ('a.png', 'b', 'C'); 4 files without a row ('b.jpg', 'b.png', 'x/a.png', 'y/a.png')"
    )


def test_capitals_decide_where_they_tell_two_files_apart(tmp_path, paint):
    paint("a.png")
    paint("A.png")
    if len(list(tmp_path.glob("*.png"))) < 2:
        pytest.skip("this disk does not tell capitals")
    works, report = read(tmp_path, write(tmp_path / "t.csv", "file,title\nA.png,1\na.png,2\n"))
    assert report.matched == 2
    assert (works["A.png"]["title"], works["a.png"]["title"]) == ("1", "2")


def test_no_name_in_a_table_leads_out_of_the_folder(tmp_path, paint):
    paint("mine/a.png")
    outside = paint("secret.png")
    names = ["../secret.png", str(outside), "/etc/passwd", "..", ".", "/", "//", "\\", "a\0.png"]
    table = tmp_path / "t.json"
    table.write_text(json.dumps([{"file": name} for name in names]))
    found, report = own_folder.items(tmp_path / "mine", table)
    assert [item.image for item in found] == [tmp_path / "mine" / "a.png"]
    assert report.matched == 0
    assert len(report.without_file) == len(names)


def test_links_that_lead_out_and_hidden_files_are_not_taken(tmp_path, paint):
    paint("mine/a.png")
    paint("mine/.hidden/b.png")
    paint("mine/.c.png")
    paint("other/secret.png")
    (tmp_path / "mine" / "link.png").symlink_to(tmp_path / "other" / "secret.png")
    (tmp_path / "mine" / "folder").symlink_to(tmp_path / "other")
    (tmp_path / "mine" / "within.png").symlink_to(tmp_path / "mine" / "a.png")
    (tmp_path / "mine" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "mine" / "pipe.png")
    paint("mine/scan.png").rename(tmp_path / "mine" / "scan.dat")
    works, report = read(tmp_path / "mine")
    assert list(works) == ["a.png", "within.png"]
    left_out = dict(report.left_out)
    assert left_out.keys() == {"link.png", "folder", "broken.png", "pipe.png", "scan.dat"}
    assert left_out["link.png"] == "a link out of the folder"
    assert "a PNG picture by its content" in left_out["scan.dat"]


def test_a_folder_without_a_table_is_taken_as_it_is_and_left_as_it_was(tmp_path, paint):
    paint("deep/the_wave.png")
    before = [(path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")]
    works, report = read(tmp_path)
    assert works["deep/the_wave.png"]["title"] == "the wave"
    assert works["deep/the_wave.png"]["source"] == "deep/the_wave.png"
    assert report.sentence() == "1 work, and no table that says what they are"
    assert [(path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")] == before


def test_the_shipped_paintings_come_with_all_that_their_table_says(paintings):
    works, report = read(paintings)
    assert report.matched == len(works) == 21
    assert not report.without_row and not report.without_file
    assert works["leonardo-da-vinci_mona-lisa.jpg"]["artist"] == "Leonardo da Vinci"


# Harm


def test_hostile_texts_come_through_as_texts(tmp_path, paint):
    paint("a.png")
    about = {
        "title": "<script>alert(1)</script>" + "x" * 1_000_000,
        "artist": "=HYPERLINK(0)",
        "id": "../../x",
        "many": [[["deep"], {"a": 1}], None, 3],
    }
    table = tmp_path / "t.json"
    table.write_text(json.dumps([{"file": "a.png", **about}]))
    works, _ = read(tmp_path, table)
    assert works["a.png"]["title"] == about["title"]
    assert works["a.png"]["many"] == 'deep; {"a": 1}; 3'
    write(tmp_path / "t.csv", f"file,title\na.png,{'y' * 1_000_000}\n")
    assert read(tmp_path, "t.csv")[0]["a.png"]["title"] == "y" * 1_000_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["file", "Datei", "", "title", "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=examples(150), suppress_health_check=list(HealthCheck))
@given(value=JSON)
def test_any_json_is_works_or_a_sentence(value, tmp_path_factory, paintings):
    table = tmp_path_factory.mktemp("json") / "t.json"
    table.write_text(json.dumps(value))
    try:
        works, report = read(paintings, table)
    except ArtsearchError as error:
        assert "\n" not in str(error)
    else:
        assert len(works) == 21 == report.matched + len(report.without_row)
        assert all(isinstance(text, str) for about in works.values() for text in about.values())


@settings(deadline=None, max_examples=examples(150), suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=60) | st.text(",;\t\"\n'ab é", max_size=60).map(str.encode))
def test_any_bytes_are_works_or_a_sentence(data, tmp_path_factory, paintings):
    table = tmp_path_factory.mktemp("csv") / "t.csv"
    table.write_bytes(b"file" + data)
    try:
        assert len(read(paintings, table)[0]) == 21
    except ArtsearchError as error:
        assert "\n" not in str(error)
