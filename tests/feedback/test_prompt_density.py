"""The classifier of prompts: balanced, clamped, and right where the densities are known."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.corpora import CHAT
from minipref.data.rows import Rows
from minipref.data.streams import dice, stream
from minipref.feedback.prompt_density import fit_prompt_classifier, prompt_features
from minipref.model.bases import load_base

RNG = "classifier"


def cells(counts):
    """Prompts of as many kinds as columns, one-hot; counts (2, kinds) of bad and good responses."""
    kinds = torch.cat([torch.arange(counts.shape[1]).repeat_interleave(row) for row in counts])
    good = torch.arange(2).repeat_interleave(counts.sum(1)).bool()
    return torch.eye(counts.shape[1], dtype=torch.float64)[kinds], kinds, good


@given(st.lists(st.tuples(st.integers(20, 200), st.integers(20, 200)), min_size=2, max_size=5))
def test_the_weight_is_the_ratio_of_the_prompts_densities(counts):
    counts = torch.tensor(counts).T  # (2, kinds)
    x, kinds, good = cells(counts)
    found = fit_prompt_classifier(x, good, stream(0, RNG), strength=1e6)
    share = counts / counts.sum(1, keepdim=True)
    expected = (share[1] / share[0]).clamp(0.5, 10)
    weights = found.weights(x, good)
    assert torch.allclose(weights[~good], expected[kinds][~good].float(), rtol=0.02)
    assert bool((weights[good] == 1).all())


def test_importance_weights_make_a_mean_over_bad_prompts_one_over_good_prompts():
    counts = torch.tensor([[50, 100, 150], [120, 100, 80]])  # ratios inside the clamp
    x, kinds, good = cells(counts)
    weights = fit_prompt_classifier(x, good, stream(0, RNG), strength=1e6).weights(x, good)
    value = torch.tensor([1.0, -2.0, 5.0])[kinds]
    mine = (weights * value)[~good].mean()
    assert float(mine) == pytest.approx(float(value[good].mean()), abs=0.02)
    assert abs(float(value[~good].mean() - value[good].mean())) > 0.5


@given(st.integers(5, 60), st.integers(5, 60))
def test_the_same_prompts_weigh_one_however_rare_a_class_is(some, more):
    """Six bad and sixty good responses to the same kinds of prompt: nothing to correct."""
    counts = torch.stack([torch.tensor([some, 2 * some]), torch.tensor([more, 2 * more])])
    x, _, good = cells(counts)
    found = fit_prompt_classifier(x, good, stream(0, RNG))
    assert torch.allclose(found.weights(x, good), torch.ones(len(x)), atol=1e-3)


def test_weights_are_clamped():
    counts = torch.tensor([[1, 400], [400, 1]])
    x, kinds, good = cells(counts)
    weights = fit_prompt_classifier(x, good, stream(0, RNG), strength=1e6).weights(x, ~good | good)
    assert bool((weights == 1).all())
    weights = fit_prompt_classifier(x, good, stream(0, RNG), strength=1e6).weights(x, good & False)
    assert weights[kinds == 0].unique().tolist() == [10.0]
    assert weights[kinds == 1].unique().tolist() == [0.5]


def test_a_large_class_is_cut_down_to_a_sample():
    x, _, good = cells(torch.tensor([[1500, 600], [300, 300]]))
    x = x + 1e-3 * torch.randn(x.shape, generator=stream(0, "noise"), dtype=torch.float64)
    one = fit_prompt_classifier(x, good, stream(0, RNG))
    assert torch.equal(one.weight, fit_prompt_classifier(x, good, stream(0, RNG)).weight)
    assert not torch.equal(one.weight, fit_prompt_classifier(x, good, stream(1, RNG)).weight)


def test_features_know_the_prompt_and_not_the_response():
    base = load_base("chat-nano", 0)
    asked = CHAT.prompts(40, dice(0, "prompts"))
    ids = [CHAT.encode_prompt(prompt) for prompt in asked]
    pen = dice(0, "pen")
    two = [
        Rows.of(ids, [CHAT.encode_response(CHAT.demonstration(p, pen)) for p in asked])
        for _ in range(2)
    ]
    first, second = (prompt_features(base, rows) for rows in two)
    assert not torch.equal(two[0].ids[:, :20], two[1].ids[:, :20])
    assert torch.allclose(first, second, atol=1e-5)
    texts = [prompt.text for prompt in asked]
    apart = (first[:, None] - first[None]).norm(dim=-1)
    same = torch.tensor([[a == b for a in texts] for b in texts])
    assert float(apart[~same].min()) > 10 * float(apart[same].max())


def test_bad_input():
    x, good = torch.zeros(4, 2), torch.tensor([True, False, True, False])
    rng = stream(0, RNG)
    with pytest.raises(ValueError, match=r"x, desirable: expected .* got \(4,\) and \(4,\)"):
        fit_prompt_classifier(torch.zeros(4), good, rng)
    with pytest.raises(ValueError, match="desirable: expected good and bad responses"):
        fit_prompt_classifier(x, good | True, rng)
    with pytest.raises(ValueError, match="strength: expected a number above 0, got 0"):
        fit_prompt_classifier(x, good, rng, strength=0)
