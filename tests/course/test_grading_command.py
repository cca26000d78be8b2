"""`minipref course grade`: a class of two on a notebook of ours, and mistakes on the way there."""

import csv
import shutil
import sys

import pytest

from minipref.cli import main
from minipref.course.notebooks import find
from minipref.course.student import student
from minipref.resources import ROOT


def grade(monkeypatch, capsys, *arguments):
    """The command's exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", ["minipref", "course", "grade", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    out = capsys.readouterr()
    return end.value.code or 0, out.out, out.err


@pytest.mark.slow
def test_a_solved_edition_gets_everything_and_an_untouched_one_nothing(
    tmp_path, monkeypatch, capsys
):
    """And a second run writes the same bytes."""
    (path,) = find(["04"])
    folder = tmp_path / "class"
    student(folder / "untouched", ["04"])
    (folder / "solved").mkdir()
    shutil.copy(ROOT / "notebooks" / f"{path.stem}.ipynb", folder / "solved")
    points = tmp_path / "points.toml"
    points.write_text('["04"]\ndelta = 1\nmy_dpo = 2\nipo_coefficient = 2\n')
    seen = []
    for jobs in (1, 2):
        out = tmp_path / f"run {jobs}" / "grades.csv"
        arguments = (folder, "--seed", 3, "--points", points, "--out", out, "--jobs", jobs)
        code, printed, errors = grade(monkeypatch, capsys, *arguments)
        assert code == 0, errors
        assert str(out) in printed.splitlines()
        seen.append({f.name: f.read_bytes() for f in out.parent.rglob("*.*")})
    assert seen[0] == seen[1]
    rows = list(csv.DictReader(seen[0]["grades.csv"].decode().splitlines()))
    assert [(row["student"], row["verdict"], row["points"]) for row in rows] == [
        *(("solved", "right", worth) for worth in ("1", "2", "2")),
        *(("untouched", "wrong", "0") for _ in range(3)),
    ]
    assert all("nothing there yet" in row["reason"] for row in rows[3:])


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys):
    (tmp_path / "class").mkdir()
    for arguments, says in (
        ((tmp_path / "nowhere",), "there is no folder"),
        ((tmp_path / "class", "--out", "grades.xlsx"), "--out: expected a name that ends in .csv"),
        ((tmp_path / "class", "--points", tmp_path / "no.toml"), "there is no points file"),
    ):
        code, printed, errors = grade(monkeypatch, capsys, *arguments)
        assert code == 2
        assert printed == ""
        assert says in errors
        assert "Traceback" not in errors
    (tmp_path / "class" / "ada").mkdir()
    code, _, errors = grade(monkeypatch, capsys, tmp_path / "class")
    assert code == 2
    assert "nobody handed in a notebook of this course" in errors
