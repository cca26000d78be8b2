"""What the table of conventions calls equal is equal: others' conventions, written out."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import inputs

import minipref.losses as losses
from minipref.losses.registry import REGISTRY

numbers = st.floats(0.05, 4.0)


def of(name):
    """Inputs of a registered loss."""
    return inputs(REGISTRY[name])


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def margin(x):
    """The difference of a pair's log-ratios."""
    chosen, rejected = (x[f"{s}_logps"] - x[f"ref_{s}_logps"] for s in ("chosen", "rejected"))
    return chosen - rejected


@settings(max_examples=30)
@given(of("simpo"), numbers, numbers)
def test_simpo_that_asks_for_the_ratio_of_gamma_and_beta(x, beta, ratio):
    gap = x["chosen_mean_logps"] - x["rejected_mean_logps"]
    theirs = -F.logsigmoid(beta * (gap - ratio))  # HALOs, open-instruct, oat, the official code
    close(losses.simpo(**x, beta=beta, gamma=beta * ratio), theirs)


@settings(max_examples=30)
@given(of("dpo"), numbers)
def test_ipo_of_sums(x, beta):
    theirs = (margin(x) - 1 / (2 * beta)).square()  # OpenRLHF, NeMo-Aligner, the official code
    means = {name.replace("logps", "mean_logps"): value for name, value in x.items()}
    close(losses.ipo(**means, tau=beta), theirs)


@settings(max_examples=30)
@given(of("dpop"), numbers, numbers)
def test_dpop_inside_beta(x, beta, lambda_):
    fall = torch.relu(x["ref_chosen_logps"] - x["chosen_logps"])
    theirs = -F.logsigmoid(beta * (margin(x) - lambda_ * fall))  # oat
    close(losses.dpop(**x, beta=beta, lambda_=lambda_), theirs)


@settings(max_examples=30)
@given(of("lr_dpo"), numbers, numbers)
def test_a_length_penalty_over_beta_inside_beta(x, beta, alpha):
    longer = (x["chosen_lengths"] - x["rejected_lengths"]).double()
    theirs = -F.logsigmoid(beta * (margin(x) + alpha / beta * longer))  # oat
    close(losses.lr_dpo(**x, beta=beta, alpha=alpha), theirs)


@settings(max_examples=30)
@given(of("rebel"), numbers)
def test_rebel_that_multiplies_rewards(x, eta):
    gap = x["chosen_scores"] - x["rejected_scores"]
    close(eta**2 * losses.rebel(**x, eta=eta), (margin(x) - eta * gap).square())


@settings(max_examples=30)
@given(of("sppo"), st.floats(0.01, 1.0))
def test_sppo_by_beta(x, beta):
    ratio = x["logps"] - x["old_logps"]
    theirs = (ratio - (x["probabilities"] - 0.5) / beta).square()  # a side of the official loss
    close(losses.sppo(**x, eta=1 / beta), theirs)


@settings(max_examples=30)
@given(of("pair_scorer"))
def test_pair_scorer_that_halves(x):
    one, nought = torch.ones_like(x["chosen_rewards"]), torch.zeros_like(x["rejected_rewards"])
    scored = F.binary_cross_entropy_with_logits(x["chosen_rewards"], one, reduction="none")
    other = F.binary_cross_entropy_with_logits(x["rejected_rewards"], nought, reduction="none")
    close(losses.pair_scorer(**x) / 2, (scored + other) / 2)


@settings(max_examples=30)
@given(of("modpo"), numbers, st.floats(0.1, 1.0))
def test_modpo_with_weights_a_side(x, beta, first):
    def side(name):
        ratio = x[f"{name}_logps"] - x[f"ref_{name}_logps"]
        return (beta * ratio - x[f"{name}_scores"]) / first

    theirs = -F.logsigmoid(side("chosen") - side("rejected"))  # scores = rewards @ w[1:]
    close(losses.modpo(**x, beta=beta, weight=first), theirs)
