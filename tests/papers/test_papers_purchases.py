"""The bandits of row 014: what is learned from labels, and what is bought."""

import pytest
import torch

from minipref.data.work import counting
from minipref.losses import dpo
from minipref.papers.online.near_duplicates import (
    BETA,
    BUDGETS,
    FEATURES,
    RIDGE,
    converged,
    learn_actively,
    near_duplicates,
    newton,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_newton_ends_where_the_slope_of_dpo_is_nought():
    gaps = torch.randn(3, 20, FEATURES, generator=rng())
    weights = newton(gaps).requires_grad_()
    margins = (gaps @ weights[..., None]).flatten()
    nought = torch.zeros_like(margins)
    losses = dpo(margins, nought, nought, nought, beta=BETA).view(3, 20).mean(1)
    ridge = RIDGE / 20 * (BETA * weights).square().sum(1) / 2
    (slope,) = torch.autograd.grad((losses + ridge).sum(), weights)
    assert slope.abs().max() < 1e-5


def test_the_margin_of_a_log_linear_policy_is_that_of_its_features():
    world = near_duplicates(3, 2)
    weights = torch.randn(2, FEATURES, generator=rng())
    ratios = world.logps(weights) - world.reference  # (bandits, prompts, responses)
    apart = world.features[:, :, 0] - world.features[:, :, 7]
    margins = torch.einsum("ixd,id->ix", apart, weights)
    assert torch.allclose(ratios[..., 0] - ratios[..., 7], margins, atol=1e-3)


@pytest.mark.parametrize("make", [near_duplicates, converged])
def test_the_reference_gains_nothing_and_the_best_policy_all(make):
    world = make(3, 2)
    assert torch.allclose(world.gain(world.reference), torch.zeros(2), atol=1e-5)
    best = torch.nn.functional.one_hot(world.rewards.argmax(-1), world.rewards.shape[-1])
    assert torch.allclose(world.gain((best + 1e-30).log()), torch.ones(2), atol=1e-4)


@pytest.mark.parametrize("strategy", ["random", "certainty"])
def test_every_strategy_pays_for_the_same_labels(strategy):
    world = near_duplicates(3, 2)
    with counting() as work:
        bought = learn_actively(world, strategy, rng(), factor=2)
    assert work.labels == 2 * BUDGETS[-1]
    assert work.queries == 2 * work.labels
    assert bought.gaps.shape == (2, BUDGETS[-1], FEATURES)
    assert len(bought.policies) == len(BUDGETS)
    assert ((bought.differ() >= 0) & (bought.differ() <= 1)).all()
