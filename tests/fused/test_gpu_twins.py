"""Where there is no GPU nothing goes untested: each test in tests/gpu names one that runs here."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def functions(path):
    """The tests of a file, by name."""
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {x.name: x for x in found if isinstance(x, ast.FunctionDef) and x.name[:5] == "test_"}


GPU = {path.stem: functions(path) for path in sorted((TESTS / "gpu").glob("test_*.py"))}
HERE = {
    path.stem: functions(path)
    for folder in ("fused", "kernels")
    for path in (TESTS / folder).glob("test_*.py")
}


@pytest.mark.parametrize(("file", "name"), [(f, name) for f in GPU for name in GPU[f]])
def test_a_gpu_test_names_a_test_that_runs_here(file, name):
    twins = re.findall(r"^ *CPU: (\w+)::(\w+)$", ast.get_docstring(GPU[file][name]), re.MULTILINE)
    assert twins
    assert all(twin in HERE[stem] for stem, twin in twins)


def test_gpu_tests_are_marked():
    for file in GPU:
        text = (TESTS / "gpu" / f"{file}.py").read_text(encoding="utf-8")
        assert "\npytestmark = [pytest.mark.gpu, pytest.mark.slow]\n" in text
