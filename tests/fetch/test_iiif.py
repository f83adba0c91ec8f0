"""IIIF documents of both versions as institutions publish them, and as they should not be."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Loopback
from tiers import examples

from artsearch.base.errors import ArtsearchError
from artsearch.base.http import Client, FetchError
from artsearch.fetch import iiif
from artsearch.fetch.iiif import address_image, strip_markup, text_of
from artsearch.fetch.items import fetch
from artsearch.works.collection import Collection

HOME = "https://example.org"
MANIFEST = f"{HOME}/m/1"


class Library:
    """Answers addresses with documents; notes what was asked for."""

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


@pytest.mark.parametrize(
    ("given", "info", "request_"),
    [
        # Level 2 can do all that is needed, and is not asked.
        (service(3), None, "!1024,1024/0/default.jpg"),
        (service(2), None, "!1024,1024/0/default.jpg"),
        (service(1), None, "!1024,1024/0/native.jpg"),
        (service(2, maxWidth=800), None, "!800,800/0/default.jpg"),
        (
            service(2) | {"profile": [service(2)["profile"], {"maxWidth": 600}]},
            None,
            "!600,600/0/default.jpg",
        ),
        # What is small already is asked for as it is.
        (service(3, width=800, height=600), None, "max/0/default.jpg"),
        (service(2, width=800, height=600), None, "full/0/default.jpg"),
        # Level 1 knows one side at a time.
        (service(3, 1), {"width": 4000, "height": 3000}, "1024,/0/default.jpg"),
        (service(2, 1), {"width": 3000, "height": 4000}, ",1024/0/default.jpg"),
        (service(3, 1), {"width": 4000, "height": 3000, "maxWidth": 512}, "512,/0/default.jpg"),
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
            service(2),
            "!1024,1024/0/default.jpg",
        ),
    ],
)
def test_an_image_is_asked_for_at_the_size_wanted(given, info, request_):
    library = Library({f"{HOME}/iiif/img/info.json": info} if info is not None else {})
    assert address_image(library, image(service=[given]), 1024).endswith(f"/img/full/{request_}")
    assert len(library.asked) == (info is not None)


def test_where_the_service_does_not_answer_the_image_itself_is_taken():
    library = Library({})
    assert address_image(library, image(service=service(2, 0)), 1024) == f"{HOME}/whole.jpg"
    assert library.asked == [f"{HOME}/iiif/img/info.json"]


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
    assert address_image(library, image(service=other), 1024) == f"{HOME}/whole.jpg"
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
    assert len(library.asked) == len(set(library.asked))


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
    assert library.asked == [MANIFEST, b]


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
    "profile sizes width height maxWidth motivation rights license homepage related first next "
    "manifests requiredStatement start source default @value @language en @context"
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
