"""The shipped notebooks: built from their sources, within budget, and exercises that grade."""

import pytest

from minipref.course import census, exercises, notebooks
from minipref.course.student import unsolved
from minipref.resources import ROOT

SOURCES = notebooks.sources()
by_name = pytest.mark.parametrize("source", SOURCES, ids=[path.stem for path in SOURCES])


@by_name
def test_the_built_notebook_is_the_source(source):
    assert notebooks.differences(source, ROOT / "notebooks" / f"{source.stem}.ipynb") == []


@by_name
def test_a_notebook_keeps_its_budget_and_has_every_kind_of_cell(source):
    built = ROOT / "notebooks" / f"{source.stem}.ipynb"
    assert census.complaints(*census.of_file(built)) == []


@pytest.mark.slow
@by_name
def test_the_solved_edition_passes_and_the_students_fails(source):
    solved = notebooks.read_source(source)
    numbers = exercises.checks(solved)
    assert numbers
    for number in numbers:
        assert exercises.run(solved, number) is None
        error = exercises.run(unsolved(solved), number)
        assert error is not None, f"cell {number} of {source.stem} passes without a solution"
        assert isinstance(error, AssertionError | NotImplementedError), repr(error)


def test_no_built_notebook_lacks_a_source():
    built = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert built == {path.stem for path in SOURCES}
