"""The table of reductions holds, line by line, for values and for gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import hyperparameters, inputs

from minipref.losses.formulas import WORDS
from minipref.losses.reductions import REDUCTIONS
from minipref.losses.registry import REGISTRY
from minipref.losses.vocabulary import belongs_to_policy


def value(text, names):
    """An expression of the table, computed."""
    return eval(text, {"__builtins__": {}}, WORDS | names)


def both_sides(reduction, arguments, numbers):
    """(loss, scale * becomes + offset), as the table has them."""
    loss, becomes = REGISTRY[reduction.loss], REGISTRY[reduction.becomes]
    arguments = arguments | {k: value(text, arguments) for k, text in reduction.given.items()}
    numbers = numbers | dict(reduction.fixed)
    shared = {key: number for key, number in numbers.items() if key in loss.ranges}
    settings_ = shared | {
        key: value(setting, numbers)
        if isinstance(setting, str) and not loss.ranges[key].startswith("{")
        else setting
        for key, setting in reduction.settings.items()
    }
    theirs = {
        key: value(reduction.inputs[key], arguments) if key in reduction.inputs else arguments[key]
        for key in becomes.inputs
        if key in reduction.inputs or key in arguments
    }
    right = becomes.source(**theirs, **numbers)
    names = arguments | loss.hyperparameters | settings_ | numbers
    right = value(reduction.scale, names) * right + value(reduction.offset, names)
    left = loss.source(**arguments, **settings_)
    if reduction.rows == "mean":
        left, right = left.mean(), right.mean()
    return left, right


QUICK = [r if r.becomes == "dpo" else pytest.param(r, marks=pytest.mark.slow) for r in REDUCTIONS]


@pytest.mark.parametrize("reduction", QUICK, ids=lambda r: f"{r.loss}-{r.becomes}: {r.when}")
@settings(max_examples=20)
@given(data=st.data())
def test_reduction_holds(reduction, data):
    arguments = data.draw(inputs(REGISTRY[reduction.loss]))
    numbers = data.draw(hyperparameters(REGISTRY[reduction.becomes]))
    trained = [
        key for key in arguments if belongs_to_policy(key) and arguments[key].is_floating_point()
    ]
    for key in trained:
        arguments[key].requires_grad_()
    left, right = both_sides(reduction, arguments, numbers)
    tolerance = {"rtol": reduction.within, "atol": reduction.within}
    torch.testing.assert_close(left, right.expand_as(left), **tolerance)
    gradients = [
        torch.autograd.grad(
            side.sum(),
            [arguments[key] for key in trained],
            allow_unused=True,
            retain_graph=True,  # both sides may share what is given
        )
        for side in (left, right)
        if side.requires_grad
    ]
    if len(gradients) == 2:
        for mine, theirs, key in zip(*gradients, trained, strict=True):
            zero = torch.zeros_like(arguments[key])
            torch.testing.assert_close(
                zero if mine is None else mine, zero if theirs is None else theirs, **tolerance
            )


def test_every_line_names_what_there_is():
    for reduction in REDUCTIONS:
        loss, becomes = REGISTRY[reduction.loss], REGISTRY[reduction.becomes]
        assert set(reduction.settings) <= set(loss.ranges)
        assert set(reduction.given) <= set(loss.inputs)
        assert set(reduction.inputs) <= set(becomes.inputs)
        assert set(reduction.fixed) <= set(becomes.ranges)
