"""IIIF documents of both versions as institutions publish them, and as they should not be."""

import json
import re

import pytest
from click.testing import CliRunner
from hostile import encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Answer, Loopback
from PIL import Image
from tiers import examples

from artsearch.base.errors import ArtsearchError
from artsearch.base.http import Client, FetchError
from artsearch.cli.commands import Commands
from artsearch.fetch import iiif
from artsearch.fetch.command import fetch as fetch_command
from artsearch.fetch.iiif import list_addresses, strip_markup, text_of
from artsearch.fetch.items import fetch
from artsearch.works.collection import Collection

HOME = "https://example.org"
MANIFEST = f"{HOME}/m/1"


class Library:
    """Answers addresses with documents; notes what was asked for."""

    absent, refusals = frozenset(), 0

    def __init__(self, documents):
        self.documents = documents
        self.asked = []

    def json(self, address, params=None):
        self.asked.append(address)
        if address not in self.documents:
            raise FetchError(f"{address} is not there")
        return self.documents[address]


def service(version=3, level=2, name="img", **more):
    base = f"{HOME}/iiif/{name}"
    if version == 3:
        return {"id": base, "type": "ImageService3", "profile": f"level{level}", **more}
    profile = f"http://iiif.io/api/image/2/level{level}.json"
    context = "http://iiif.io/api/image/2/context.json"
    if version == 1:
        profile = f"http://library.stanford.edu/iiif/image-api/1.1/compliance.html#level{level}"
        context = "http://library.stanford.edu/iiif/image-api/1.1/context.json"
    return {"@id": base, "@context": context, "profile": profile, **more}


def canvas3(name="p1", body=None, **more):
    body = body or {
        "id": f"{HOME}/{name}.jpg",
        "type": "Image",
        "width": 4000,
        "height": 3000,
        "service": [service(name=name)],
    }
    note = {"type": "Annotation", "motivation": "painting", "body": body, "target": name}
    page = {"type": "AnnotationPage", "items": [note]}
    return {"id": f"{HOME}/canvas/{name}", "type": "Canvas", "items": [page], **more}


def manifest3(*canvases, **more):
    document = {
        "@context": "http://iiif.io/api/presentation/3/context.json",
        "id": MANIFEST,
        "type": "Manifest",
        "label": {"fr": ["La Vague"], "en": ["The Wave"]},
        "items": list(canvases) or [canvas3()],
    }
    return document | more


def canvas2(name="p1", resource=None, **more):
    resource = resource or {
        "@id": f"{HOME}/{name}.jpg",
        "@type": "dctypes:Image",
        "width": 4000,
        "height": 3000,
        "service": service(2, name=name),
    }
    image = {"@type": "oa:Annotation", "motivation": "sc:painting", "resource": resource}
    return {"@id": f"{HOME}/canvas/{name}", "@type": "sc:Canvas", "images": [image], **more}


def manifest2(*canvases, **more):
    document = {
        "@context": "http://iiif.io/api/presentation/2/context.json",
        "@id": MANIFEST,
        "@type": "sc:Manifest",
        "label": "The Wave",
        "sequences": [{"@type": "sc:Sequence", "canvases": list(canvases) or [canvas2()]}],
    }
    return document | more


def read(document, others=(), **options):
    return list(iiif.items(Library({MANIFEST: document, **dict(others)}), MANIFEST, **options))


def only(document, **options):
    [item] = read(document, **options)
    return item


# Manifests


def test_a_manifest_of_version_3_is_one_work_with_its_texts():
    item = only(
        manifest3(
            metadata=[
                {"label": {"de": ["Künstler"]}, "value": {"none": ["Hokusai"]}},
                {"label": {"en": ["Date"]}, "value": {"en": ["c. 1831"], "ja": ["天保2年"]}},
                {"label": {"en": ["Technique"]}, "value": {"en": ["woodcut", "ink &amp; paper"]}},
            ],
            rights="http://creativecommons.org/publicdomain/zero/1.0/",
            requiredStatement={
                "label": {"en": ["Attribution"]},
                "value": {"en": ["<span>The <b>Museum</b></span>"]},
            },
            homepage=[{"id": f"{HOME}/works/1", "type": "Text", "format": "text/html"}],
        )
    )
    assert item.key == MANIFEST
    assert item.image == f"{HOME}/iiif/p1/full/!1024,1024/0/default.jpg"
    assert item.about == {
        "artist": "Hokusai",
        "title": "The Wave",
        "year": "c. 1831",
        "style": "",
        "licence": "http://creativecommons.org/publicdomain/zero/1.0/; The Museum",
        "source": f"{HOME}/works/1",
        "Technique": "woodcut; ink & paper",
    }


def test_a_manifest_of_version_2_is_one_work_with_its_texts():
    item = only(
        manifest2(
            metadata=[
                {"label": "Auteur", "value": "Hokusai"},
                {
                    "label": [{"@value": "Datierung", "@language": "de"}],
                    "value": [
                        {"@value": "um 1831", "@language": "de"},
                        {"@value": "about 1831", "@language": "en"},
                    ],
                },
                {"label": "Title", "value": "Under the Wave off Kanagawa"},
                {"label": "Source:", "value": "a bequest"},
                {"label": "File", "value": "x"},
            ],
            license="http://rightsstatements.org/vocab/NoC-US/1.0/",
            attribution=["The Museum", {"@value": "Le Musée", "@language": "fr"}],
            related={"@id": f"{HOME}/works/1", "format": "text/html"},
        )
    )
    assert item.image == f"{HOME}/iiif/p1/full/!1024,1024/0/default.jpg"
    assert item.about == {
        "artist": "Hokusai",
        "title": "The Wave",
        "year": "about 1831",
        "style": "",
        "licence": "http://rightsstatements.org/vocab/NoC-US/1.0/; The Museum",
        "source": f"{HOME}/works/1",
        "Source (of the source)": "a bequest",
        "File (of the source)": "x",
    }


def test_without_label_and_homepage_the_metadata_and_the_address_are_taken():
    pair = {"label": {"en": ["Titel"]}, "value": {"en": ["Wave"]}}
    about = only(manifest3(label=None, metadata=[pair])).about
    assert (about["title"], about["source"]) == ("Wave", MANIFEST)


@pytest.mark.parametrize("make", [manifest2, manifest3])
def test_a_book_is_one_work_shown_by_its_first_page_with_a_picture(make):
    canvas = canvas2 if make is manifest2 else canvas3
    empty = {"id": "x", "type": "Canvas", "items": []}
    item = only(make(empty, canvas("p2"), canvas("p3")))
    assert (item.key, item.image.split("/")[4]) == (MANIFEST, "p2")


@pytest.mark.parametrize(
    "document",
    [
        manifest3(canvas3("a"), canvas3("b"), start={"id": f"{HOME}/canvas/b", "type": "Canvas"}),
        manifest3(
            canvas3("a"),
            canvas3("b"),
            start={"type": "SpecificResource", "source": f"{HOME}/canvas/b", "id": "x"},
        ),
        manifest2(canvas2("a"), canvas2("b"), startCanvas=f"{HOME}/canvas/b"),
    ],
)
def test_the_page_to_start_at_stands_for_the_work(document):
    assert "/iiif/b/" in only(document).image


def test_every_page_is_a_work_when_asked_for():
    pages = [canvas3("a", label={"none": ["1r"]}), {"type": "Canvas"}, canvas3("c")]
    items = read(manifest3(*pages), every_page=True)
    assert [(item.key, item.about["page"]) for item in items] == [
        (f"{MANIFEST}#1", "1r"),
        (f"{MANIFEST}#3", "3"),
    ]
    known = read(manifest3(*pages), every_page=True, known={f"{MANIFEST}#1"})
    assert [bool(item.image) for item in known] == [False, True]


@pytest.mark.parametrize(
    "body",
    [
        {"type": "Choice", "items": [{"id": f"{HOME}/a.jpg", "type": "Image"}, {"id": "b"}]},
        [{"id": f"{HOME}/a.jpg", "type": "Image"}],
        {"type": "SpecificResource", "source": {"id": f"{HOME}/a.jpg", "type": "Image"}},
        f"{HOME}/a.jpg",
    ],
)
def test_an_image_is_found_behind_a_choice_a_list_or_a_part(body):
    assert only(manifest3(canvas3(body=body))).image == f"{HOME}/a.jpg"


def test_the_default_of_a_choice_of_version_2_is_taken_else_its_first():
    first, second = ({"@id": f"{HOME}/{n}.jpg", "@type": "dctypes:Image"} for n in "ab")
    for more in ({"default": first, "item": [second]}, {"item": [first, second]}):
        document = manifest2(canvas2(resource={"@type": "oa:Choice", **more}))
        assert only(document).image == f"{HOME}/a.jpg"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (manifest3(canvas3(body={"id": f"{HOME}/a.mp4", "type": "Video"})), "shows no image"),
        (manifest3(canvas3(body={"id": "file:///etc/passwd", "type": "Image"})), "no web address"),
        (manifest3(items=[]) | {"items": []}, "shows no image"),
        (manifest3({"type": "Canvas", "items": [{"items": [{"motivation": "tagging"}]}]}), "no im"),
    ],
)
def test_a_work_without_an_image_says_why(document, reason):
    item = only(document)
    assert item.image == ""
    assert reason in item.reason
    assert item.about["title"] == "The Wave"


# The Image API


def image(**more):
    return {"id": f"{HOME}/whole.jpg", "type": "Image", **more}


LARGE = {"width": 4000, "height": 3000}


@pytest.mark.parametrize(
    ("given", "info", "request_"),
    [
        # What a manifest says has to do where the service says nothing.
        (service(3, **LARGE), None, "!1024,1024/0/default.jpg"),
        (service(2, **LARGE), None, "!1024,1024/0/default.jpg"),
        (service(1, **LARGE), None, "!1024,1024/0/native.jpg"),
        (service(2, maxWidth=800, **LARGE), None, "!800,800/0/default.jpg"),
        (
            service(2, **LARGE) | {"profile": [service(2)["profile"], {"maxWidth": 600}]},
            None,
            "!600,600/0/default.jpg",
        ),
        # What is small already is asked for as it is, also where nobody knows that it is.
        (service(3, width=800, height=600), None, "max/0/default.jpg"),
        (service(2, width=800, height=600), None, "full/0/default.jpg"),
        (service(2), {"width": 800, "height": 600}, "full/0/default.jpg"),
        (service(2, width=800.0, height="600"), None, "full/0/default.jpg"),
        (service(2), None, "full/0/default.jpg"),
        (service(3), None, "!1024,1024/0/default.jpg"),  # of version 3 none is enlarged
        # Level 1 knows one side at a time.
        (service(3, 1), {"width": 4000, "height": 3000}, "1024,/0/default.jpg"),
        (service(2, 1), {"width": 3000, "height": 4000}, ",1024/0/default.jpg"),
        (service(3, 1), {"width": 4000, "height": 3000, "maxWidth": 512}, "512,/0/default.jpg"),
        (
            service(3, 1),
            {**LARGE, "extraFeatures": ["sizeByConfinedWh"]},
            "!1024,1024/0/default.jpg",
        ),
        (service(3, 0), {**LARGE, "extraFeatures": ["sizeByW", "sizeByH"]}, "1024,/0/default.jpg"),
        # Level 0 has files of fixed sizes.
        (
            service(3, 0),
            {"sizes": [{"width": w, "height": w // 2} for w in (4000, 500, 2000, 1000)]},
            "2000,1000/0/default.jpg",
        ),
        (service(2, 0), {"sizes": [{"width": 500, "height": 250}]}, "full/0/default.jpg"),
        (service(3, 0), {}, "max/0/default.jpg"),
        (service(2, 0), {"sizes": "many"}, "full/0/default.jpg"),
        # A service that does not say what it can do in the manifest says it itself.
        (
            {"@id": f"{HOME}/iiif/img", "profile": "image-api"},
            service(2, **LARGE),
            "!1024,1024/0/default.jpg",
        ),
        # Limits, whoever states them: the least of each counts.
        (service(3, maxArea=400_000, width=1600, height=1100), None, "!762,524/0/default.jpg"),
        (service(3), {"maxArea": 400_000, "width": 1600, "height": 1100}, "!762,524/0/default.jpg"),
        (service(3, 1), {"maxArea": 400_000, "width": 1600, "height": 1100}, "762,/0/default.jpg"),
        (service(3, 1), {"maxArea": 400_000, "width": 1100, "height": 1600}, ",762/0/default.jpg"),
        (
            service(3, maxWidth=700),
            {"maxWidth": 900, "maxHeight": 300, **LARGE},
            "!700,300/0/default.jpg",
        ),
        (
            service(2),
            {"profile": ["level2", {"maxArea": 90_000}], **LARGE},
            "!346,259/0/default.jpg",
        ),
        (service(3, maxArea=90_000), None, "!300,300/0/default.jpg"),
        (service(2, maxArea=90_000), None, "max/0/default.jpg"),
        (service(3, 0, maxArea=90_000), LARGE, "max/0/default.jpg"),
        (
            service(3, 0, maxArea=900_000, **LARGE),
            {"sizes": [{"width": w, "height": w * 3 // 4} for w in (2000, 500, 1000)]},
            "1000,750/0/default.jpg",
        ),
    ],
)
def test_an_image_is_asked_for_at_the_size_wanted(given, info, request_):
    library = Library({f"{HOME}/iiif/img/info.json": info} if info is not None else {})
    best = list_addresses(library, image(service=[given]), 1024)[0]
    assert best == f"{HOME}/iiif/img/full/{request_}"
    assert library.asked == [f"{HOME}/iiif/img/info.json"]


def test_a_service_whose_info_is_written_out_is_not_asked():
    library = Library({})
    whole = service(3, protocol="http://iiif.io/api/image", **LARGE)
    assert "!1024,1024" in list_addresses(library, image(service=whole), 1024)[0]
    assert library.asked == []


def test_where_the_service_refuses_its_sizes_are_taken_then_the_image_itself():
    sizes = [{"width": w, "height": w * 3 // 4} for w in (200, 2000, 400, 1000, 4000)]
    library = Library({f"{HOME}/iiif/img/info.json": {"sizes": sizes, **LARGE}})
    found = list_addresses(library, image(service=[service(3)]), 900)
    asked = [address.removeprefix(f"{HOME}/iiif/img/full/") for address in found]
    assert asked == [
        "!900,900/0/default.jpg",
        "1000,750/0/default.jpg",
        "2000,1500/0/default.jpg",
        "4000,3000/0/default.jpg",
        "900,/0/default.jpg",
        f"{HOME}/whole.jpg",
        "max/0/default.jpg",
    ]
    two = [service(3, name="a", **LARGE), service(2, name="b", **LARGE)]
    found = list_addresses(Library({}), image(service=two), 900)
    assert ["/a/" in address for address in found] == [1, 1, 0, 0, 0, 1, 0]
    assert found[4] == f"{HOME}/whole.jpg"


@pytest.mark.parametrize(
    "other",
    [
        {"@id": f"{HOME}/login", "profile": "http://iiif.io/api/auth/1/login"},
        {"id": f"{HOME}/search", "type": "SearchService2"},
        service(3) | {"id": "ftp://example.org/iiif"},
        "http://example.org",
        None,
        7,
    ],
)
def test_services_of_other_kinds_are_not_asked(other):
    library = Library({})
    assert list_addresses(library, image(service=other), 1024) == [f"{HOME}/whole.jpg"]
    assert library.asked == []


# Collections


def collection3(*parts, **more):
    return {"type": "Collection", "items": [{"id": part} for part in parts], **more}


def test_collections_are_followed_in_order_each_document_once():
    a, b, c, inner = (f"{HOME}/{name}" for name in ("a", "b", "c", "inner"))
    library = Library(
        {
            MANIFEST: collection3(a, inner, b),
            inner: collection3(c, a, MANIFEST, inner),  # and round in a circle
            **dict.fromkeys((a, b, c), manifest3()),
        }
    )
    items = list(iiif.items(library, MANIFEST))
    assert [item.key for item in items] == [a, c, b]
    documents = [address for address in library.asked if not address.endswith("info.json")]
    assert len(documents) == len(set(documents))


def test_version_2_names_its_parts_in_three_lists_and_by_pages():
    places = [f"{HOME}/{name}" for name in "abcd"]
    root = {
        "@type": "sc:Collection",
        "manifests": [{"@id": places[0], "@type": "sc:Manifest"}],
        "members": [{"@id": places[1], "@type": "sc:Manifest"}],
        "collections": [],
        "first": f"{HOME}/page1",
    }
    pages = {
        f"{HOME}/page1": {
            "@type": "sc:Collection",
            "manifests": [places[2]],
            "next": f"{HOME}/page2",
        },
        f"{HOME}/page2": {"@type": "sc:Collection", "manifests": [{"@id": places[3]}], "next": ""},
    }
    items = read(root, {**pages, **dict.fromkeys(places, manifest2())})
    assert [item.key for item in items] == places


def test_a_first_page_that_is_written_out_is_not_asked_for():
    page = {"id": f"{HOME}/gone", **collection3(f"{HOME}/a")}
    items = read({"type": "Collection", "first": page}, {f"{HOME}/a": manifest3()})
    assert [item.key for item in items] == [f"{HOME}/a"]


def test_thousands_of_pages_one_after_the_other_are_followed():
    pages = {
        f"{HOME}/{n}": {"@type": "sc:Collection", "next": f"{HOME}/{n + 1}"} for n in range(3000)
    }
    pages[f"{HOME}/3000"] = manifest2()
    items = read({"@type": "sc:Collection", "first": f"{HOME}/0"}, pages)
    assert [item.key for item in items] == [f"{HOME}/3000"]


def test_collections_without_end_come_to_one(monkeypatch):
    class Endless(Library):
        def json(self, address, params=None):
            self.asked.append(address)
            return collection3(f"{address}/0", f"{address}/1")

    monkeypatch.setattr(iiif, "MOST_COLLECTIONS", 50)
    library = Endless({})
    items = list(iiif.items(library, HOME))
    assert {item.reason for item in items} == {
        "it lies too deep in collections, or there are too many of them"
    }
    assert len(library.asked) <= 150


def test_a_part_that_cannot_be_had_is_listed_and_the_others_come():
    a, b, c = (f"{HOME}/{name}" for name in "abc")
    items = read(collection3(a, b, c), {b: manifest3(), c: {"type": "Canvas"}})
    assert [item.key for item in items] == [a, b, c]
    assert "is not there" in items[0].reason
    assert items[1].image and not items[1].reason
    assert "neither a IIIF manifest nor" in items[2].reason


def test_known_works_are_not_asked_for():
    a, b = f"{HOME}/a", f"{HOME}/b"
    library = Library({MANIFEST: collection3(a, b), b: manifest3()})
    items = list(iiif.items(library, MANIFEST, known={a}))
    assert [item.key for item in items] == [a, b]
    assert library.asked == [MANIFEST, b, f"{HOME}/iiif/p1/info.json"]


@pytest.mark.parametrize("document", [None, [], "text", 7, {}, {"type": "Canvas"}, {"type": []}])
def test_what_is_no_iiif_is_said_in_a_sentence(document):
    with pytest.raises(ArtsearchError, match="neither a IIIF manifest nor a IIIF collection"):
        read(document)


def test_a_first_document_that_cannot_be_had_is_an_error():
    with pytest.raises(FetchError):
        list(iiif.items(Library({}), MANIFEST))


# Texts


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a < b & c", "a < b & c"),
        ("<p>One</p><p>Two</p>", "One Two"),
        ("<script>alert(1)</script>Title", "Title"),
        ("<scr<script>ipt>alert(1)</script>", "ipt>alert(1)"),
        ("<img src=x onerror=alert(1)>", ""),
        ("&lt;b&gt;", "<b>"),
        ("<![x", "<![x"),
        ("<!-- hidden -->shown", "shown"),
    ],
)
def test_markup_becomes_the_text_that_a_reader_sees(markup, text):
    assert strip_markup(markup) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"de": ["Die Welle"], "none": ["Wave"]}, "Wave"),
        ({"de": ["Die Welle"], "ja": ["波"]}, "Die Welle"),
        ({"en-GB": ["Colour", "Colour", ""]}, "Colour"),
        ({"@value": 1831}, "1831"),
        ([None, True, {}, [], {"en": None}], ""),
        ({"en": "no list"}, "no list"),
        ({"@value": {"@value": "deep"}}, ""),
        (None, ""),
    ],
)
def test_texts_of_any_shape_are_one_line(value, text):
    assert text_of(value) == text


def test_huge_texts_and_lists_are_cut_before_they_cost_anything():
    pairs = [{"label": f"label {n}", "value": "<b>" * 300_000 + "x" * 1_000_000} for n in range(3)]
    document = manifest2(label="y" * 1_000_000, metadata=pairs * 1000)
    about = only(document).about
    assert all(len(text) <= 10_000 for text in about.values())
    assert len(about) <= 9
    many = manifest3(label={f"l{n}": ["x"] * 500 for n in range(5000)})
    assert only(many).about["title"] == "x"


KEYS = (
    "id @id type @type label value metadata items sequences canvases images resource body service "
    "profile sizes width height maxWidth maxHeight maxArea extraFeatures supports protocol "
    "motivation rights license homepage related first next manifests requiredStatement "
    "start source default @value @language en @context"
).split()
TEXTS = (
    "Manifest sc:Manifest Collection Canvas Image Choice SpecificResource painting level0 level1 "
    f"ImageService3 {MANIFEST} {HOME}/other <b>x</b> Artist"
).split() + [""]
LEAVES = st.none() | st.booleans() | st.integers(-5, 5000) | st.floats() | st.sampled_from(TEXTS)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)
WHOLE = (
    manifest2(metadata=[{"label": "Artist", "value": "A"}], related={"@id": HOME}),
    manifest3(metadata=[{"label": {"en": ["Artist"]}, "value": {"en": ["A"]}}], rights=HOME),
    manifest3(canvas3(body=image(service=[service(2, 1, sizes=[{"width": 9, "height": 9}])]))),
    collection3(f"{HOME}/other", first=f"{HOME}/other"),
)


def paths(part, path=()):
    """Yield the way to each part of a document."""
    inner = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in inner:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))


def spoil(document, path, value):
    """Return a document with another value in one place."""
    spoilt = json.loads(json.dumps(document))
    part = spoilt
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return spoilt


SPOILT = st.sampled_from(WHOLE).flatmap(
    lambda document: st.builds(
        spoil, st.just(document), st.sampled_from(list(paths(document))), JSON
    )
)


@settings(deadline=None, max_examples=examples(300), suppress_health_check=list(HealthCheck))
@given(first=SPOILT | JSON, other=SPOILT | JSON, every_page=st.booleans())
def test_any_json_gives_sound_items_or_a_sentence(first, other, every_page):
    library = Library({MANIFEST: first, f"{HOME}/other": other})
    library.documents |= {f"{MANIFEST}/info.json": other, f"{HOME}/other/info.json": first}
    try:
        items = list(iiif.items(library, MANIFEST, every_page=every_page))
    except ArtsearchError as error:
        assert "\n" not in str(error)
        return
    for item in items:
        assert isinstance(item.key, str) and item.key
        assert item.image.startswith(("http://", "https://")) or item.reason
        assert all(isinstance(text, str) for pair in item.about.items() for text in pair)
    assert len({item.key for item in items}) == len(items)


@settings(deadline=None, max_examples=examples(300))
@given(st.text("<>!&-[]/ab \n'\"=", max_size=40))
def test_any_markup_becomes_one_line(text):
    assert "\n" not in strip_markup(text)


# All together


def test_a_nested_collection_becomes_a_folder_that_opens(tmp_path, paintings):
    names = [
        "leonardo-da-vinci_mona-lisa",
        "katsushika-hokusai_poppies",
        "giuseppe-arcimboldo_spring",
    ]
    with Loopback() as server:
        places = []
        for name in names:
            base = f"{server.url}/iiif/{name}"
            body = {"type": "Image", "service": [service(3) | {"id": base}]}
            label = {"en": [name.split("_")[1].replace("-", " ").title()]}
            metadata = [{"label": {"it": ["Autore"]}, "value": {"none": [name.split("_")[0]]}}]
            document = manifest3(canvas3(body=body), label=label, metadata=metadata)
            places.append(server.put(f"/{name}", json.dumps(document).encode()))
            picture = (paintings / f"{name}.jpg").read_bytes()
            server.put(f"/iiif/{name}/full/!512,512/0/default.jpg", picture)
        inner = server.put("/inner", json.dumps(collection3(*places[1:])).encode())
        missing = f"{server.url}/missing"
        root = server.put("/root", json.dumps(collection3(places[0], inner, missing)).encode())
        client = Client(rate=10_000, retries=0, pause=0)
        out = tmp_path / "out"
        items = iiif.items(client, root, side=512)
        fetched = fetch(items, out, client=client, side=512, progress=False)
    assert (fetched.added, [key for key, _ in fetched.skipped]) == (3, [missing])
    works = Collection(out).works
    assert sorted(works["title"]) == ["Mona Lisa", "Poppies", "Spring"]
    assert set(works["source"]) == set(places)


# What servers refuse, each in a way of its own


class ImageServer(Loopback):
    """An Image API on 127.0.0.1 that refuses what its level and its limits do not allow.

    `over` notes requests for more than the limits; sizes that would enlarge are refused, too.
    """

    def __init__(self, size, level=2, version=3, limits=None, sizes=(), refuses=()):
        super().__init__()
        self.size, self.level, self.version = size, level, version
        self.limits, self.sizes, self.refuses = limits or {}, sizes, refuses
        self.over = []
        self.answers = _Computed(self)

    def allows(self, width, height):
        most = self.limits.get("maxWidth", 10**9)
        within = width <= most and height <= self.limits.get("maxHeight", most)
        return within and width * height <= self.limits.get("maxArea", 10**18)

    def describe(self):
        """Return what the service says of itself, as its version has it."""
        sizes = [{"width": w, "height": h} for w, h in self.sizes]
        said = service(self.version, self.level) | {"sizes": sizes}
        said |= dict(zip(("width", "height"), self.size, strict=True))
        if self.version == 2:
            return said | {"profile": [said["profile"], self.limits]}
        return said | self.limits

    def answer(self, path):
        found = re.fullmatch(r"/iiif/img/full/([^/]+)/0/(?:default|native)\.jpg", path)
        size = self.measure(found[1]) if found else None
        if size is None or found[1] in self.refuses:
            return Answer(status=400) if found else None
        if not self.allows(*size):
            self.over.append(path)
            return Answer(status=403)
        return Answer(encode(Image.new("RGB", size, "red"), "PNG"))

    def measure(self, text):
        """Return the size of what is asked for, or None where this level does not know it."""
        width, height = self.size
        exact = re.fullmatch(r"(!?)(\d*),(\d*)", text)
        if text in ("full", "max"):
            scale = 1
            while text == "max" and not self.allows(int(width * scale), int(height * scale)):
                scale *= 0.99
            return int(width * scale), int(height * scale)
        if not exact or (exact[1] and self.level < 2):
            return None
        wide, high = (int(side) if side else None for side in exact.groups()[1:])
        if (wide, high) in self.sizes:
            return wide, high
        if self.level == 0 or (wide and high and not exact[1]):
            return None
        scale = min(side / full for side, full in ((wide, width), (high, height)) if side)
        return (round(width * scale), round(height * scale)) if scale <= 1 else None


class _Computed(dict):
    def __init__(self, server):
        super().__init__()
        self.server = server

    def get(self, path, default):
        return super().get(path) or self.server.answer(path) or default


class Direct:
    """A client that reads a server's answers without a journey."""

    absent, failures, refusals = frozenset(), 0, 0

    def __init__(self, server):
        self.server = server

    def get(self, address):
        answer = self.server.answers.get(address.removeprefix(self.server.url), Answer(status=404))
        if answer.status != 200:
            raise FetchError(f"answered {answer.status}", answer.status)
        return answer.body

    def json(self, address):
        return json.loads(self.get(address))


LIMITS = (
    {},
    {"maxWidth": 900},
    {"maxWidth": 1500, "maxHeight": 300},
    {"maxArea": 400_000},
    {"maxWidth": 1000, "maxHeight": 700, "maxArea": 123_457},
)


@pytest.mark.parametrize("stated", ["manifest", "info"])
@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize(("version", "level"), [(v, n) for v in (2, 3) for n in (0, 1, 2)])
@pytest.mark.parametrize("size", [(1600, 1100), (1100, 1601), (300, 200)])
def test_no_server_is_asked_for_more_than_it_allows(version, level, limits, stated, size, tmp_path):
    width, height = size
    sizes = [(width * n // 8, height * n // 8) for n in (3, 8, 1, 5)]
    server = ImageServer(size, level, version, limits, sizes)
    client = Direct(server)
    base, said = f"{server.url}/iiif/img", server.describe()
    name = "id" if version == 3 else "@id"
    given = (said if stated != "info" else service(version, level)) | {name: base}
    if stated != "manifest":
        server.put("/iiif/img/info.json", json.dumps(said | {name: base}).encode())
    body = {"type": "Image", "width": width, "height": height, "service": [given]}
    root = server.put("/m", json.dumps(manifest3(canvas3(body=body))).encode())
    fetched = fetch(iiif.items(client, root), tmp_path / "out", client=client, progress=False)
    server._server.server_close()
    assert (fetched.added, server.over) == (1, [])
    allowed = [(w, h) for w, h in sizes if server.allows(w, h)]
    [path] = (tmp_path / "out").glob("*.jpg")
    with Image.open(path) as found:
        least = max((min(max(size), 1024) for size in allowed), default=0)
        assert least <= max(found.size) <= 1024
        assert found.width / found.height == pytest.approx(width / height, rel=0.02)
        if level and limits == {"maxArea": 400_000} and max(size) > 1000:
            assert 390_000 < found.width * found.height <= 400_000


@pytest.fixture
def bring(tmp_path):
    """Fetch as on a command line, as fast as the server answers."""

    def bring(*words):
        command = ["iiif", *map(str, words), "--out", str(tmp_path / "out")]
        return CliRunner().invoke(Commands(commands={"fetch": fetch_command}), ["fetch", *command])

    return bring


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Let a client on a command line ask without pauses."""
    monkeypatch.setattr(Client.__init__, "__defaults__", (10_000,))


def put_manifest(server, *names, path="/m", **service_more):
    """Answer with a manifest of pages, each with a picture of the server's own name for it."""
    pages = []
    for name in names:
        given = service(3, name=name, **service_more) | {"id": f"{server.url}/iiif/{name}"}
        body = {"id": f"{server.url}/{name}.jpg", "type": "Image", "service": given}
        pages.append(canvas3(name, body=body))
    return server.put(path, json.dumps(manifest3(*pages, id=server.url + path)).encode())


RED = encode(Image.new("RGB", (60, 40), "red"), "PNG")


def test_a_service_that_refuses_all_sizes_leaves_the_images_own_address(bring, tmp_path):
    with Loopback() as server:
        root = put_manifest(server, "a", **LARGE)
        for size in ("!1024,1024", "max"):
            server.put(f"/iiif/a/full/{size}/0/default.jpg", b"no", status=400)
        server.put("/a.jpg", RED)
        assert "1 works added" in bring(root).output
        assert "GET /a.jpg" in server.asked


def test_a_server_that_does_not_enlarge_gives_the_size_that_nobody_stated(bring, tmp_path):
    for version in (2, 3):
        out = tmp_path / str(version)
        with ImageServer((300, 200), version=version) as server:
            name = "id" if version == 3 else "@id"
            given = service(version) | {name: f"{server.url}/iiif/img"}
            body = {"@id": f"{server.url}/iiif/img/full/full/0/default.jpg", "service": given}
            root = server.put("/m", json.dumps(manifest2(canvas2(resource=body))).encode())
            client = Client(rate=10_000, retries=0)
            fetch(iiif.items(client, root), out, client=client, progress=False)
        assert Image.open(next(out.glob("*.jpg"))).size == (300, 200)


@pytest.mark.parametrize("version", [2, 3])
def test_a_collection_written_out_inside_a_collection_is_not_asked_for(version, bring, tmp_path):
    with Loopback() as server:
        places = [put_manifest(server, name, path=f"/{name}") for name in "ab"]
        for name in "abc":
            server.put(f"/{name}.jpg", RED)
        written = json.loads(server.answers["/a"].body) | {"id": f"{server.url}/gone/c"}
        written["items"][0]["items"][0]["items"][0]["body"]["id"] = f"{server.url}/c.jpg"
        if version == 3:
            parts = [{"id": place, "type": "Manifest"} for place in places]
            inner = {"id": f"{server.url}/gone", "type": "Collection", "items": [*parts, written]}
            root = {"type": "Collection", "items": [inner]}
        else:
            parts = [{"@id": place, "@type": "sc:Manifest"} for place in places]
            inner = {"@id": f"{server.url}/gone", "@type": "sc:Collection", "manifests": parts}
            inner = {"@type": "sc:Collection", "collections": [inner], "members": [written]}
            root = {"@type": ["sc:Collection"], "collections": [inner]}  # one without an id
        address = server.put("/root", json.dumps(root).encode())
        assert "3 works added" in bring(address).output
        assert not any("gone" in line for line in server.asked)
        server.asked.clear()
        assert "0 works added" in bring(address).output
        assert not any("/full/" in line or "gone" in line for line in server.asked)


@pytest.mark.parametrize("status", [401, 403])
def test_locked_pages_are_counted_and_the_open_ones_behind_them_come(status, bring, tmp_path):
    names = [f"locked{n}" for n in range(30)] + ["open1", "locked30", "open2"]
    with Loopback() as server:
        root = put_manifest(server, *names)
        for name in names:
            locked = {} if name.startswith("open") else {"status": status}
            server.put(f"/iiif/{name}/full/!1024,1024/0/default.jpg", RED, **locked)
        for added in (2, 0):
            answer = bring(root, "--every-page")
            assert answer.exit_code == 0
            assert f"{added} works added" in answer.output and "31 left out" in answer.output
        server.put("/iiif/locked7/full/!1024,1024/0/default.jpg", RED)
        assert "1 works added" in bring(root, "--every-page").output


@pytest.mark.parametrize("status", [401, 403])
def test_locked_manifests_of_a_collection_are_counted(status, bring):
    with Loopback() as server:
        places = [server.put(f"/locked{n}", status=status) for n in range(30)]
        places.append(put_manifest(server, "open"))
        server.put("/open.jpg", RED)
        root = server.put("/root", json.dumps(collection3(*places)).encode())
        assert "1 works added" in (answer := bring(root)).output
        assert "30 left out" in answer.output


def test_a_server_that_gives_nothing_any_more_is_left_in_peace(bring):
    with Loopback() as server:
        places = [put_manifest(server, f"p{n}", path=f"/m{n}") for n in range(500)]
        server.put("/p0.jpg", RED)
        root = server.put("/root", json.dumps(collection3(*places)).encode())
        given = server.answers.get
        server.answers = _Shut(server, given)
        answer = bring(root)
        assert answer.exit_code == 1
        assert "403 Forbidden; 1 works are in" in answer.output
        assert len(server.asked) < 60


@pytest.mark.parametrize(("status", "most"), [(401, 50), (403, 50), (429, 5), (503, 5)])
def test_where_all_pictures_are_refused_it_ends_and_the_next_run_comes_further(
    status, most, bring, monkeypatch
):
    monkeypatch.setattr(
        Client.__init__, "__kwdefaults__", Client.__init__.__kwdefaults__ | {"retries": 0}
    )
    names = ["open", *(f"p{n}" for n in range(80)), "beyond"]
    with Loopback() as server:
        places = [put_manifest(server, name, path=f"/{name}") for name in names]
        for name in names:
            locked = {} if name in ("open", "beyond") else {"status": status}
            server.put(f"/iiif/{name}/full/!1024,1024/0/default.jpg", RED, **locked)
            server.put(f"/{name}.jpg", RED, **locked)
        root = server.put("/root", json.dumps(collection3(*places)).encode())
        answer = bring(root)
        assert answer.exit_code == 1
        said = (
            f"pictures of {most} works in a row were refused, .* answered {status} .*; 1 works are"
        )
        assert re.search(said, answer.output) and "same command goes on there" in answer.output
        assert f"GET /p{most}" not in server.asked
        server.asked.clear()
        answer = bring(root)
        assert f"GET /p{min(2 * most, 80) - 1}" in server.asked
        assert ("1 works added" in answer.output) == (most == 50)


class _Shut(dict):
    """Answers six times, then refuses all."""

    def __init__(self, server, given):
        super().__init__()
        self.server, self.given = server, given

    def get(self, path, default):
        shut = len(self.server.asked) > 6
        return Answer(status=403) if shut else self.given(path, default)


def test_a_picture_that_breaks_the_server_counts_once(bring, monkeypatch):
    monkeypatch.setattr(
        Client.__init__, "__kwdefaults__", Client.__init__.__kwdefaults__ | {"retries": 0}
    )
    sizes = [{"width": w, "height": w} for w in (3000, 2000, 1500)]
    with Loopback() as server:
        root = put_manifest(server, "broken", "sound", sizes=sizes, **LARGE)
        for size in ("!1024,1024", "3000,3000", "2000,2000", "1500,1500", "max"):
            server.put(f"/iiif/broken/full/{size}/0/default.jpg", status=500)
        server.put("/broken.jpg", status=500)
        server.put("/iiif/sound/full/!1024,1024/0/default.jpg", RED)
        answer = bring(root, "--every-page")
        assert "1 works added" in answer.output and "1 left out" in answer.output
