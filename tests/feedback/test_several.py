"""Ensembles of reward models: one scale, careful aggregates, and an average of weights."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.sources import sample
from minipref.data.corpora import CHAT
from minipref.data.streams import dice, stream
from minipref.feedback.reward_models import scores
from minipref.feedback.reward_models.several import Several, each, warm
from minipref.model.bases import load_base
from minipref.model.heads import RewardModel

BASE = load_base("chat-nano")


def model_of(seed, shift=0.0):
    model = RewardModel(copy.deepcopy(BASE), 32)
    with torch.no_grad():
        model.head.weight.copy_(torch.randn(1, 32, generator=stream(seed, "head")))
        model.head.bias.fill_(shift)
    return model


def responses(seed, count=8):
    prompts = CHAT.prompts(count, dice(seed, "prompts"))
    return sample(BASE, CHAT, prompts, torch.arange(count), 2, stream(seed, "responses"))


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), shifts=st.lists(st.floats(-50, 50), min_size=1, max_size=4))
def test_what_a_model_says_on_average_means_nothing(seed, shifts):
    known, batch, rng = responses(seed), responses(seed + 1), stream(seed, "x")
    plain = [model_of(seed + i) for i in range(len(shifts))]
    shifted = [model_of(seed + i, shift) for i, shift in enumerate(shifts)]
    for how in ("mean", "worst", "uncertainty"):
        ours, theirs = (
            Several.of(models, known, how).label(batch, rng).columns["rewards"]
            for models in (plain, shifted)
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_the_careful_are_never_above_the_mean_and_agree_where_all_do(seed):
    known, batch, rng = responses(seed), responses(seed + 1), stream(seed, "x")
    models = [model_of(seed + i) for i in range(3)]
    found = {
        how: Several.of(models, known, how).label(batch, rng).columns["rewards"]
        for how in ("mean", "worst", "uncertainty")
    }
    assert bool((found["worst"] <= found["mean"] + 1e-5).all())
    assert bool((found["uncertainty"] <= found["mean"] + 1e-5).all())
    assert float((found["worst"] - found["mean"]).abs().max()) > 1e-3
    alike = Several.of([models[0]] * 3, known).label(batch, rng).columns["rewards"]
    centred = scores(models[0], batch) - scores(models[0], known).mean()
    torch.testing.assert_close(alike, centred, rtol=1e-4, atol=1e-4)


def test_warm_is_linear_in_the_head_and_one_model_is_itself():
    batch = responses(0)
    models = [model_of(i) for i in range(4)]  # one trunk: only the heads differ
    said = scores(warm(models), batch)
    torch.testing.assert_close(said, each(models, batch).mean(1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scores(warm(models[:1]), batch), scores(models[0], batch))


def test_an_ensemble_needs_somebody():
    with pytest.raises(ValueError, match="at least one"):
        Several.of([], responses(0))
