"""A reward model learns who is preferred, from labels and from nothing else."""

import pytest
import torch

from minipref.algorithm.sources import sample
from minipref.data.corpora import CHAT
from minipref.data.streams import dice, stream
from minipref.data.work import counting
from minipref.feedback.annotators import bt, flip
from minipref.feedback.reward_models import Learnt, accuracy, scores, train
from minipref.model.bases import load_base

ANNOTATOR = bt(CHAT.reward, temperature=0.5)


@pytest.fixture(scope="module")
def trunk():
    return load_base("chat-nano")


def responses(trunk, name, count):
    prompts = CHAT.prompts(count, dice(0, name))
    return sample(trunk, CHAT, prompts, torch.arange(count), 2, stream(0, name))


@pytest.fixture(scope="module")
def seen(trunk):
    return responses(trunk, "reward models/seen", 4000)


@pytest.fixture(scope="module")
def unseen(trunk):
    return ANNOTATOR.label(responses(trunk, "reward models/unseen", 1000), stream(0, "unseen"))


def fit(trunk, pairs, **options):
    return train(pairs, trunk, **({"width": 32, "steps": 200, "learning_rate": 5e-3} | options))


@pytest.mark.slow
def test_it_learns_what_the_annotator_likes_and_noise_teaches_nothing(trunk, seen, unseen):
    """Measured: 0.61 of fresh pairs, where knowing the true reward would give 0.82."""
    ceiling = float(unseen.columns["preference"].maximum(1 - unseen.columns["preference"]).mean())
    learnt = fit(trunk, ANNOTATOR.label(seen, stream(0, "labels")))
    noise = fit(trunk, (ANNOTATOR | flip(0.5)).label(seen, stream(0, "labels")))
    error = 0.5 / len(unseen.pairs) ** 0.5  # of a share, at most
    assert 0.5 + 4 * error < accuracy(learnt, unseen) < ceiling
    assert abs(accuracy(noise, unseen) - 0.5) < 4 * error


def test_the_trunk_is_copied_and_the_seed_decides(trunk, seen):
    before = [weight.clone() for weight in trunk.parameters()]
    pairs = ANNOTATOR.label(seen, stream(0, "labels"))
    a, b, c = (fit(trunk, pairs, steps=3, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(x, y) for x, y in zip(before, trunk.parameters(), strict=True))
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.head.weight, c.head.weight)


def test_scores_become_rewards_row_by_row(trunk, seen):
    model = fit(trunk, ANNOTATOR.label(seen, stream(0, "labels")), steps=2)
    batch = seen.take(torch.arange(10))
    labelled = Learnt(model).label(batch, stream(0, "unused"))
    one = torch.cat([scores(model, batch.take(torch.tensor([row]))) for row in range(10)])
    assert torch.allclose(labelled.columns["rewards"], one, atol=1e-5)


def test_bad_input(trunk, seen):
    with pytest.raises(ValueError, match="expected at least batch_size = 64 of them, got 0"):
        fit(trunk, seen)
    few = ANNOTATOR.label(seen.take(torch.arange(20)), stream(0, "labels"))
    with pytest.raises(ValueError, match="got 10"):
        fit(trunk, few)


@pytest.mark.slow
def test_its_tokens_are_counted(trunk, unseen):
    with counting() as work:
        fit(trunk, unseen, steps=1, batch_size=len(unseen.pairs))
    everything = unseen.rows.attention_mask[unseen.pairs.flatten()].sum()
    assert 0.5 * everything < work.trained < 2 * everything
