"""Which work a picture shows: found again however it was altered, and none where it is none."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.cli.commands import main
from artsearch.evaluate.alterations import ALTERATIONS, STRONG, alter_all
from artsearch.points.identify import Identifier
from artsearch.points.local import MOST, Points, find_points
from artsearch.points.verify import agree, project
from artsearch.points.votes import Votes

WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def identifier(collection, out):
    return Identifier.of(collection, out, progress=False)


@pytest.fixture(scope="module")
def wave(collection):
    return collection.open(WAVE)


# Points


def test_points_are_packed_into_a_row_and_back(wave):
    points = find_points(wave)
    row = points.pack()
    again = Points.unpack(row)
    assert row.dtype == np.float32 and len(again) == len(points) == MOST
    assert np.array_equal(again.descriptors, points.descriptors)
    assert np.abs(again.places - points.places)[:, :3].max() < 1e-4
    assert again.extent == pytest.approx(points.extent)


def test_mirrored_points_are_those_of_the_mirrored_picture(wave):
    from PIL import ImageOps

    ours, theirs = find_points(wave).mirrored(), find_points(ImageOps.mirror(wave))
    found = agree(ours, theirs)
    corners = np.array([(0, 0), (ours.extent[0], 0), ours.extent])
    assert found.points > 0.5 * MOST
    assert np.abs(project(found.matrix, corners) - corners).max() < 0.01


def test_a_picture_without_points_agrees_with_nothing(wave):
    empty = find_points(Image.new("RGB", (90, 60), "olive"))
    assert len(empty) == 0 and len(Points.unpack(empty.pack())) == 0
    assert agree(empty, find_points(wave)).points == 0


# Identify


@pytest.mark.parametrize("name", [*ALTERATIONS, *STRONG, "detail of 20 %"])
def test_an_altered_work_is_known_again(identifier, wave, name):
    pictures = alter_all(wave, WAVE, ALTERATIONS | STRONG, (0.2,))
    found = identifier.identify(pictures[name])
    assert found.work == WAVE and found.points >= found.threshold
    assert found.mirrored == (name == "mirrored") and not found.others


def test_outlines_say_where_a_picture_lies(identifier, wave):
    """A cut of the work on a wall: where the cut is in the work, and the work on the wall."""
    width, height = wave.size
    part = wave.crop((width // 4, 0, width, height // 2))
    wall = Image.new("RGB", (2 * part.width, 2 * part.height), "beige")
    wall.paste(part, (part.width // 2, part.height // 2))
    found = identifier.identify(wall)
    (left, top), _, (right, bottom), _ = found.in_work
    assert (left, top) == pytest.approx((0.25 - 0.375, -0.25), abs=0.02)
    assert (right, bottom) == pytest.approx((1.375, 0.75), abs=0.02)
    (left, top), _, (right, bottom), _ = found.in_picture
    assert (left, top) == pytest.approx((0.25 - 1 / 6, 0.25), abs=0.02)
    assert (right, bottom) == pytest.approx((0.75, 1.25), abs=0.02)


def test_what_is_not_there_is_none_of_these(identifier, collection):
    for id in collection.ids:
        points = find_points(collection.open(id))
        assert identifier.recognise(points, without=[id]).work is None
        assert identifier.recognise(points).work == id


def test_points_and_votes_are_kept(identifier, collection, out, monkeypatch):
    monkeypatch.setattr(Votes, "build", lambda features: pytest.fail("built again"))
    again = Identifier.of(collection, out, progress=False)
    assert again.threshold == identifier.threshold
    assert again.identify(collection.path(WAVE)).work == WAVE


def test_damaged_votes_are_built_again(identifier, collection, out):
    (file,) = out.glob("indexes/*-votes/points.faiss")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)
    again = Identifier.of(collection, out, progress=False)
    assert again.identify(collection.path(WAVE)).work == WAVE


def test_a_search_identifies_with_its_network(collection, out):
    from artsearch.search.searches import Searches

    searches = Searches(collection, "efficientnet_lite0", "no_crop", out, progress=False)
    found = searches["efficientnet_lite0", "no_crop"].identify(collection.path(WAVE), out)
    assert found.sentence(collection).startswith("This is Katsushika Hokusai, The Great Wave")


# The evaluation


def test_the_evaluation_counts_right_names_and_right_nones(collection, identifier, out, tmp_path):
    """Of works that were taken out the right answer is none."""
    from artsearch.evaluate.identified import GONE, identified

    blur = {"blur": ALTERATIONS["blur"], "photograph": ALTERATIONS["photograph"]}
    found = identified(collection, out, 3, 0, (1,), blur, (0.25,), progress=False)
    right = found.select(descriptor="identify", metric="recall", k=1).set_index("label")["value"]
    assert right.to_dict() == {"photograph": 1, GONE: 1, "blur": 1, "detail of 25 %": 1}


# The command


def test_the_command_answers_for_a_folder_and_names_what_it_cannot_read(
    identifier, collection, out, tmp_path, wave
):
    wave.convert("L").save(tmp_path / "print.png")
    Image.effect_noise((300, 200), 90).save(tmp_path / "noise.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    options = ["--collection", str(collection.folder), "--out", str(out)]
    run = CliRunner().invoke(main, ["identify", str(tmp_path), *options])
    assert run.exit_code == 0
    assert f"None of the works of {collection.name}." in run.output
    assert "broken.jpg: " in run.output
    least = f"it takes {identifier.threshold} points that agree."
    assert f"1 of 3 photos known again; {least}" in run.output
    run = CliRunner().invoke(main, ["identify", str(tmp_path / "print.png"), *options, "--json"])
    assert json.loads(run.stdout)[0]["work"] == WAVE
    run = CliRunner().invoke(main, ["identify", "nowhere.jpg", *options])
    assert "'nowhere.jpg' is no file and no folder" in run.output


def test_without_opencv_the_command_that_installs_it_is_named(monkeypatch, wave):
    import sys

    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ArtsearchError, match=r"pip install 'artsearch\[identify\]'"):
        find_points(wave)
