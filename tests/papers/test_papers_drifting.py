"""Sources that share a reward and drift apart, and what a model of it is judged by."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from minipref.data.streams import stream
from minipref.data.work import counting
from minipref.papers.reward_models import drifting
from minipref.papers.reward_models.drifting import Drifting, Scorer, judge, tastes

SIZES = (20, 20, 50)


@pytest.fixture(scope="module")
def made():
    with counting() as work:
        found = Drifting.draw(3, "drifting", SIZES, 40)
    assert work.labels == sum(SIZES)
    return found


@given(sources=st.integers(2, 7), features=st.integers(7, 30), seed=st.integers(0, 2**32))
def test_drifts_cancel_and_live_where_the_shared_reward_does_not(sources, features, seed):
    shared, drifts = tastes(sources, features, torch.Generator().manual_seed(seed))
    assert drifts.sum(0).abs().max() < 1e-9
    assert bool((drifts @ shared == 0).all())
    assert float(shared.norm()) == pytest.approx(drifting.SHARED)
    assert float(drifts.norm(dim=1).mean()) == pytest.approx(drifting.DRIFT)


@given(each=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_a_minibatch_holds_as_many_pairs_of_every_source(made, each, seed):
    index = made.minibatch(each, torch.Generator().manual_seed(seed))
    assert index.shape == (3, each)
    assert bool((index >= made.starts[:-1, None]).all() and (index < made.starts[1:, None]).all())


def test_a_source_alone_has_the_losses_that_it_has_in_company(made):
    model = Scorer(made.pairs.shape[-1], stream(0, "model"))
    own = torch.arange(50)[None]
    alone, company = made.alone(2).losses(model, own), made.losses(model, 40 + own)
    assert torch.allclose(alone, company)
    chosen, rejected = model(made.pairs[0, 40:]), model(made.pairs[1, 40:])
    assert torch.allclose(alone, -(chosen - rejected).sigmoid().log().mean())


def test_who_knows_the_shared_reward_is_calibrated_and_chooses_the_best(made):
    class Knows(torch.nn.Module):
        def forward(self, answers):
            return made.worth

    error, _, right, best = judge(Knows(), made)
    assert error < 1e-9
    assert best == pytest.approx(float(made.worth.max(1).values.mean()))
    coin = Scorer(made.pairs.shape[-1], stream(1, "model"))
    assert judge(coin, made)[0] > 0.01
    assert judge(coin, made)[2] < right
