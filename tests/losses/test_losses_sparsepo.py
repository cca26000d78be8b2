"""SparsePO: its limit DPO, the gradients of its masks, and what padding must not do."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import inputs

from minipref.losses import dpo, sparsepo
from minipref.losses.registry import REGISTRY

ENTRY = REGISTRY["sparsepo"]
NO_PENALTY = {"reward_sparsity": 0.0, "kl_sparsity": 0.0}
WEIGHTS = [name for name in ENTRY.inputs if name.endswith("weights")]
betas, lambdas = st.floats(0.05, 3), st.floats(0, 0.1)
few = settings(max_examples=20)


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@few
@given(given=inputs(ENTRY), beta=betas)
def test_reward_weights_one_and_kl_weights_zero_is_dpo(given, beta):
    ones = {name: torch.full_like(given[name], float("kl" not in name)) for name in WEIGHTS}
    sums = [given[name].sum(1) for name in ENTRY.inputs[:4]]
    close(sparsepo(**(given | ones), beta=beta, **NO_PENALTY), dpo(*sums, beta=beta))


@few
@given(given=inputs(ENTRY), beta=betas, u=lambdas, d=lambdas)
def test_at_the_reference_log_two_and_the_penalties(given, beta, u, d):
    still = {name: torch.zeros_like(given[name]) for name in ENTRY.inputs[:6]}
    given |= still
    norms = [sum(given[n].sum(1) for n in WEIGHTS if ("kl" in n) == kl) for kl in (False, True)]
    found = sparsepo(**given, beta=beta, reward_sparsity=u, kl_sparsity=d)
    close(found, math.log(2) + u * norms[0] + d * norms[1])


@few
@given(given=inputs(ENTRY), beta=betas, u=lambdas, d=lambdas)
def test_gradients_of_the_masks(given, beta, u, d):
    for name in WEIGHTS:
        given[name].requires_grad_()
    numbers = {"beta": beta, "reward_sparsity": u, "kl_sparsity": d}
    sparsepo(**given, **numbers).sum().backward()
    plain = {name: given[name].detach() for name in ENTRY.inputs}
    probability = 1 - torch.exp(-sparsepo(**plain, beta=beta, **NO_PENALTY))  # sigmoid(-margin)
    c = beta * probability[:, None]
    chosen = plain["chosen_logps"] - plain["ref_chosen_logps"]
    rejected = plain["rejected_logps"] - plain["ref_rejected_logps"]
    close(given["chosen_weights"].grad, -c * chosen + u)
    close(given["rejected_weights"].grad, c * rejected + u)
    close(given["chosen_kl_weights"].grad, -c * plain["chosen_kl"] + d)
    close(given["rejected_kl_weights"].grad, c * plain["rejected_kl"] + d)


@few
@given(given=inputs(ENTRY), beta=betas, a=st.floats(0.1, 5))
def test_heavier_masks_are_a_larger_beta(given, beta, a):
    heavier = {name: a * given[name] for name in WEIGHTS}
    found = sparsepo(**(given | heavier), beta=beta, **NO_PENALTY)
    close(found, sparsepo(**given, beta=a * beta, **NO_PENALTY))


@few
@given(given=inputs(ENTRY), junk=st.floats(-9, 0))
def test_tokens_without_weight_do_not_matter(given, junk):
    padded = {
        name: torch.cat([x, torch.full_like(x[:, :1], 0.0 if name in WEIGHTS else junk)], 1)
        for name, x in given.items()
    }
    close(sparsepo(**padded), sparsepo(**given))


@pytest.mark.parametrize("name", ["reward_sparsity", "kl_sparsity"])
def test_a_penalty_is_not_negative(name):
    zeros = {key: torch.zeros(2, 3) for key in ENTRY.inputs}
    with pytest.raises(ValueError, match=rf"{name}: expected a number in \[0, inf\), got -0.1"):
        sparsepo(**zeros, **{name: -0.1})
