"""Grading: points files, who handed in what, the table and the pages."""

import pytest
from hostile.tiny_course import write_course
from hypothesis import given
from hypothesis import strategies as st

from minipref.course.grading.exercises import exercises_of
from minipref.course.grading.points import points_of
from minipref.course.grading.reports import Row, one_line, page, table
from minipref.course.grading.submissions import submissions
from minipref.course.notebooks import write
from minipref.course.student import unsolved


def exercise(tmp_path):
    """The tiny course's solved notebook and its exercises by name."""
    solved = write_course(tmp_path / "src")
    return solved, {each.name: each for each in exercises_of("01_tiny", solved)}


GOOD = {
    "p.toml": '[01_tiny]\nmy_dpo = 2\ntotal = 0.5\n["01"]\nanswer = 0\n',
    "p.csv": "notebook,exercise,points\n01,my_dpo,2\n01_tiny,total,0.5\n01,answer,0\n",
}
BAD = {
    "none.toml": (None, "there is no points file"),
    "p.txt": ("", r"\.toml or \.csv"),
    "a.toml": ("[[", "not TOML"),
    "b.toml": ("my_dpo = 1", "expected a table"),
    "c.toml": ('["01"]\nmy_dop = 1', "exercise in 01_tiny called 'my_dop'; there is my_dpo"),
    "d.toml": ("[07]\nx = 1", "no notebook called '07'"),
    "e.toml": ('["01"]\nmy_dpo = -1', "0 or more, got -1"),
    "f.toml": ('["01"]\nmy_dpo = nan', "got nan"),
    "g.toml": ('["01"]\nmy_dpo = true', "got True"),
    "h.toml": ('["01"]\nmy_dpo = 1\n[01_tiny]\nmy_dpo = 2', "stands there twice"),
    "i.toml": ("", "names no exercise"),
    "j.csv": ("a,b\n", "expected the columns"),
    "k.csv": ("notebook,exercise,points\n01,my_dpo\n", "k.csv:2: expected three values"),
    "l.csv": ("notebook,exercise,points\n01,my_dpo,many\n", "l.csv:2: .* got 'many'"),
}


def test_points(tmp_path):
    _, found = exercise(tmp_path)
    for name, text in GOOD.items():
        (tmp_path / name).write_text(text)
        assert points_of(tmp_path / name, list(found.values())) == {
            ("01_tiny", "my_dpo"): 2,
            ("01_tiny", "total"): 0.5,
            ("01_tiny", "answer"): 0,
        }


@pytest.mark.parametrize("name", BAD)
def test_a_bad_points_file_is_one_clear_error(tmp_path, name):
    _, found = exercise(tmp_path)
    text, says = BAD[name]
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=says):
        points_of(tmp_path / name, list(found.values()))


def test_who_handed_in_what(tmp_path):
    solved, found = exercise(tmp_path)
    exercises = list(found.values())
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(ValueError, match="a folder or a notebook"):
        submissions(folder, exercises)
    (folder / "ada" / "week 1").mkdir(parents=True)
    write(unsolved(solved), folder / "ada" / "week 1" / "copy of 01.ipynb")
    write(unsolved(solved), folder / "ada" / "week 1" / "copy of 02.ipynb")
    (folder / "ada" / "other.ipynb").write_text('{"cells": []}')
    write(unsolved(solved), folder / "bob.ipynb")
    (folder / "eve").mkdir()
    (folder / "eve" / "01_tiny.ipynb").symlink_to(folder / "bob.ipynb")
    (folder / "notes.txt").write_text("")
    ada, bob, eve = submissions(folder, exercises)
    assert (ada.student, list(ada.notebooks)) == ("ada", ["01_tiny"])
    assert any("not a notebook of this course" in note for note in ada.notes)
    assert any("handed in already" in note for note in ada.notes)
    assert (bob.student, list(bob.notebooks), bob.notes) == ("bob", ["01_tiny"], [])
    assert eve.notebooks == {}
    assert "passed over" in eve.notes[0]
    (folder / "bob").mkdir()
    with pytest.raises(ValueError, match="bob has both"):
        submissions(folder, exercises)


@given(address=st.integers(2**24, 2**63))
def test_addresses_do_not_make_a_run_unlike_the_next(address):
    assert one_line(f"<T at {address:#x}>") == "<T at 0x...>"


@given(reason=st.text(), student=st.text(min_size=1))
def test_no_text_of_a_student_is_a_formula_or_a_line(reason, student):
    row = Row(student, "01_tiny", "my_dpo", 2.0, 0.0, "wrong", reason)
    text = table([row])
    assert len(text.splitlines()) == 2
    assert not text.splitlines()[1].startswith(("=", "+", "@", "-"))
    lines = page(student, [row], 3, []).splitlines()
    assert sum(line.startswith("|") for line in lines) == 3
    assert sum(line.startswith("#") for line in lines) == 2


def test_rows_are_in_order_whoever_came_first():
    rows = [Row(s, "01", e, 1.0, 1.0, "right", "") for s in "ba" for e in "yx"]
    assert table(rows) == table(rows[::-1])
    assert "a: 2 of 4" not in page("a", rows[2:], 0, [])
    assert "# a: 2 of 2 points" in page("a", rows[2:], 0, [])
