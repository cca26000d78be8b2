"""Every docstring's formulas are evaluated, line by line, and compared with what the code does."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import hyperparameters, inputs

from minipref.losses import gradient_coefficient
from minipref.losses.formulas import evaluated, formulas
from minipref.losses.registry import REGISTRY


@pytest.mark.parametrize("name", REGISTRY)
def test_docstring_has_a_loss_and_a_gradient_for_each_trained_input(name):
    left = [side for side, _ in formulas(REGISTRY[name])]
    assert left.count("L") == 1
    assert left[-1].startswith("dL/d")


@pytest.mark.parametrize("name", REGISTRY)
@settings(max_examples=20)
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
        expected = torch.as_tensor(gradient, dtype=torch.float64)
        if expected.numel() == delta[key].numel():
            expected = expected.reshape(delta[key].shape)
        torch.testing.assert_close(
            -delta[key], expected.expand_as(delta[key]), rtol=1e-7, atol=1e-8
        )


IN_A_NEW_PROCESS = """
import torch
from minipref.losses.formulas import evaluated
from minipref.losses.registry import get

x = torch.zeros(2, 3)
given = {"values": x, "old_values": x, "returns": x, "mask": x == 0}
print(evaluated(get("value_clip"), given, {"clip": 0.2})["L"].flatten().tolist())
"""


@pytest.mark.slow
def test_formulas_can_be_the_first_thing_that_torch_is_asked_for():
    command = [sys.executable, "-c", IN_A_NEW_PROCESS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "[0.0, 0.0]\n", done.stderr
