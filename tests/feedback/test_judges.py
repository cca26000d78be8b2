"""The judge: a real model, its errors measured, its labels drawn as it says."""

import pytest
import torch

from minipref.algorithm.sources import sample
from minipref.data.corpora import CHAT
from minipref.data.streams import dice, stream
from minipref.feedback.judges import Judge
from minipref.model.bases import load_base


@pytest.fixture(scope="module")
def judge():
    return Judge(load_base("judge"))


@pytest.fixture(scope="module")
def responses():
    prompts = CHAT.prompts(300, dice(0, "judges/prompts"))
    return sample(load_base("chat-nano"), CHAT, prompts, torch.arange(300), 2, stream(0, "judges"))


def columns(batch):
    return list(batch.prompts[::2]), list(batch.responses[::2]), list(batch.responses[1::2])


def gaps(batch):
    rewards = [CHAT.reward(p, r) for p, r in zip(batch.prompts, batch.responses, strict=True)]
    return torch.tensor(rewards[::2]) - torch.tensor(rewards[1::2])


def test_both_orders_make_it_fair(judge, responses):
    prompts, first, second = columns(responses)
    fair = Judge(judge.policy, both_orders=True)
    there, back = (
        fair.probabilities(prompts, first, second),
        fair.probabilities(prompts, second, first),
    )
    assert torch.allclose(there + back, torch.ones(300, dtype=torch.float64), atol=1e-6)
    one_way = judge.probabilities(prompts, first, second)
    assert (one_way + judge.probabilities(prompts, second, first) - 1).abs().mean() > 0.02


def test_it_is_right_more_often_than_not_and_errs(judge, responses):
    """75 % (datasets/bases/README.md); 300 pairs have an error of 2.6 %."""
    gap = gaps(responses)
    clear = gap.abs() > 0.25
    right = (judge.probabilities(*columns(responses)) > 0.5) == (gap > 0)
    assert 0.62 < right[clear].double().mean() < 0.95


def test_a_comparison_does_not_depend_on_its_neighbours(judge, responses):
    prompts, first, second = columns(responses)
    together = judge.probabilities(prompts, first, second)
    alone = judge.probabilities(prompts[7:8], first[7:8], second[7:8])
    assert torch.allclose(together[7:8], alone, atol=1e-5)
    assert judge.probabilities([], [], []).shape == (0,)


def test_labels_are_drawn_from_its_probabilities(judge, responses):
    labelled = judge.label(responses, stream(0, "labels"))
    exact = judge.probabilities(*columns(responses))
    assert torch.allclose(labelled.columns["preference"][::2].double(), exact, atol=1e-6)
    first_chosen = (labelled.pairs[:, 0] % 2 == 0).double()  # rows 0, 2, ... are shown first
    error = (exact * (1 - exact)).sum().sqrt() / len(exact)
    assert abs(first_chosen.mean() - exact.mean()) < 4 * error
    again = judge.label(responses, stream(0, "labels"))
    assert torch.equal(labelled.pairs, again.pairs)


def test_bad_input(judge, responses):
    prompts, first, second = columns(responses)
    with pytest.raises(ValueError, match="expected equally many, got 300, 300 and 299"):
        judge.probabilities(prompts, first, second[1:])
