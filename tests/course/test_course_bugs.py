"""Planted bugs: one line, seen by the suite, of the level they say; mended ones are accepted."""

import ast
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minipref.course import bugs
from minipref.course.bugs import LEVELS, Tidied, by_operator, defined, mended, plant
from minipref.course.checks import NotYet
from minipref.course.suite import check, passed
from minipref.course.suite.cases import ordinary
from minipref.course.suite.mutants import mutants
from minipref.data.streams import dice
from minipref.losses import dpo
from minipref.losses.export import standalone
from minipref.losses.registry import REGISTRY, get
from minipref.losses.vocabulary import belongs_to_policy

pytestmark = pytest.mark.slow

few = settings(max_examples=6)
seeds = st.integers(0, 2**40)


def gradients(loss, case):
    """By input that moves with the policy, of the sum over the batch; zeros where none flows."""
    leaves = {
        name: x.clone().requires_grad_() if belongs_to_policy(name) and x.is_floating_point() else x
        for name, x in case.inputs.items()
    }
    moving = [x for x in leaves.values() if x.requires_grad]
    total = loss(**leaves, **case.numbers).sum()
    if not total.requires_grad:
        return [torch.zeros_like(x) for x in moving]
    return torch.autograd.grad(total, moving, materialize_grads=True)


def changed_lines(bug):
    before, after = bug.text.splitlines(), bug.right.splitlines()
    return [(a, b) for a, b in zip(before, after, strict=True) if a != b]


@few
@given(seed=seeds, level=st.sampled_from([None, *LEVELS]))
def test_a_bug_is_one_line_that_the_suite_refuses_and_its_mending_accepts(seed, level):
    bug = plant(seed, level=level)
    assert bug == plant(seed, level=level)
    assert level in (None, bug.level)
    assert len(changed_lines(bug)) == 1
    assert bug.right == standalone(bug.loss)
    faulty, right = (defined(text, bug.loss) for text in (bug.text, bug.right))
    assert not passed(check(faulty, bug.loss))
    with pytest.raises(NotYet):
        mended(faulty, bug.loss)
    assert bug.loss in mended(right, bug.loss)


@few
@given(seed=seeds, level=st.sampled_from(list(LEVELS)))
def test_a_level_says_what_it_takes_to_see_the_fault(seed, level):
    bug = plant(seed, level=level)
    faulty, entry = defined(bug.text, bug.loss), get(bug.loss)
    same_values, same_gradients = [], []
    for case in ordinary(entry, seed=0):
        mine, right = (f(**case.inputs, **case.numbers) for f in (faulty, entry.source))
        assert mine.shape == right.shape
        same_values.append(torch.allclose(mine, right))
        pairs = zip(gradients(faulty, case), gradients(entry.source, case), strict=True)
        same_gradients.append(all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in pairs))
    assert all(same_values) == (level > 1)
    if level == 3:
        assert all(same_gradients)


@few
@given(seed=seeds)
def test_the_check_does_not_give_the_answer_away(seed):
    bug = plant(seed)
    with pytest.raises(NotYet) as caught:
        mended(defined(bug.text, bug.loss), bug.loss)
    said = str(caught.value)
    (line, right), *_ = changed_lines(bug)
    sentences = [sentence for found in bug.report.values() for sentence in found]
    for secret in (line.strip(), right.strip(), bug.operator, *sentences):
        assert secret not in said


OF_EACH_FAMILY = {entry.family: name for name, entry in sorted(REGISTRY.items())}


@pytest.mark.parametrize("name", OF_EACH_FAMILY.values())
def test_every_kind_of_loss_can_have_a_bug(name):
    bug = plant(1, loss=name)
    assert bug.loss == name
    with pytest.raises(NotYet):
        mended(defined(bug.text, name), name)


def test_an_equivalent_is_accepted_however_it_is_written():
    def softly(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, *, beta=0.1):
        sides = chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps
        c, r, ref_c, ref_r = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in sides)
        return torch.nn.functional.softplus(-beta * ((c - ref_c) - (r - ref_r)))

    assert "mended" in mended(softly, "dpo")


@few
@given(
    factor=st.floats(0.5, 2).filter(lambda x: abs(x - 1) > 1e-3),
    shift=st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3),
)
def test_nothing_else_is_accepted(factor, shift):
    for wrong in (
        lambda *sides, beta=0.1: factor * dpo(*sides, beta=beta),
        lambda *sides, beta=0.1: dpo(*sides, beta=beta) + shift,
        lambda *sides, beta=0.1: dpo(*sides, beta=factor * beta),
    ):
        with pytest.raises(NotYet):
            mended(wrong, "dpo")


expressions = st.recursive(
    st.sampled_from(["0.0", "1.0", "x", "y", "wide(x)"]),
    lambda part: st.builds("({} {} {})".format, part, st.sampled_from("+-*/"), part),
    max_leaves=8,
)


@given(text=expressions, x=st.floats(0.5, 2), y=st.floats(-2, -0.5))
def test_tidying_changes_no_value_and_leaves_no_factor_of_one(text, x, y):
    names = {"x": x, "y": y, "wide": lambda value: value}
    try:
        value = eval(text, names)
    except ZeroDivisionError:
        assume(False)
    tidy = ast.unparse(Tidied().visit(ast.parse(text)))
    assert math.isclose(eval(tidy, names), value, abs_tol=1e-12)
    assert "1.0 *" not in tidy
    assert "* 1.0" not in tidy


@given(seed=seeds, name=st.sampled_from(["dpo", "kto", "simpo", "sft"]))
@few
def test_operators_take_turns(seed, name):
    faulty = list(mutants(name))
    turns = list(by_operator(faulty, dice(seed, "turns")))
    operators = {mutant.operator for mutant in faulty}
    assert {mutant.operator for mutant in turns[: len(operators)]} == operators
    assert sorted(map(repr, turns)) == sorted(map(repr, faulty))


def test_what_a_fault_must_not_do():
    text = standalone("dpo")
    digits = text.replace("wide(rejected_logps)", "rejected_logps")
    crash = text.replace("return -F.", "return -F.no_such_")
    shape = text.replace("return -F", "return -torch.nn.functional").replace(
        "rejected_logratios)", "rejected_logratios[:, None])"
    )
    assert len({text, digits, crash, shape}) == 4
    for other in (text, digits, crash, shape):
        assert bugs.judged(other, "dpo") is None


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="level: expected one of 1, 2, 3, got 4"):
        plant(0, level=4)
    with pytest.raises(ValueError, match="simpo"):
        plant(0, loss="sinpo")
    with pytest.raises(ValueError, match="reinforce has no fault of level 3"):
        plant(0, loss="reinforce", level=3)
