"""What six museums document, answered on 127.0.0.1: well, and with lies and surprises."""

import json
import re
from dataclasses import replace
from itertools import islice
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback import Answer
from museum import MUSEUMS as NAMES
from museum import Museum, Work

from artsearch.base.errors import ArtsearchError
from artsearch.base.http import Client, FetchError
from artsearch.fetch.command import _MUSEUMS
from artsearch.fetch.folder import clean
from artsearch.fetch.museum import read_period
from artsearch.fetch.museums import MUSEUMS

#: Those that answer in JSON.
TALKING = tuple(name for name in NAMES if name != "nga")
#: What stands before the numbers of the made-up catalogue.
PREFIX = {name: f"{name}/" for name in NAMES} | {"smk": "smk/KMS"}
#: Where the museums' answers have their lists, and rights that are free but for a sign.
LISTS = ("data", "objectIDs", "orderedItems", "items")
FREE = ({"id": "https://creativecommons.org/publicdomain/zero/1.0/x"},)
#: What JSON can have where a text is documented.
ODD = (None, 7, 1.5, True, [], ["a", None, {"b": 1}], {"a": "b"}, " ", "\0\ud800", "x" * 10**6)


@pytest.fixture
def server(paintings):
    with Museum(paintings) as server:
        yield server


@pytest.fixture
def ask(server):
    """Ask a museum by name for works."""

    def ask(name: str, **wanted):
        client = Client(10_000, retries=1, timeout=5, pause=0.01)
        return replace(MUSEUMS[name], base=server.base(name)).items(client, **wanted)

    return ask


def asked_last(server, words: str) -> str:
    return [line for line in server.asked if words in line][-1]


def test_the_command_and_the_sources_know_the_same_museums():
    assert tuple(_MUSEUMS) == tuple(MUSEUMS) == NAMES
    # The Art Institute documents 60 requests a minute, the Met 80 a second.
    assert MUSEUMS["aic"].rate <= 1
    assert MUSEUMS["met"].rate <= 80


@pytest.mark.parametrize("name", NAMES)
def test_all_works_come_with_what_is_known_of_them(name, ask, server):
    items = list(ask(name))
    assert [item.key for item in items] == [f"{PREFIX[name]}{w.number}" for w in server.works]
    for item, work in zip(items, server.works, strict=True):
        artist = item.about["artist"]
        assert artist == (work.artist if name in ("met", "aic", "nga") else [work.artist])
        assert (item.about["title"], item.about["year"]) == (work.title, work.year)
        assert re.search("CC0|creativecommons.org/publicdomain/", item.about["licence"])
        assert clean(item.about["medium"]) or name in ("aic", "cleveland")
        assert re.fullmatch("painting|maleri", clean(item.about["classification"]), re.I) or (
            name in ("met", "aic", "cleveland")
        )
        assert item.about["source"].startswith("https://") and item.key[-3:] in item.about["source"]
        assert item.image.startswith(f"{server.url}/images/{work.number}")
        assert item.reason == ""


@pytest.mark.parametrize("name", NAMES)
def test_free_text_is_asked_for(name, ask):
    assert {item.about["title"] for item in ask(name, query="hokusai wave")} == {
        "The Great Wave off Kanagawa"
    }


@pytest.mark.parametrize("name", NAMES)
def test_only_what_is_marked_as_free_comes_whatever_the_search_says(name, ask, server):
    server.works[3].free = False
    server.works[4].more = {"isPublicDomain": "true", "is_public_domain": 1}
    server.works[4].more |= {"share_license_status": "CC0 ", "public_domain": "true"}
    server.works[4].more |= {"openaccess": "yes", "subject_to": [{"classified_as": FREE[:1]}]}
    items = list(ask(name))
    if name == "nga":  # its table holds all works: what is not free is not listed one by one
        assert not {"nga/103", "nga/104"} & {item.key for item in items}
        return
    assert len(items) == 21
    left_out = [item for item in items if item.reason]
    assert [item.key for item in left_out] == [f"{PREFIX[name]}103", f"{PREFIX[name]}104"]
    assert {item.reason for item in left_out} == {"the museum does not mark it as free to use"}
    assert not any(item.image for item in left_out)


def test_the_met_is_not_asked_for_works_that_are_known(ask, server):
    known = {f"met/{work.number}" for work in server.works[:20]}
    assert [item.key for item in ask("met", known=known) if item.image] == ["met/120"]
    assert sum("/objects/" in line for line in server.asked) == 1


def test_the_met_is_asked_in_the_words_that_it_documents(ask, server):
    list(ask("met", query="the", department="european paint", artist="bruegel", period="1500-1600"))
    assert asked_last(server, "search") == (
        "GET /met/v1.1/search?offset=0&limit=500&hasImages=true&departmentId=2"
        "&dateBegin=1500&dateEnd=1600&q=the+bruegel"
    )
    list(islice(ask("met"), 1))
    assert asked_last(server, "search").endswith("&q=%2A")


def test_the_met_gives_the_works_of_the_artist_alone(ask, server):
    server.works[0].title = "A copy after Leonardo da Vinci"
    items = list(ask("met", artist="Léonardo Vinci"))
    assert [item.about["title"] for item in items] == []  # the server finds no accents
    items = list(ask("met", artist="leonardo vinci"))
    assert [item.about["artist"] for item in items] == ["Leonardo da Vinci"]


def test_a_department_of_the_met_is_named_when_it_is_not_one(ask):
    for words, expected in (
        ("Armor", "unknown department 'Armor'.* Asian Art, European Paintings"),
        ("European", "known: European Paintings, European Sculpture$"),
    ):
        with pytest.raises(ArtsearchError, match=expected):
            list(ask("met", department=words))


def test_the_art_institute_is_asked_in_the_words_that_it_documents(ask, server):
    list(ask("aic", query="kanagawa", department="Prints", artist="Hokusai", period="1800-1900"))
    address = asked_last(server, "search").removeprefix("GET ")
    search = json.loads(parse_qs(urlsplit(address).query)["params"][0])
    assert search["q"] == "kanagawa"
    assert (search["limit"], search["page"]) == (100, 1)
    assert search["query"]["bool"]["filter"] == [
        {"term": {"is_public_domain": True}},
        {"exists": {"field": "image_id"}},
        {"match": {"department_title": {"query": "Prints", "operator": "and"}}},
        {"match": {"artist_title": {"query": "Hokusai", "operator": "and"}}},
        {"range": {"date_end": {"gte": 1800}}},
        {"range": {"date_start": {"lte": 1900}}},
    ]


def test_the_art_institutes_pictures_are_asked_for_at_the_size_wanted(ask, server):
    def size(side):
        return next(ask("aic", side=side)).image.removeprefix(f"{server.url}/images/100")

    assert size(512) == "/full/!512,512/0/default.jpg"
    assert size(1024) == "/full/!900,900/0/default.jpg"  # its picture is 900 × 600
    server.works[0].more = {"thumbnail": None}
    assert size(1024) == "/full/!1024,1024/0/default.jpg"
    server.works[0].more = {"image_id": "../../secret?x#y"}
    assert next(ask("aic")).image.startswith(f"{server.url}/images/..%2F..%2Fsecret%3Fx%23y/full/")


def test_cleveland_is_asked_in_the_words_that_it_documents(ask, server):
    list(ask("cleveland", query="a b", department="Prints", artist="Renoir", period="-500--400"))
    assert asked_last(server, "cleveland") == (
        "GET /cleveland/artworks/?cc0=1&has_image=1&q=a+b&department=Prints&artists=Renoir"
        "&created_after=-501&created_before=-399&skip=0&limit=100"
    )


def test_the_rijksmuseum_is_asked_in_the_words_that_it_documents(ask, server):
    list(ask("rijksmuseum", query="wave", department="print", artist="hokusai", period="1598-1611"))
    searches = [line for line in server.asked if "search" in line]
    assert [parse_qs(urlsplit(line).query)["creationDate"] for line in searches] == [
        [years] for years in ("1598", "1599", "160?", "1610", "1611")
    ]
    assert searches[0] == (
        "GET /rijksmuseum/search/collection?imageAvailable=true&title=wave&type=print"
        "&creator=hokusai&creationDate=1598"
    )
    assert list(ask("rijksmuseum", period="-500--400")) == []


def test_the_file_of_a_work_that_is_not_free_at_the_rijksmuseum_is_not_asked_for(ask, server):
    server.works[0].free = False
    next(ask("rijksmuseum"))
    paths = [urlsplit(line).path for line in server.asked]
    assert paths[1:] == ["GET /rijksmuseum/100", "GET /rijksmuseum/1000100"]


def test_the_rijksmuseum_says_what_it_can_where_a_record_is_thin(ask, server):
    said = {"content": "attributed to Rembrandt", "language": []}
    server.works[0].more = {
        "identified_by": {"type": "Name", "part": [{"content": "Alleen Nederlands"}]},
        "produced_by": {
            "referred_to_by": [said],
            "timespan": {"begin_of_the_begin": "1642-01-01", "end_of_the_end": "1644-12-31"},
        },
    }
    about = next(ask("rijksmuseum")).about
    assert (about["artist"], about["title"]) == ("attributed to Rembrandt", "Alleen Nederlands")
    assert about["year"] == "1642–1644"


def test_a_work_of_the_rijksmuseum_that_cannot_be_asked_for_is_listed(ask, server):
    server.put("/rijksmuseum/1000101?_profile=la-framed", status=404)
    server.put("/rijksmuseum/102?_profile=la-framed", b"<html>Sorry</html>")
    items = list(ask("rijksmuseum"))
    assert len(items) == 21
    assert items[1].reason == "127.0.0.1 answered 404 Not Found"
    assert "did not send JSON" in items[2].reason
    server.asked.clear()
    known = {item.key for item in items}
    assert len(list(ask("rijksmuseum", known=known))) == 21
    assert len(server.asked) == 1


def test_the_national_gallery_is_searched_in_its_tables(ask, server):
    def keys(**wanted):
        return [item.key for item in ask("nga", **wanted)]

    assert keys(artist="Durer", query="lion") == ["nga/100"]
    assert keys(department="paint") == keys(department="sculpture") == []
    assert len(keys(department="painting")) == 21
    assert (len(keys(period="1400-1500")), len(keys(period="1610-1610"))) == (21, 11)
    server.works[0].more = {"beginyear": "", "endyear": "unknown"}
    assert len(keys(period="-3000-3000")) == 20
    assert [line.removeprefix("GET /nga/") for line in server.asked[:2]] == [
        "published_images.csv",
        "objects.csv",
    ]
    server.works[0].more = {"viewtype": "alternate"}
    assert "nga/100" not in keys()


@pytest.mark.parametrize("table", ["objects.csv", "published_images.csv"])
@pytest.mark.parametrize("text", [b"", b"a,b\n1,2\n", b'objectid,"\n', b"\xff\xfe\0", b"<html>"])
def test_a_table_of_another_form_is_told(table, text, ask, server):
    server.put(f"/nga/{table}", text)
    with pytest.raises(FetchError, match="not of the form that it documents"):
        list(ask("nga"))


def test_the_smk_is_asked_in_the_words_that_it_documents(ask, server):
    list(ask("smk", query="wave", department="maleri", artist="hokusai", period="-50-1900"))
    [line] = server.asked
    assert parse_qs(urlsplit(line).query) == {
        "keys": ["wave hokusai"],
        "filters": ["[public_domain:true],[has_image:true],[object_names:maleri]"],
        "lang": ["en"],
        "range": [
            "[production_dates_start:{*;1900-12-31T23:59:59Z}],"
            "[production_dates_end:{0001-01-01T00:00:00Z;*}]"
        ],
        "offset": ["0"],
        "rows": ["100"],
    }
    server.works[0].title = "after Hokusai"
    assert all(
        item.about["artist"] == ["Katsushika Hokusai"] for item in ask("smk", artist="Hokusai")
    )


@pytest.mark.parametrize(("name", "most"), [("rijksmuseum", 1024), ("nga", 900), ("smk", 900)])
def test_their_pictures_are_asked_for_at_the_size_wanted(name, most, ask, server):
    for side, size in ((512, 512), (1024, most)):
        place = f"{server.url}/images/100/full/!{size},{size}/0/default.jpg"
        assert next(ask(name, side=side)).image == place
    if name == "smk":
        server.works[0].more = {"image_iiif_id": None}
        assert next(ask("smk")).image == f"{server.url}/images/100.native.jpg"


def test_clevelands_smaller_picture_is_taken_where_it_is_large_enough(ask):
    for side, size in ((512, "web"), (900, "web"), (1024, "print"), (9999, "print")):
        assert next(ask("cleveland", side=side)).image.endswith(f"100.{size}.jpg")


def test_the_mets_smaller_picture_is_taken_where_it_is_large_enough(ask, server):
    assert next(ask("met", side=600)).image.endswith("/100.small.jpg")
    assert next(ask("met")).image.endswith("/100.jpg")
    server.works[0].more = {"primaryImage": ""}
    assert next(ask("met")).image.endswith("/100.small.jpg")


@pytest.mark.parametrize("name", NAMES)
def test_page_after_page_is_asked_for_as_far_as_the_museum_goes(name, ask, server):
    server.works = [Work(n, "A", f"B {n}", "1900", Answer()) for n in range(1234)]
    keys = [item.key for item in ask(name, known={f"{PREFIX[name]}{n}" for n in range(1234)})]
    most = 1000 if name == "aic" else 1234
    assert keys == [f"{PREFIX[name]}{n}" for n in range(most)]


@pytest.mark.parametrize("name", TALKING)
def test_a_server_that_gives_the_same_page_without_end_is_left(name, ask, server, monkeypatch):
    server.works = [Work(n, "A", "B", "1900", Answer()) for n in range(500)]
    monkeypatch.setattr(server, "_fitting", lambda words: _Endless(server.works))
    items = list(ask(name, known={f"{PREFIX[name]}{n}" for n in range(500)}))
    assert len(items) == len({item.key for item in items}) <= 500
    assert len(server.asked) < 10


class _Endless(list):
    """However far one looks, the first page comes."""

    def __len__(self):
        return 10**9

    def __getitem__(self, place):
        return list(self)[: place.stop - place.start] if isinstance(place, slice) else None


@pytest.mark.parametrize("name", TALKING)
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:12])
def test_what_is_not_documented_ends_no_run(name, odd, ask, server):
    path = {
        "met": "/met/v1/objects/100",
        "aic": "/aic/artworks/search?params=%7B%22limit%22:1,%22page%22:1%7D",
        "cleveland": "/cleveland/artworks/?skip=0&limit=1",
        "rijksmuseum": "/rijksmuseum/100?_profile=la-framed",
        "smk": "/smk/art/search/?keys=*&offset=0&rows=1",
    }[name]
    answer = json.loads(server.answer(path).body)
    facts = next(iter(answer.get("data") or answer.get("items") or [answer]))
    server.works[0].more = {fact: odd for fact in facts if fact != "id"}
    server.works[1].more = {"id": odd}
    items = list(ask(name))
    assert 20 <= len(items) <= 21
    assert all(item.image.startswith("http") for item in items[2:])
    assert items[0].reason or isinstance(items[0].image, str)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", [None, [], 7, "text", dict.fromkeys(LISTS, "all")], ids=repr)
def test_an_answer_of_another_form_is_told(name, odd, ask, server):
    server.answer = lambda path: Answer(json.dumps(odd).encode())
    with pytest.raises(FetchError, match="not of the form that it documents"):
        list(ask(name))


def test_a_work_of_the_met_that_cannot_be_asked_for_is_listed_and_the_others_come(ask, server):
    server.put("/met/v1/objects/101", status=404)
    server.put("/met/v1/objects/102", b"<html>Sorry</html>")
    items = {item.key: item for item in ask("met")}
    assert len(items) == 21
    assert items["met/101"].reason == "127.0.0.1 answered 404 Not Found"
    assert "did not send JSON" in items["met/102"].reason


@pytest.mark.parametrize("text", ["", "1600", "1700-1600", "the thirties", "1600-", "1-2-3"])
def test_a_period_that_is_none_is_refused(text):
    with pytest.raises(ArtsearchError, match="write it as in 1600-1700"):
        read_period(text)
    assert read_period(" 1600 – 1600 ") == (1600, 1600)
