"""Agreement and bias of judges whose probabilities are known."""

import math
from statistics import fmean

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from minipref.algorithm.sources import sample
from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.corpora import CHAT
from minipref.data.streams import dice, stream
from minipref.evaluation.judging import agreement, consistency, position_bias
from minipref.feedback.annotators import bt, flip, position
from minipref.feedback.judges import Judge
from minipref.model.bases import load_base

tables = st.lists(st.integers(-3, 3), min_size=8, max_size=8).map(
    lambda values: Bandit.of(torch.tensor(values, dtype=torch.float64).view(2, 4))
)


def batch_of(world):
    """r0 against r1 and r2 against r3, for both prompts."""
    prompts = [prompt for prompt in world.all_prompts for _ in range(4)]
    return Batch.of(world, prompts, world.responses() * 2, torch.arange(8) // 4)


def judge_of(annotator):
    def probabilities(prompts, first, second):
        cases = zip(prompts, first, second, strict=True)
        return torch.tensor([annotator.probability(*case) for case in cases])

    return probabilities


def gaps(world):
    """Of the four comparisons."""
    return world.rewards.view(4, 2).diff(dim=1)[:, 0].neg().tolist()


@given(world=tables, first=st.floats(-4, 4), temperature=st.floats(0.2, 3))
def test_figures_of_a_biased_annotator_are_those_of_its_formula(world, first, temperature):
    judge = judge_of(bt(world.reward, temperature) | position(first))
    batch, margins = batch_of(world), [gap / temperature for gap in gaps(world)]
    assume(all(abs(abs(m) - abs(first)) > 1e-3 for m in margins))  # then it leans one way
    assume(sum(m != 0 for m in margins) > 1)
    bias = [
        fmean(1 / (1 + math.exp(-sign * margin - first)) for sign in (1, -1)) - 0.5
        for margin in margins
    ]
    assert math.isclose(position_bias(judge, batch).value, fmean(bias), abs_tol=1e-6)
    steady = [abs(margin) > abs(first) for margin in margins]  # the margin outweighs the bias
    assert consistency(judge, batch).value == fmean(steady)
    right = [1.0 if s else 0.5 for s, margin in zip(steady, margins, strict=True) if margin]
    assert agreement(judge, world, batch).value == fmean(right)


@given(world=tables, wrong=st.floats(0, 0.49))
def test_a_judge_who_errs_without_bias(world, wrong):
    batch = batch_of(world)
    assume(sum(gap != 0 for gap in gaps(world)) > 1)
    fair, liar = (judge_of(bt(world.reward, 0.0) | flip(share)) for share in (wrong, 1 - wrong))
    assert math.isclose(position_bias(fair, batch).value, 0, abs_tol=1e-6)
    assert agreement(fair, world, batch).value == 1
    assert agreement(liar, world, batch).value == 0
    assert consistency(fair, batch).value == fmean(gap != 0 for gap in gaps(world))


@given(world=tables)
def test_judges_who_do_not_read(world):
    batch = batch_of(world)
    assume(sum(gap != 0 for gap in gaps(world)) > 1)
    for p, bias in ((1.0, 0.5), (0.5, 0.0), (0.0, -0.5)):
        judge = lambda prompts, first, second, p=p: torch.full((len(prompts),), p)  # noqa: E731
        assert agreement(judge, world, batch).value == 0.5
        assert position_bias(judge, batch).value == bias
        assert consistency(judge, batch).value == 0


@pytest.mark.slow
def test_the_judge_base_leans_little_and_wavers_much():
    """Measured on 1500 pairs: 0.702, 0.807, 0.009; bands of four standard errors at 400."""
    prompts = CHAT.prompts(400, dice(0, "judging/prompts"))
    nano, index = load_base("chat-nano"), torch.arange(400)
    batch = sample(nano, CHAT, prompts, index, 2, stream(0, "judging"))
    judge = Judge(load_base("judge")).probabilities
    assert abs(agreement(judge, CHAT, batch).value - 0.70) < 0.09
    assert abs(consistency(judge, batch).value - 0.81) < 0.08
    bias = position_bias(judge, batch)
    assert abs(bias.value - 0.01) < 0.02
    fair = Judge(load_base("judge"), both_orders=True).probabilities
    assert abs(position_bias(fair, batch).value) < 1e-6
    assert abs(agreement(fair, CHAT, batch).value - 0.71) < 0.10


def test_too_little_to_compare_is_refused():
    world = Bandit.of(torch.zeros(2, 4))
    judge = judge_of(bt(world.reward))
    with pytest.raises(ValueError, match="samples: expected at least two"):
        agreement(judge, world, batch_of(world))  # all rewards equal: nobody is better
    with pytest.raises(ValueError, match="nothing to compare"):
        position_bias(judge, batch_of(world).take(torch.tensor([0, 4])))
