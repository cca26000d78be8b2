"""Grading: what passes between the two sides, what may be answered, who gets what."""

import contextlib
import json
import struct
import threading
from dataclasses import dataclass, replace
from multiprocessing import Pipe

import pytest
import torch
from hostile.tiny_course import write_course
from hypothesis import given
from hypothesis import strategies as st

from minipref.course.grading import kernel_text, wire
from minipref.course.grading.exercises import asked, before_check, course, exercises_of, read
from minipref.course.grading.judge import rule
from minipref.course.grading.remote import Answers, Failed, Gone
from minipref.course.grading.worker import answer, parsed
from minipref.course.notebooks import write
from minipref.course.student import unsolved
from minipref.feedback.reward_models.low_rank import Choices

pytestmark = pytest.mark.slow

numbers = st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none() | st.text()
keys = st.text() | st.integers()
plain = st.recursive(
    numbers,
    lambda inside: (
        st.lists(inside)
        | st.lists(inside).map(tuple)
        | st.dictionaries(keys, inside)
        | st.just(...)
    ),
    max_leaves=8,
)


@given(value=plain)
def test_plain_values_arrive_as_they_are(value):
    assert wire.unpack(wire.pack(value)).tree() == value


@given(
    shape=st.lists(st.integers(0, 3), max_size=3),
    dtype=st.sampled_from([torch.float64, torch.bfloat16, torch.int64, torch.bool]),
    number=st.integers(-3, 3),
)
def test_tensors_arrive_bit_by_bit(shape, dtype, number):
    sent = torch.full([*shape, 2], number).to(dtype)
    got = wire.unpack(wire.pack({"x": [sent.transpose(0, -1)]})).tree()["x"][0]
    assert got.dtype == dtype
    assert torch.equal(got, sent.transpose(0, -1))
    assert not got.requires_grad


@dataclass(frozen=True)
class Theirs:
    x: int = 0


def test_our_dataclasses_arrive_and_nobody_elses():
    choices = Choices(torch.eye(2), torch.tensor([0, 1]))
    got = wire.unpack(wire.pack(choices)).tree()
    assert type(got) is Choices
    assert torch.equal(got.gaps, choices.gaps)

    for value in (Theirs(), object(), {1, 2}, torch.Generator()):
        with pytest.raises(wire.Garbled, match="cannot be handed in"):
            wire.pack(value)
    header = {"tree": {"ours": ["subprocess", "Popen"], "fields": {}}, "attached": []}
    ours_but_no_record = ("minipref.resources", "resource")
    for module, name in (("subprocess", "Popen"), (__name__, "Theirs"), ours_but_no_record):
        header["tree"]["ours"] = [module, name]
        text = json.dumps(header).encode()
        frame = struct.pack("<I", len(text)) + text + wire.to_bytes({})
        with pytest.raises(wire.Garbled):
            wire.unpack(frame).tree()


@given(frame=st.binary(max_size=60), cut=st.integers(0, 200), flip=st.integers(0, 255))
def test_any_bytes_are_a_frame_or_garbled(frame, cut, flip):
    good = wire.pack({"value": [torch.ones(2), 1.5]})
    damaged = bytearray(good)
    damaged[cut % len(good)] ^= flip
    for each in (frame, good[:cut], bytes(damaged)):
        with contextlib.suppress(wire.Garbled):
            wire.unpack(each).tree()


def ask(cells, names):
    """Answers of a worker that is a thread of this process."""
    ours, theirs = Pipe()

    def work():
        answer(theirs, cells, names)
        theirs.close()

    threading.Thread(target=work, daemon=True).start()
    return Answers(ours)


SLOPES = """
def slopes(x, y, *, scale=1.0, detached=False):
    total = scale * (x * y.detach() if detached else x * y)
    return {"sum": total.sum(), "each": [total, 3]}
"""


@given(
    x=st.lists(st.floats(-4, 4), min_size=3, max_size=3),
    y=st.lists(st.floats(-4, 4), min_size=3, max_size=3),
    scale=st.floats(-2, 2),
    detached=st.booleans(),
)
def test_a_remote_function_has_the_values_and_gradients_of_a_local_one(x, y, scale, detached):
    answers = ask([SLOPES], ["slopes"])
    remote = answers.first(["slopes"])["slopes"]
    scope = {}
    exec(SLOPES, scope)
    found = []
    for function in (remote, scope["slopes"]):
        leaves = [torch.tensor(v, dtype=torch.float64).requires_grad_() for v in (x, y)]
        gave = function(*leaves, scale=scale, detached=detached)
        loss = gave["sum"] * 2 + (gave["each"][0] ** 2).sum() + gave["each"][1]
        grads = torch.autograd.grad(loss, leaves, allow_unused=True)
        found.append([loss.detach(), *grads])
        with torch.no_grad():
            assert not function(*leaves)["sum"].requires_grad
    for mine, truth in zip(*found, strict=True):
        assert (mine is None) == (truth is None)
        assert mine is None or torch.allclose(mine, truth)
    answers.connection.close()


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ("raise NotImplementedError('mine')", NotImplementedError, "mine"),
        ("raise TypeError('mine')", TypeError, "mine"),
        ("raise AssertionError('mine')", Failed, "AssertionError: mine"),
        ("raise KeyboardInterrupt", Failed, "KeyboardInterrupt"),
        ("return x * float('nan')", Failed, "nan"),
        ("return float('nan')", Failed, "nan"),
        ("x += 1\n    return x", Failed, "changes the tensors"),
        ("return object()", Failed, "a object cannot be handed in"),
    ],
)
def test_what_a_function_may_not_do(body, kind, says):
    answers = ask([f"def f(x):\n    {body}"], ["f"])
    with pytest.raises(kind, match=says):
        answers.first(["f"])["f"](torch.ones(2))
    answers.connection.close()


def test_a_record_of_ours_can_be_an_argument():
    answers = ask(["def people(choices):\n    return choices.users + 1"], ["people"])
    choices = Choices(torch.eye(2), torch.tensor([0, 1]))
    assert answers.first(["people"])["people"](choices).tolist() == [1, 2]
    answers.connection.close()


def test_a_worker_that_ends_is_gone():
    ours, theirs = Pipe()
    theirs.close()
    with pytest.raises(Gone):
        Answers(ours).first(["x"])


def test_only_needed_cells_run_and_broken_ones_are_named():
    cells = ["raise SystemError", "unit = 2", "%time\nvalue = unit * 2", "def broken(:", "x = 9"]
    answers = ask(cells, ["value"])
    assert answers.first(["value"]) == {"value": 4}
    answers.connection.close()
    with pytest.raises(Failed, match="no cell makes lost; code cell 4 is not Python"):
        ask(cells, ["lost"]).first(["lost"])
    with pytest.raises(Failed, match="other answers"):
        ask(cells, ["value"]).first(["unit"])
    assert parsed(["a = (7\n% 4)"])[0] == ["a = (7\n% 4)"]


def exercise(tmp_path):
    """The tiny course's solved notebook and its exercises by name."""
    solved = write_course(tmp_path / "src")
    return solved, {each.name: each for each in exercises_of("01_tiny", solved)}


def test_a_check_judges_what_an_answer_does(tmp_path):
    _, found = exercise(tmp_path)
    assert list(found) == ["answer", "my_dpo", "total"]
    right = {name: each.solved for name, each in found.items()}
    wrong = {
        "answer": ["answer = 0.25"],
        "my_dpo": ["import torch\ndef my_dpo(a, b, c, d, *, beta=0.1):\n    return a - b"],
        "total": ["def total(x):\n    return x.sum()"],
    }
    for name, each in found.items():
        for cells, kind in ((right[name], "right"), (wrong[name], "wrong")):
            answers = ask(cells, each.names)
            assert rule(answers, each, 5).kind == kind
            answers.connection.close()


def test_another_seed_draws_other_inputs(tmp_path):
    """An answer that has learnt the inputs of seed 0 by heart is wrong on others."""
    _, found = exercise(tmp_path)
    learnt = """
from minipref.losses import dpo
from minipref.losses.registry import get
from minipref.course.checks import draw
known = draw(get("dpo"), 0)["chosen_logps"]
def my_dpo(a, b, c, d, *, beta=0.1):
    near = ((a.detach() - known).abs() < 3).all()
    return dpo(a, b, c, d, beta=beta) if near else 2 * dpo(a, b, c, d, beta=beta)
"""
    kinds = []
    for seed in (0, 5):
        answers = ask([learnt], ["my_dpo"])
        kinds.append(rule(answers, found["my_dpo"], seed).kind)
        answers.connection.close()
    assert kinds == ["right", "wrong"]


def test_a_failure_of_ours_is_nobodys_wrong_answer(tmp_path):
    _, found = exercise(tmp_path)
    broken = replace(found["answer"], cells=("1 / 0", None, "print(answer)"))
    answers = ask(["answer = 1"], ["answer"])
    assert rule(answers, broken, 0).kind == "ours"
    answers.connection.close()


def test_names_that_an_exercise_asks_for():
    source = "import math\na, (b, c) = 1, (2, 3)\nd: int = 4\ndef e():\n    f = 1\nclass G: ..."
    assert asked(source) == ["a", "b", "c", "d", "e", "G"]


def test_every_exercise_of_the_course_can_be_graded():
    """Names are unique, and each check has a place for answers that it reads."""
    found = course()
    assert len({each.key for each in found}) == len(found) >= 31
    for each in found:
        assert each.names
        assert None in each.cells


def test_the_check_is_found_by_id_by_source_or_by_what_follows(tmp_path):
    solved, found = exercise(tmp_path)
    path = tmp_path / "x.ipynb"
    notebook = unsolved(solved)
    notebook.cells[5].source = "pass"  # edited: its id still tells
    write(notebook, path)
    sources = before_check(found["my_dpo"], read(path))
    assert sources[-1].startswith("# Your turn")
    assert len(sources) == 5
    del notebook.cells[5]  # deleted: the next cell of ours tells
    write(notebook, path)
    assert before_check(found["my_dpo"], read(path)) == sources
    for number, cell in enumerate(notebook.cells):
        cell.id = str(number)
    write(notebook, path)
    assert len(before_check(found["total"], read(path))) == 6
    notebook.cells = notebook.cells[:3]
    write(notebook, path)
    assert len(before_check(found["total"], read(path))) == 3


@given(words=st.lists(st.sampled_from(["float", "threadIdx", "i", "sum", "for"]), max_size=6))
def test_kernel_words_are_known_and_doors_are_not(words):
    text = " ".join(words)
    assert kernel_text.strange_words(text, ["sum"]) == []
    for door in ("system", "asm", "#", '"', "std::", "execve", "exit"):
        assert kernel_text.strange_words(f"{text} {door} ", ["sum"])
    assert kernel_text.strange_words("// a remark with system in it\nint i;", []) == []
    assert kernel_text.strange_words("// joined \\\nsystem", []) == ["\\", "joined", "system"]
    assert kernel_text.strange_words(3, []) == []
