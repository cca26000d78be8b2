"""Stubs, exercises on their own, hypothesis in notebooks, and the census."""

import ast

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import census, exercises
from minipref.course.notebooks import dressed
from minipref.course.properties import law, refute, survives
from minipref.course.student import stub, student, unsolved

SOLUTION = '''import torch
# a comment that gives it away

def slope(x, y,
          *, scale=1.0):
    """How steep.

    In detail.
    """
    # divide
    rise = y * scale
    return rise / x

answer = 0.5'''


def test_a_stub_keeps_the_head_and_hides_the_body():
    left = stub(SOLUTION)
    ast.parse(left)
    assert "3 lines" in left.splitlines()[0]
    assert "import torch" in left
    assert "In detail" in left
    assert "answer = ..." in left
    for secret in ("rise", "divide", "0.5", "gives it away"):
        assert secret not in left
    scope = {}
    exec(left, scope)
    with pytest.raises(NotImplementedError):
        scope["slope"](1, 2)


@given(
    names=st.lists(
        st.from_regex(r"[a-z]{3,6}_[0-9]", fullmatch=True), min_size=1, max_size=4, unique=True
    ),
    documented=st.booleans(),
)
def test_stubs_parse_and_bind_the_same_names(names, documented):
    doc = '    """Doc."""\n' if documented else ""
    solution = "\n".join(f"def {name}(x):\n{doc}    return x + 1" for name in names)
    solution += f"\nvalue_{names[0]} = 3"
    left = stub(solution)
    assert exercises.bound_and_read(left)[0] == exercises.bound_and_read(solution)[0]
    assert "x + 1" not in left


def test_a_one_line_function_cannot_be_stubbed():
    with pytest.raises(ValueError, match="line of its head"):
        stub("def f(x): return x")


def code(source, *tags):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


def small():
    return dressed(
        nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_markdown_cell("# Title words here"),
                code("import math\nunit = 2.0"),
                code("unit = 3.0\nslow = [x for x in range(3)]", "figure"),
                code("def twice(x):\n    return unit * 2 / 3 * x", "solution"),
                code("assert twice(1.0) == 2.0, 'not twice'", "exercise", "check"),
                code("raise SystemError('never needed')"),
            ]
        )
    )


def test_an_exercise_runs_with_only_what_it_needs():
    notebook = small()
    assert exercises.checks(notebook) == [4]
    assert exercises.needed(notebook, 4) == [2, 3, 4]
    assert exercises.run(notebook, 4) is None
    assert isinstance(exercises.run(unsolved(notebook), 4), NotImplementedError)


def test_the_unsolved_edition_has_stubs_and_no_outputs():
    notebook = small()
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="x")]
    notebook.cells[1].execution_count = 3
    before = nbformat.writes(notebook)
    left = unsolved(notebook)
    assert nbformat.writes(notebook) == before
    assert not any(cell.get("outputs") for cell in left.cells)
    assert left.cells[3].metadata == {"tags": ["stub"]}
    assert left.cells[4].source == notebook.cells[4].source
    nbformat.validate(left)


def test_a_students_work_is_not_overwritten(tmp_path):
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "01_a.py").write_text("# %%\nx = 1\n")
    (written,) = student(tmp_path / "out", source_folder=folder)
    written.write_text("my work")
    assert student(tmp_path / "out", source_folder=folder) == []
    assert written.read_text() == "my work"
    assert student(tmp_path / "out", source_folder=folder, force=True) == [written]


def test_a_false_claim_is_refuted_with_the_simplest_example():
    @law
    @given(x=st.integers(0, 1000))
    def every_number_is_below_ten(x):
        assert x < 10

    @law
    @given(x=st.integers(0, 1000))
    def no_number_is_negative(x):
        assert x >= 0

    assert refute(every_number_is_below_ten) == "every number is below ten: refuted\n    x=10"
    assert "no counterexample" in survives(no_number_is_negative)
    with pytest.raises(ValueError, match="is the claim true"):
        refute(no_number_is_negative)
    with pytest.raises(AssertionError):
        survives(every_number_is_below_ten)


def test_the_census_counts():
    counted = census.census(small(), 123)
    assert counted.cells == 6
    assert counted.words == 3
    assert counted.figures == 1
    assert counted.bytes == 123
    assert counted.code_lines == [2, 2, 2, 1, 1]
    assert counted.tags["solution"] == 1


@given(words=st.lists(st.sampled_from(["one", "don't", "half-way"]), max_size=20))
def test_formulas_and_addresses_are_no_words(words):
    text = " ".join(words) + r" $\log \pi(y)$ $$a + b$$ `code here` [](http://x.y/z)"
    assert census.word_count(text) == len(words)


def test_complaints_name_what_is_missing_and_what_is_too_much():
    notebook = small()
    found = "\n".join(census.complaints(notebook, 2_000_000))
    for word in ("derivation", "dynamics", "property", "bytes", "bug"):
        assert word in found
    notebook.cells += [code("\n".join(["x = 1"] * 16), "unheard-of") for _ in range(40)]
    found = "\n".join(census.complaints(notebook))
    for word in ("cells: 46", "longest", "median", "unheard-of"):
        assert word in found
    notebook = small()
    del notebook.cells[4]
    assert any("right after it" in line for line in census.complaints(notebook))
