"""A batch of hostile submissions beside honest ones: all graded, and nobody harmed."""

import copy
import csv
import hashlib
import re
import sys

import pytest
from hostile_answers import HOSTILE, LINUX_ONLY
from tiny_course import STEM, filled, hand_in, handed_out, write_course

from minipref.course.grading.exercises import exercises_of
from minipref.course.grading.grade import grading
from minipref.course.grading.sandbox import Limits
from minipref.course.grading.trial import Verdict, processes, trial

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no limits but the clock's"),
]
ALL = HOSTILE | (LINUX_ONLY if sys.platform == "linux" else {})
GRADED = ("answer", "my_dpo")
LIMITS = Limits(cpu_seconds=2, wall_seconds=120, memory=1 << 30)


def edited(solved, change):
    """An honest answer's notebook, after `change`."""
    notebook = copy.deepcopy(filled(solved))
    change(notebook)
    return notebook


def without_checks(notebook):
    notebook.cells = [c for c in notebook.cells if "check" not in c.metadata.get("tags", [])]


def with_other_checks(notebook):
    for number in (2, 5, 7):
        notebook.cells[number].source = "print('right')"


def with_new_ids(notebook):
    for number, cell in enumerate(notebook.cells):
        cell.id = f"new-{number}"


def digest(folder):
    """Every file's name and content."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The rows of one run over everybody, by student and exercise."""
    home = tmp_path_factory.mktemp("class")
    solved = write_course(home / "src")
    folder, canary = home / "handed_in", home / "canary.txt"
    canary.write_text("sings")
    patch = pytest.MonkeyPatch()
    patch.setenv("CLASS_SECRET", "hidden")
    hand_in(folder, "honest", filled(solved))
    hand_in(folder, "untouched", handed_out(solved))
    hand_in(folder, "no_checks", edited(solved, without_checks))
    hand_in(folder, "new_ids", edited(solved, with_new_ids))
    wrong = edited(solved, with_other_checks)
    wrong.cells[1].source = "answer = 7"
    hand_in(folder, "other_checks", wrong)
    for name, (source, _) in ALL.items():
        source = source.replace("OTHERS", str(folder)).replace("CANARY", str(canary))
        hand_in(folder, name, filled(solved, my_dpo=source))
    (folder / "nonsense").mkdir()
    (folder / "nonsense" / f"{STEM}.ipynb").write_text("[" * 100_000)
    points = home / "points.toml"
    points.write_text('["01"]\nanswer = 1\nmy_dpo = 3\n')
    before = digest(home)
    run = grading(folder, points, seed=7, limits=LIMITS, source_folder=home / "src")
    assert sum(1 for _ in run.run(jobs=2)) == run.trials
    assert digest(home) == before
    run.write(home / "out" / "grades.csv")
    patch.undo()
    return {(row.student, row.exercise): row for row in run.rows}, home / "out"


def test_honest_answers_get_every_point(graded):
    rows, _ = graded
    for student in ("honest", "no_checks", "new_ids"):
        for name, worth in zip(GRADED, (1, 3), strict=True):
            row = rows[student, name]
            assert (row.verdict, row.points) == ("right", worth), row


def test_stubs_and_edited_checks_get_none(graded):
    rows, _ = graded
    for name in GRADED:
        row = rows["untouched", name]
        assert (row.verdict, row.points) == ("wrong", 0), row
        assert "nothing there yet" in row.reason
        assert rows["nonsense", name].points == 0
    assert rows["other_checks", "answer"].verdict == "wrong"
    assert rows["other_checks", "my_dpo"].verdict == "right"


@pytest.mark.parametrize("name", ALL)
def test_a_hostile_answer_is_wrong_and_says_why(graded, name):
    rows, _ = graded
    row = rows[name, "my_dpo"]
    assert (row.verdict, row.points) == ("wrong", 0), row
    assert re.search(ALL[name][1], row.reason), row.reason


@pytest.mark.parametrize("name", ALL)
def test_its_other_answer_is_graded_as_ever(graded, name):
    rows, _ = graded
    assert rows[name, "answer"].verdict == "right", rows[name, "answer"]


def test_who_never_answers_is_stopped_by_the_clock(tmp_path):
    exercise = next(exercises_of(STEM, write_course(tmp_path)))
    cells = ["import time", "time.sleep(10**6)\nanswer = 0.5"]
    found = trial(exercise, cells, seed=0, limits=Limits(2, 4.0), start=processes())
    assert found == Verdict(False, "no answer within 4 seconds")


def test_where_our_own_answer_fails_nobody_is_judged(tmp_path):
    solved = write_course(tmp_path / "src")
    hand_in(tmp_path / "in", "honest", filled(solved))
    run = grading(tmp_path / "in", source_folder=tmp_path / "src", limits=Limits(2, 60, 1 << 10))
    assert sum(1 for _ in run.run(jobs=2)) == 3
    assert {row.verdict for row in run.rows} == {"not graded"}
    assert all(row.reason.startswith("our own answer fails here") for row in run.rows)


def test_the_files_are_what_was_graded(graded):
    rows, out = graded
    with (out / "grades.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(rows)
    assert [line["student"] for line in lines] == sorted(line["student"] for line in lines)
    assert "# honest: 4 of 4 points" in (out / "grades" / "honest.md").read_text()
    page = (out / "grades" / "writes_markup.md").read_text()
    assert "\n# 10" not in page
    assert not re.search(r"(?<!\\)<script", page)
