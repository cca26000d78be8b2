"""Every docstring's formulas are evaluated, line by line, and compared with what the code does."""

import inspect
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from losses_drawn import hyperparameters, inputs

from minipref.losses import gradient_coefficient
from minipref.losses.registry import REGISTRY

LINE = re.compile(r"^ {4}([\w/]+) = (.+)$", re.MULTILINE)


def formulas(entry):
    """[(left side, right side)] of the indented lines above Args."""
    return LINE.findall(inspect.getdoc(entry.source).split("\nArgs:")[0])


def mean_of_others(rewards, groups):
    others = [
        [r for j, r in enumerate(rewards) if groups[j] == groups[i] and j != i]
        for i in range(len(rewards))
    ]
    return torch.stack([torch.stack(rest).mean() for rest in others])


def words(arguments):
    """What the formulas are written with; sums run over a row, and keep its dimension."""
    return {
        "exp": torch.exp,
        "log": torch.log,
        "sigmoid": torch.sigmoid,
        "clamp": torch.clamp,
        "where": lambda test, a, b: test * a + (1 - test) * b,
        "min": torch.minimum,
        "max": lambda number, x: x.clamp(min=number),
        "sum": lambda x: x.sum(-1, keepdim=True),
        "tail_sum": lambda x: x.flip(-1).cumsum(-1).flip(-1),
        "head_sum": lambda x: x.cumsum(-1),
        "batch_mean": lambda x: x.mean(0, keepdim=True),
        "mean_of_others": lambda rewards: mean_of_others(rewards, arguments["groups"]),
    }


def evaluated(entry, arguments, numbers):
    """{left side: value} of every line, in the order in which they stand."""
    tokens = any("length" in axes for axes in entry.shapes.values())
    columns = {
        name: (
            x[:, None] if tokens and x.dim() == 1 else x
        ).double()  # a number a response: a column
        for name, x in arguments.items()
    }
    names = words(arguments) | numbers | columns
    for left, right in formulas(entry):
        names[left] = eval(right, {"__builtins__": {}}, names)
    return names


@pytest.mark.parametrize("name", REGISTRY)
def test_docstring_has_a_loss_and_a_gradient_for_each_trained_input(name):
    entry = REGISTRY[name]
    left = [side for side, _ in formulas(entry)]
    assert left.count("L") == 1
    assert left[-1].startswith("dL/d")


@pytest.mark.parametrize("name", REGISTRY)
@given(data=st.data())
def test_formulas_of_the_docstring_are_what_the_code_computes(name, data):
    entry = REGISTRY[name]
    arguments, numbers = data.draw(inputs(entry)), data.draw(hyperparameters(entry))
    values = evaluated(entry, arguments, numbers)
    loss = entry.function(**arguments, **numbers)
    torch.testing.assert_close(values["L"].reshape(loss.shape), loss, rtol=1e-8, atol=1e-8)
    delta = gradient_coefficient(entry.function, **arguments, **numbers)
    written = {left[4:]: value for left, value in values.items() if left.startswith("dL/d")}
    assert set(written) == set(delta)
    for key, gradient in written.items():
        expected = torch.as_tensor(gradient, dtype=torch.float64).expand_as(delta[key])
        torch.testing.assert_close(-delta[key], expected, rtol=1e-7, atol=1e-8)
