"""docs/syllabus.md says what the notebooks hold; the class's workflow calls what there is."""

import re

import nbformat
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.main import get_command

from minipref.cli import app
from minipref.course import syllabus
from minipref.course.notebooks import sources
from minipref.resources import ROOT

CLASS = ROOT / "docs" / "class"


@pytest.fixture(scope="module")
def page():
    return syllabus.syllabus_page()


def test_the_page_is_what_the_notebooks_say(page):
    """Where this fails: `python -m minipref.course.pages` writes it."""
    assert (ROOT / syllabus.PAGE).read_text(encoding="utf-8") == page


def test_every_notebook_has_its_line_and_its_goals(page):
    for source in sources():
        plan = syllabus.PLANS[source.stem[:2]]
        assert page.count(f"{source.stem}.ipynb") == 1
        assert len(plan.goals) >= 3
        assert len(re.findall(rf"^## {source.stem[:2]} · ", page, flags=re.MULTILINE)) == 1
        for goal in plan.goals:
            assert f"- {goal[0].lower()}{goal[1:]}" in page


def test_goals_are_alike_and_said_once():
    goals = [goal for plan in syllabus.PLANS.values() for goal in plan.goals]
    assert len(set(goals)) == len(goals)
    assert all(goal[0].isupper() and goal[-1] == "." and len(goal) < 98 for goal in goals)


def code(source, *tags):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


def holding(cells):
    """A notebook to be counted, in which the same cell may stand twice."""
    return nbformat.NotebookNode(cells=cells)


EXERCISE = [code("x = 1", "solution"), code("assert x", "exercise", "check")]
PARTS = {
    "words": [nbformat.v4.new_markdown_cell("word " * 400)],
    "code": [code("x = 1\n" * 40)],
    "derivation": [nbformat.v4.new_markdown_cell("$x$", metadata={"tags": ["derivation"]})] * 2,
    "figure": [code("x", "figure")] * 3,
    "exercise": EXERCISE,
}


@given(parts=st.lists(st.sampled_from(list(PARTS)), max_size=12), more=st.sampled_from(list(PARTS)))
@settings(max_examples=30)
def test_more_takes_longer_by_what_it_takes(parts, more):
    cells = [cell for part in parts for cell in PARTS[part]]
    before, after = (syllabus.minutes(holding(held)) for held in (cells, cells + PARTS[more]))
    takes = {"words": 3, "code": 3, "derivation": 6, "figure": 6.2, "exercise": 8.2}
    assert before % 5 == after % 5 == 0
    assert abs(after - before - takes[more]) <= 5


def test_minutes_by_hand():
    cells = [*PARTS["words"], *PARTS["code"], *PARTS["derivation"], *PARTS["figure"], *EXERCISE]
    counted = 4 * 0.75 + 4.5 * 0.75 + 2 * 3 + 3 * 2 + 8  # 45 lines of code, the exercise's too
    assert 25 < counted < 27.5
    assert syllabus.minutes(holding(cells)) == 25


def test_a_notebook_without_a_plan_or_out_of_order_is_named(tmp_path, monkeypatch):
    (tmp_path / "98_new.py").write_text("# %% [markdown]\n# # 98 · New?\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"98_new: syllabus\.PLANS"):
        syllabus.syllabus_page(tmp_path)
    monkeypatch.setitem(syllabus.PLANS, "98", syllabus.Plan(("99",), ("Say it.",)))
    with pytest.raises(ValueError, match="98_new: what has to come before"):
        syllabus.syllabus_page(tmp_path)
    monkeypatch.setitem(syllabus.PLANS, "98", syllabus.Plan(("97",), ("Say it.",)))
    assert "## 98 · New?" in syllabus.syllabus_page(tmp_path)


def commands(text):
    """The words of every `minipref course ...` command in a text."""
    found = re.findall(r"minipref course [^`\n]*", text)
    assert found
    return [line.split()[2:] for line in found]


@pytest.mark.parametrize("name", ["workflow.yml", "README.md"])
def test_the_class_uses_commands_and_options_that_exist(name):
    course = get_command(app).commands["course"].commands
    for command, *words in commands((CLASS / name).read_text(encoding="utf-8")):
        options = {o for p in course[command].params for o in p.opts}
        assert {word for word in words if word.startswith("--")} <= options


def test_the_workflow_keeps_what_it_grades_and_may_do_nothing_else():
    workflow = yaml.safe_load((CLASS / "workflow.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    steps = {name: job["steps"] for name, job in workflow["jobs"].items()}
    runs = "\n".join(step.get("run", "") for step in steps["grade"])
    kept = next(step["with"]["path"] for step in steps["grade"] if "upload" in step.get("uses", ""))
    assert f"--out {kept}/" in runs
    secrets = [str(step) for step in steps["runs"] if "secrets." in str(step)]
    assert not secrets
    by_hand = "github.event_name == 'workflow_dispatch' && secrets.GRADING_SEED"
    assert str(steps["grade"]).count("secrets.") == str(steps["grade"]).count(by_hand) == 1
