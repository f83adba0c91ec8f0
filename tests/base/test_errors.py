"""One line for everything that a user can put right."""

import pytest

from artsearch.base.errors import (
    ArtsearchError,
    CollectionError,
    ImageError,
    MismatchError,
    WeightsError,
    check_whole,
    unknown,
)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    folder = str(tmp_path_factory.mktemp("ipython"))
    return InteractiveShell(config=Config(HistoryManager={"enabled": False}), ipython_dir=folder)


@pytest.mark.parametrize(
    "code",
    [
        "from artsearch import Collection; Collection('no such folder')",
        "import artsearch; artsearch.open_image(b'')",
        "from artsearch import NETWORKS; NETWORKS['vg16']",
        "from artsearch import construct_ann_index as build; build('angula', 25, [[1.0]])",
        "from artsearch import construct_ann_index as build; build(features=[[1]]).search('0', 1)",
        "from artsearch import load_index; load_index('no such folder')",
        "from artsearch import load_features; load_features('no such folder')",
        "from artsearch import transform_for; transform_for('vgg16', 'crop')",
        "from artsearch.base.errors import MismatchError as E\n"
        "try: 1 / 0\nexcept ValueError: pass\n"
        "except ZeroDivisionError as first: raise E('these two do not fit') from first",
    ],
)
def test_a_notebook_shows_one_line(shell, capsys, code):
    done = shell.run_cell(code)
    shown = capsys.readouterr().out.strip()
    assert isinstance(done.error_in_exec, ArtsearchError)
    assert shown == f"{type(done.error_in_exec).__name__}: {done.error_in_exec}"
    assert "\n" not in shown and "Traceback" not in shown


def test_a_mistake_of_the_program_still_shows_its_traceback(shell, capsys):
    shell.run_cell("1 / 0")
    assert "Traceback" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [CollectionError, ImageError, MismatchError, WeightsError])
def test_all_kinds_can_be_caught_at_once(kind):
    assert issubclass(kind, ArtsearchError) and issubclass(kind, ValueError)


def test_unknown_names_value_choices_and_the_nearest():
    assert str(unknown("metric", "angulr", ["angular", "dot"])) == (
        "unknown metric 'angulr'; did you mean 'angular'? known: angular, dot"
    )
    assert str(unknown("crop", "x", ["a", "b"], ", or none")) == (
        "unknown crop 'x'; known: a, b, or none"
    )
    assert str(unknown("crop", None, ["a"])) == "unknown crop None; known: a"
    assert "did you mean 'sub/mona-lisa.jpg'" in str(unknown("work", "Mona", ["sub/mona-lisa.jpg"]))


def test_unknown_stays_one_short_line_whatever_the_choices():
    choices = [f"folder\n{number}/a long name of a file.jpg" for number in range(10_000)]
    message = str(unknown("work", "nothing\nlike it", choices))
    assert len(message) < 800 and "\n" not in message and "(10000 in all)" in message


def test_whole_numbers():
    import numpy as np

    for good in (1, 7, np.int64(3)):
        check_whole("k", good)
    for bad in (0, True, np.True_, 1.0, np.float32(2), "1", None):
        with pytest.raises(ArtsearchError, match="k is .*; take a whole number from 1 on"):
            check_whole("k", bad)
