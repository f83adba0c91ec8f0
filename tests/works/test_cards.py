"""Works without a picture at hand: what is shown of them, and which servers are asked for it."""

import io
import time
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from loopback import Loopback, closed_address
from PIL import Image

from artsearch.base.errors import CollectionError, ImageError, VectorsAloneError
from artsearch.works import cards
from artsearch.works.cards import Card
from artsearch.works.collection import Collection
from artsearch.works.images import open_image, thumbnail
from artsearch.works.thumbnails import Thumbnails


def png(colour=(200, 30, 30), size=(60, 40)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def web(monkeypatch):
    """A server; nothing is known of any address, and downloads are allowed."""
    for name in ("ARTSEARCH_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cards, "_nothing", set())
    monkeypatch.setattr(cards, "_resting", {})
    monkeypatch.setattr(cards, "_said", set())
    monkeypatch.setattr(cards, "MANNERS", cards.MANNERS | {"rate": 1000, "retries": 0})
    cards._client.cache_clear()
    with Loopback() as server:
        yield server
    cards._client.cache_clear()


def is_card(image: Image.Image) -> bool:
    """Tell a card, whose paper is pale, from the red picture."""
    return image.getpixel((image.width // 2, image.height // 2))[1] > 200


def test_a_picture_is_fetched_when_it_is_shown_and_kept(web, tmp_path):
    card = Card("met/1", tmp_path, web.put("/1.png", png()))
    assert not web.asked and not card.is_here
    assert thumbnail(card, 30).size == (30, 20) and not is_card(thumbnail(card, 30))
    assert web.asked == ["GET /1.png"] and card.is_here
    assert not is_card(thumbnail(replace(card, asks=False), 30))


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 403},
        {"body": b"<html>no picture</html>"},
        {"body": b""},
        {"status": 302, "headers": {"Location": "file:///etc/hostname"}},
    ],
)
def test_an_address_that_serves_no_picture_gives_the_card_and_is_asked_once(web, tmp_path, answer):
    card = Card("met/1", tmp_path, web.put("/1.png", **answer), title="The Harvesters")
    with pytest.warns(
        UserWarning, match=r"no picture at 'http.*1.png' .*correct the column 'image'"
    ):
        assert is_card(thumbnail(card, 200))
    said = thumbnail(card, 200)
    assert is_card(said) and said != thumbnail(replace(card, address=""), 200)
    assert web.asked == ["GET /1.png"] and not (tmp_path / cards.KEPT).exists()


@pytest.mark.parametrize(
    "address",
    ["", "file:///etc/hostname", "ftp://x.org/a.jpg", "/etc/hostname", "http://[::1", "x"],
)
def test_only_the_web_is_asked(web, tmp_path, address):
    with pytest.warns(UserWarning) if address else nullcontext():
        assert is_card(thumbnail(Card("a", tmp_path, address), 200))


def test_a_server_that_does_not_answer_is_left_in_peace(web, tmp_path):
    gone = closed_address()
    with pytest.warns(UserWarning, match="cannot be reached.*or come back later"):
        assert is_card(thumbnail(Card("a", tmp_path, f"{gone}/a.jpg"), 200))
    start = time.monotonic()
    for number in range(200):
        assert not Card("a", tmp_path, f"{gone}/{number}.jpg").read(bytes)
    assert time.monotonic() - start < 0.5


def test_offline_no_server_is_asked(web, tmp_path, monkeypatch):
    monkeypatch.setenv("ARTSEARCH_OFFLINE", "1")
    card = Card("met/1", tmp_path, web.put("/1.png", png()))
    assert is_card(thumbnail(card, 200)) and not web.asked
    monkeypatch.delenv("ARTSEARCH_OFFLINE")
    assert not is_card(thumbnail(card, 200))


def test_a_large_picture_is_kept_small(web, tmp_path):
    card = Card("met/1", tmp_path, web.put("/1.png", png(size=(2000, 1000))))
    assert max(open_image(card.read(lambda data: data) or b"").size) == 2000
    card = Card("met/1", tmp_path / "other", card.address)
    thumbnail(card, 200)
    assert open_image(card.kept).size == (1024, 512)


def test_what_a_card_says_may_be_anything(tmp_path):
    """Long words, other scripts, line ends, nothing at all, and the smallest sides."""
    for words in ("", "x" * 5_000, "星月夜 امرأة", "a\nb\x00c", "<b>$x$</b>"):
        for side in (1, 8, 96, 640):
            card = Card("id", tmp_path, artist=words, title=words, year=words, link=words)
            assert max(card.draw(side).size) == side
    plain = np.asarray(Card("id", tmp_path).draw(250))
    written = np.asarray(Card("id", tmp_path, title="The Harvesters").draw(250))
    assert (plain != written).any()


def make(folder, table: str) -> Collection:
    (folder / "vectors/model/met").mkdir(parents=True)
    (folder / "vectors/model/met/manifest.json").write_text("{}")
    (folder / "works.csv").write_text(table)
    return Collection(folder)


def test_a_collection_of_vectors_has_the_works_of_its_table(tmp_path):
    works = make(tmp_path / "a", "id,artist,title,link\nmet/2,Ada,One,https://x.org\nmet/1,,,\n")
    assert works.ids == ["met/2", "met/1"] and not works.has_pictures and not works.skipped
    assert works.caption("met/2") == "Ada, One" and works.caption("met/1") == "1"
    card = works.path("met/2")
    assert (card.artist, card.title, card.link, card.address) == ("Ada", "One", "https://x.org", "")
    with pytest.raises(ImageError, match="'met/2' is known by its vector alone"):
        works.open("met/2")
    with pytest.raises(VectorsAloneError, match="'met/2' is known by its vector alone"):
        next(works.readable())


def test_rows_without_an_id_and_of_the_same_id_are_said(tmp_path):
    with pytest.warns(
        UserWarning, match="2 left out of a: .* .no id.; 'x' .a second row of this id"
    ):
        works = make(tmp_path / "a", "id,title\nx,One\n,Two\nx,Three\n")
    assert works.work("x")["title"] == "One" and works.ids == ["x"]


def test_a_folder_of_pictures_may_have_one_called_vectors(tmp_path):
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors/logo.png").write_bytes(png())
    (tmp_path / "works.csv").write_text("file,title\nvectors/logo.png,A logo\n")
    works = Collection(tmp_path)
    assert works.has_pictures and works.ids == ["vectors/logo.png"]


def test_a_table_that_names_no_work_is_refused(tmp_path):
    with pytest.raises(CollectionError, match="no column 'id' .what its vector is found by."):
        make(tmp_path / "a", "file,title\nx.jpg,One\n")
    with pytest.raises(CollectionError, match="names no work"):
        make(tmp_path / "b", "id,title\n")


def test_a_view_does_not_wait_for_addresses(web, tmp_path):
    address = web.put("/1.png", png())
    works = make(tmp_path / "a", f"id,image\nx,{address}\ny,\n")
    small = Thumbnails(works, tmp_path / "thumbs")
    small.prepare(works.ids)
    assert small.size("x") == (cards.WIDTH, cards.HEIGHT) and not web.asked
    picture, card = small.read("x", "thumb"), small.read("y", "thumb")
    assert web.asked == ["GET /1.png"]
    assert not is_card(open_image(picture)) and is_card(open_image(card))
    assert small.size("x") == (60, 40)
