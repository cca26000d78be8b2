"""`minipref check` as somebody with a loss of his own meets it."""

import json

import pytest

RIGHT = """
import torch.nn.functional as F

def dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * (chosen - rejected - ref_chosen + ref_rejected)), {}

def at_point_three(chosen, rejected, ref_chosen, ref_rejected):
    return dpo(chosen, rejected, ref_chosen, ref_rejected, 0.3)

def swapped(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return dpo(rejected, chosen, ref_rejected, ref_chosen, beta)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(RIGHT, encoding="utf-8")
    return str(path)


def test_a_right_loss_passes_with_advice(run, file):
    code, out, err = run("check", f"{file}:dpo", "--as", "dpo")
    assert (code, err) == (0, "")
    assert "✓ values and gradients are the formula's" in out
    assert "! bfloat16 is computed in float32" in out
    assert "does what dpo does" in "".join(out.split("\n"))


def test_a_wrong_loss_is_explained(run, file):
    code, out, _ = run("check", f"{file}:swapped", "--as", "dpo")
    assert code == 1
    assert "chosen and rejected are swapped" in out
    assert "minipref show dpo" in out


def test_what_is_written_into_the_function(run, file):
    assert run("check", f"{file}:at_point_three", "--as", "dpo")[0] == 1
    assert run("check", f"{file}:at_point_three", "--as", "dpo", "--set", "beta=0.3")[0] == 0


def test_for_programs(run, file):
    code, out, _ = run("check", f"{file}:swapped", "--as", "dpo", "--json")
    report = json.loads(out)
    assert (code, report["loss"], report["passed"]) == (1, "dpo", False)
    assert "swapped" in report["properties"]["values and gradients are the formula's"][0]


@pytest.mark.parametrize(
    ("where", "arguments", "words"),
    [
        ("{file}:dpo", ["--as", "dop"], "no loss called 'dop'; did you mean"),
        ("{file}:dqo", ["--as", "dpo"], "called 'dqo'; did you mean dpo?"),
        ("{file}", ["--as", "dpo"], "expected FILE:FUNCTION"),
        ("nowhere.py:dpo", ["--as", "dpo"], "there is no file nowhere.py"),
        ("{file}:dpo", ["--as", "dpo", "--set", "beta"], "--set: expected NAME=VALUE"),
        ("{file}:dpo", ["--as", "dpo", "--set", "bta=1"], "hyper-parameter of dpo called 'bta'"),
        ("{file}:dpo", ["--as", "dpo", "--takes", "words"], "takes: expected one of sequences"),
    ],
)
def test_mistakes_get_one_message(run, file, where, arguments, words):
    code, out, err = run("check", where.format(file=file), *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_a_file_that_cannot_be_imported(run, tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0", encoding="utf-8")
    code, _, err = run("check", f"{path}:dpo", "--as", "dpo")
    assert code == 2
    assert "cannot be imported: ZeroDivisionError" in err
