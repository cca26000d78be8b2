"""The survey's table of gradient coefficients: it is right, and a wrong entry is noticed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.streams import stream
from minipref.losses.registry import REGISTRY
from minipref.papers.unified_view import coefficients
from minipref.papers.unified_view.coefficients import PAIRWISE, TABLE, disagreement, drawn, push

SUM_TO_ZERO = ("dpo", "ipo", "hinge", "simpo", "exo")


@pytest.mark.parametrize("name", TABLE)
@given(seed=st.integers(0, 10**6))
def test_the_table_is_what_autograd_finds(name, seed):
    assert disagreement(name, stream(seed, name)) < 1e-9


@pytest.mark.parametrize("name", TABLE)
@given(seed=st.integers(0, 10**6), factor=st.sampled_from([-1.0, 0.5, 1.01]))
def test_a_wrong_sign_or_constant_is_noticed(name, seed, factor):
    right = TABLE[name]

    def wrong(x, settings):
        return {key: factor * value for key, value in right(x, settings).items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(coefficients.TABLE, name, wrong)
        assert disagreement(name, stream(seed, name)) > 1e-6


@pytest.mark.parametrize("name", [name for name in TABLE if REGISTRY[name].family == "pairwise"])
@given(seed=st.integers(0, 10**6))
def test_which_pairs_are_pushed_apart_evenly(name, seed):
    x = drawn(name, stream(seed, name))
    total = sum(TABLE[name](x, REGISTRY[name].hyperparameters).values()).abs().max()
    assert (float(total) < 1e-12) == (name in SUM_TO_ZERO)


@given(a=st.floats(-8, 8), b=st.floats(-8, 8))
def test_dpo_pushes_less_the_further_apart_a_pair_is(a, b):
    low, high = sorted((a, b))
    assert 0 <= push("dpo", high) <= push("dpo", low) <= PAIRWISE["dpo"]["beta"]


@given(gap=st.floats(-8, 8))
def test_ipo_turns_around_at_its_target(gap):
    target = 1 / (2 * PAIRWISE["ipo"]["tau"])
    assert push("ipo", gap) == pytest.approx(2 * (target - gap), abs=1e-9)


def test_a_row_that_names_other_inputs_is_an_error():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(coefficients.TABLE, "dpo", lambda x, s: {"logps": torch.zeros(64)})
        with pytest.raises(ValueError, match="dpo: the table names"):
            disagreement("dpo", stream(0, "x"))
