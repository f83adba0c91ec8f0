"""Each of the deliberate faults can be put into the code, and names tests that are there."""

import ast
import shutil

import pytest
from mutants import FAULTS, ROOT

#: As many as are promised, and some to spare.
LEAST = 36


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= LEAST


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_put_in(fault, tmp_path):
    path = tmp_path / "artsearch" / fault.file
    path.parent.mkdir(parents=True)
    shutil.copy(ROOT / "artsearch" / fault.file, path)
    before = path.read_bytes()
    fault.apply(tmp_path)
    assert path.read_bytes() != before
    if path.suffix == ".py":  # a file that cannot be read at all would be noticed by anything
        ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_tests_named_are_there(fault):
    for test in fault.tests.split():
        file, _, function = test.partition("::")
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not function or f"\ndef {function}(" in text
