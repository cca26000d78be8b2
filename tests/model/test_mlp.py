"""The MLP policy obeys the policy contract and shares its weights among prompts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.model.logprobs import sequence_logps
from minipref.model.mlp import MLPPolicy

sizes = st.tuples(st.integers(1, 5), st.integers(2, 7), st.integers(1, 9), st.integers(1, 4))


def policy(size, seed):
    prompts, responses, width, layers = size
    return MLPPolicy(prompts, responses, width=width, layers=layers, generator=stream(seed, "mlp"))


@given(size=sizes, seed=st.integers(0, 9), draw=st.data())
def test_sequence_logps_read_the_table(size, seed, draw):
    model = policy(size, seed)
    rows = draw.draw(
        st.lists(st.tuples(st.integers(0, size[0] - 1), st.integers(0, size[1] - 1)), min_size=1)
    )
    prompts, responses = zip(*rows, strict=True)
    found = sequence_logps(model, Rows.of([[p] for p in prompts], [[r] for r in responses]))
    table = model.probabilities().log()
    assert torch.allclose(found, table[list(prompts), list(responses)], atol=1e-5)
    assert torch.allclose(model.probabilities().sum(1), torch.ones(size[0]))


@given(size=sizes, seed=st.integers(0, 9))
def test_weights_come_from_the_generator_and_lie_in_their_range(size, seed):
    first, second = policy(size, seed), policy(size, seed)
    for layer, twin in zip(first.layers, second.layers, strict=True):
        for weight, other in zip(layer.parameters(), twin.parameters(), strict=True):
            assert torch.equal(weight, other)
            assert float(weight.detach().abs().max()) <= layer.in_features**-0.5


def test_one_prompt_moves_the_others():
    model = policy((3, 4, 16, 3), 0)
    before = model.probabilities().detach()
    model.logits()[0, 0].backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight += weight.grad
    assert not torch.allclose(model.probabilities()[1], before[1], atol=1e-3)


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="at least 1"):
        MLPPolicy(4, 0)
