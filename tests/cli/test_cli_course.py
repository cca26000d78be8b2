"""``minipref course`` for a class: bugs and their keys, figures, students' editions."""

import re

import pytest

from minipref.course import figures


def test_a_bug_its_key_and_the_same_again(run, tmp_path):
    asked = ("course", "bug", "--seed", "11", "--loss", "dpo", "--level", "3")
    code, out, err = run(*asked, "--out", str(tmp_path))
    exercise, key = out.split()
    assert (code, err) == (0, "")
    assert re.fullmatch(r"bug-[0-9a-f]{8}\.ipynb", exercise.rpartition("/")[2])
    assert key == exercise.replace(".ipynb", ".key")
    code, answer, _ = run("course", "unseal", key)
    assert code == 0
    assert answer.startswith("Loss dpo, seed 11, level 3: ")
    assert len(re.findall(r"^[-+] ", answer, flags=re.MULTILINE)) >= 2
    code, out, _ = run(*asked, "--out", str(tmp_path))  # the exercise may hold work: it stays
    assert (code, out.split()) == (0, [key])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bug", "--seed", "1", "--loss", "dpoo"), "did you mean dpo?"),
        (("bug", "--seed", "1", "--level", "9"), "level: expected one of 1, 2, 3, got 9"),
        (("bug", "--seed", "1", "--loss", "reinforce", "--level", "3"), "has no fault of level 3"),
        (("unseal", "README.md"), "is not a key"),
        (("unseal", "nowhere.key"), "nowhere.key"),
        (("figures", "nowhere", "77"), "no notebook called '77'"),
        (("student", "nowhere", "77"), "no notebook called '77'"),
    ],
)
def test_mistakes_end_in_one_line(run, words, said):
    code, out, err = run("course", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_seed_is_asked_for(run):
    code, _, err = run("course", "bug")
    assert code == 2
    assert "--seed" in err


def test_figures_are_named_as_they_come(run, tmp_path, monkeypatch):
    def drawn(lesson, out, progress):
        for _ in range(lesson.cells):
            progress()
        return [out / f"{lesson.number}-1.pdf"]

    monkeypatch.setattr(figures, "draw", drawn)
    code, out, _ = run("course", "figures", str(tmp_path), "05", "01")
    assert code == 0
    assert out.split() == [str(tmp_path / "01-1.pdf"), str(tmp_path / "05-1.pdf")]


def test_students_get_every_notebook(run, tmp_path):
    code, out, _ = run("course", "student", str(tmp_path))
    assert code == 0
    numbers = {path.name[:2] for path in tmp_path.glob("*.ipynb")}
    assert numbers == {lesson.number for lesson in figures.lessons()}
    assert len(out.split()) == len(numbers)
