"""Equal bits, equal digest; anything else, another one."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.papers.digest import digest

numbers = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=6)


@dataclass
class Outcome:
    weights: torch.Tensor
    name: str


@given(values=numbers)
def test_equal_outcomes_have_equal_digests(values):
    ours, theirs = torch.tensor(values), torch.tensor(values)
    assert digest(ours) == digest(theirs)
    assert digest(Outcome(ours, "a")) == digest(Outcome(theirs, "a"))
    assert digest({"a": ours, "b": [1, 2.5]}) == digest({"b": [1, 2.5], "a": theirs})


@given(values=numbers, place=st.integers(0, 5))
def test_one_bit_is_enough(values, place):
    place %= len(values)
    ours = torch.tensor(values)
    theirs = ours.clone()
    theirs.view(torch.int32)[place] ^= 1
    assert digest(ours) != digest(theirs)


def test_shape_dtype_and_kind_count():
    flat = torch.arange(6.0)
    others = [flat.view(2, 3), flat.double(), flat.tolist(), (0,), 0, 0.0, False, None, "0"]
    assert len({digest(outcome) for outcome in [flat, *others]}) == len(others) + 1


def test_a_model_is_its_weights():
    model = torch.nn.Linear(2, 3)
    before = digest(model)
    with torch.no_grad():
        model.bias += 1
    assert digest(model) != before


def test_what_nobody_can_compare_is_refused():
    with pytest.raises(TypeError, match="an arm returned a function"):
        digest({"policy": [lambda x: x]})
