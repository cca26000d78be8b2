"""The file that `minipref show` prints runs by itself, and computes what the library does."""

import ast
import contextlib
import io
import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import hyperparameters, inputs, masks_of, tensors

from minipref.data.rows import Rows
from minipref.losses.export import standalone
from minipref.losses.logits import last_token_rewards, mean_logps, sequence_logps, token_logps
from minipref.losses.registry import REGISTRY
from minipref.losses.training_step import training_step
from minipref.losses.vocabulary import KINDS
from minipref.model.logprobs import logps_from_logits

FLAGS = [{"checked": c, "from_logits": f} for c in (False, True) for f in (False, True)]
few = settings(max_examples=2)


def pasted(name, **flags):
    """The names that the printed file defines when somebody imports it."""
    names = {"__name__": "pasted"}
    exec(compile(standalone(name, **flags), f"{name}.py", "exec"), names)
    return names


@pytest.mark.parametrize("name", REGISTRY)
@few
@given(data=st.data())
def test_pasted_loss_is_the_library_s(name, data):
    entry = REGISTRY[name]
    arguments, numbers = data.draw(inputs(entry)), data.draw(hyperparameters(entry))
    expected = entry.function(**arguments, **numbers)
    for flags in FLAGS:
        loss = pasted(name, **flags)[name](**arguments, **numbers)
        assert torch.equal(loss, expected)


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("flags", FLAGS)
def test_file_stands_alone_with_citation_and_licence(name, flags):
    text = standalone(name, **flags)
    modules = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules.add(node.module.split(".")[0])
    assert modules <= {"torch", "math", "copy", "functools", "inspect", "collections", "typing"}
    comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    assert text.startswith(f"# {name}: ")
    assert "# Source: " in comments
    assert "MIT" in comments
    assert f"@{REGISTRY[name].family}" not in text
    assert max(map(len, text.splitlines())) <= 100
    assert ("__main__" in text) == flags["from_logits"]
    assert ("@guarded" in text) == flags["checked"]


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("name", REGISTRY)
def test_training_step_runs_and_lowers_the_loss(name, checked):
    text, out = standalone(name, checked=checked, from_logits=True), io.StringIO()
    state = torch.get_rng_state()
    with contextlib.redirect_stdout(out):
        exec(compile(text, f"{name}.py", "exec"), {"__name__": "__main__"})
    torch.set_rng_state(state)
    printed = [float(x) for x in re.findall(r"^step \d: loss (\S+)$", out.getvalue(), re.M)]
    assert len(printed) == 10
    assert printed[-1] < printed[0] - 0.01


@pytest.mark.parametrize("name", REGISTRY)
def test_printed_tests_pass_and_fit_the_page(name):
    text = standalone(name, tests=True)
    assert max(map(len, text.splitlines())) <= 100
    names = pasted(name, tests=True)
    names["test_value_and_gradient_are_the_formula_s"](seed=1)
    names["test_nothing_overflows"](seed=1, dtype=torch.bfloat16)
    others = {"test_a_row_does_not_see_its_neighbours", "test_what_the_mask_hides_does_not_matter"}
    for other in others & set(names):
        names[other](seed=1)


@pytest.mark.slow
def test_printed_tests_are_found_by_pytest_and_see_a_mutant(tmp_path):
    text = standalone("dpo", tests=True)
    for file, loss in (("right", text), ("wrong", text.replace("return -F.log", "return F.log"))):
        (tmp_path / f"test_{file}.py").write_text(loss, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"test_{file}.py",
        ]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert answer.returncode == (file == "wrong"), answer.stdout


@pytest.mark.parametrize("name", REGISTRY)
def test_training_step_reads_each_text_once_and_a_reference_only_for_something(name):
    text = training_step(REGISTRY[name])
    passes = re.findall(r"(?:model|reference)\(\w*ids\)(?=,)", text.split("in range(10):")[1])
    assert len(passes) == len(set(passes))
    assert len(re.findall(r"\breference\b", text)) != 1


@pytest.mark.slow
def test_in_a_process_of_its_own(tmp_path):
    file = tmp_path / "kto.py"
    file.write_text(standalone("kto", checked=True, from_logits=True), encoding="utf-8")
    command = [sys.executable, "-I", "-W", "error", str(file)]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("step 0: loss 0.5000\n")


@pytest.mark.parametrize("name", REGISTRY)
@few
@given(data=st.data())
def test_guard_names_the_tensor(name, data):
    entry = REGISTRY[name]
    loss = pasted(name, checked=True)[name]
    arguments = data.draw(inputs(entry))
    for key, value in arguments.items():
        with pytest.raises(ValueError, match=rf"^{key}: expected .* got \["):
            loss(**(arguments | {key: value[..., None]}))
        other = torch.float64 if not value.is_floating_point() else torch.int64
        with pytest.raises(ValueError, match=rf"^{key}: torch.{str(other)[6:]} does not fit"):
            loss(**(arguments | {key: value.to(other)}))
        if value.is_floating_point():
            with pytest.raises(ValueError, match=rf"^{key} holds nan or inf"):
                loss(**(arguments | {key: value * float("nan")}))


def test_guard_and_vocabulary_agree_on_what_is_no_float():
    text = standalone("dpo", checked=True)
    kinds = re.search(r"kinds = \((.*)\)", text).group(1)
    counted = {name for name, kind in KINDS.items() if kind.dtype != "float"}
    assert set(re.findall(r'"(\w+)"', kinds)) == counted


def test_guard_sees_two_batch_sizes():
    loss = pasted("dpo", checked=True)["dpo"]
    x = torch.zeros(2)
    with pytest.raises(ValueError, match=r"ref_rejected_logps: expected .*batch.*2.* got"):
        loss(x, x, x, torch.zeros(3))


def test_unknown_name():
    with pytest.raises(ValueError, match="'dop'; did you mean dpo"):
        standalone("dop")


@st.composite
def outputs(draw):
    """Logits, ids and a mask that leaves out the first token, which nothing predicts."""
    batch, length, words = draw(st.integers(1, 3)), draw(st.integers(2, 5)), draw(st.integers(1, 4))
    ids = draw(tensors((batch, length), 0, words - 1)).long()
    mask = draw(masks_of(batch, length, empty=True)) & (torch.arange(length) > 0)
    return draw(tensors((batch, length, words), -20, 20, torch.float32)), ids, mask


@given(outputs())
def test_token_logps_by_a_loop_and_those_of_the_model_folder(drawn):
    logits, ids, mask = drawn
    expected = torch.zeros(ids.shape)
    for i, t in mask.nonzero().tolist():
        probabilities = logits[i, t - 1].double().exp()
        expected[i, t] = (probabilities[ids[i, t]] / probabilities.sum()).log()
    torch.testing.assert_close(token_logps(logits, ids, mask), expected)
    assert torch.equal(token_logps(logits, ids, mask), logps_from_logits(logits, ids, mask))
    torch.testing.assert_close(sequence_logps(logits, ids, mask), expected.sum(1))
    means = torch.stack(
        [row[m].mean() if m.any() else row.sum() for row, m in zip(expected, mask, strict=True)]
    )
    torch.testing.assert_close(mean_logps(logits, ids, mask), means)


@given(outputs(), st.data())
def test_reward_is_read_at_the_last_token_of_the_response(drawn, data):
    _, ids, mask = drawn
    values = data.draw(tensors((*ids.shape, 1), -9, 9, torch.float32))
    last = [max([t for t in range(len(row)) if row[t]], default=0) for row in mask]
    expected = torch.stack([values[i, t, 0] for i, t in enumerate(last)])
    assert torch.equal(last_token_rewards(values, mask), expected)


def test_rows_and_the_printed_mask_agree():
    rows = Rows.of([[1, 7, 2]], [[8, 9, 3]])
    logits = torch.zeros(1, 6, 10)
    logps = sequence_logps(logits, rows.ids, rows.completion_mask)
    torch.testing.assert_close(logps, torch.tensor([-3 * torch.tensor(10.0).log()]))
