"""What is kept of a batch: right answers (RFT), the best of each group (RAFT), or a draw (RSO)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.streams import stream
from minipref.feedback.kept import Accepted, Best, RejectionSampled

WORLD = Bandit(3, 5, seed=2)


@st.composite
def batches(draw):
    """`k` drawn responses to each of some prompts, and a number by which each is judged."""
    groups, k = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    count = groups * k
    asked = [WORLD.all_prompts[draw(st.integers(0, 2))] for _ in range(groups)]
    said = [f"r{draw(st.integers(0, 4))}" for _ in range(count)]
    prompts = [asked[row // k] for row in range(count)]
    batch = Batch.of(WORLD, prompts, said, torch.arange(count) // k)
    table = torch.tensor(draw(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=5, max_size=5)))
    return batch, lambda prompt, response: float(table[int(response[1:])])


@given(batches(), st.sampled_from([0.0, 1.0]))
def test_accepted_are_all_that_reach_the_threshold(drawn, threshold):
    batch, reward = drawn
    both = zip(batch.prompts, batch.responses, strict=True)
    wanted = [r for x, r in both if reward(x, r) >= threshold]
    feedback = Accepted(reward, threshold)
    if not wanted:
        with pytest.raises(ValueError, match=f"none of its {len(batch)} responses"):
            feedback.label(batch, stream(0, "x"))
        return
    kept = feedback.label(batch, stream(0, "x"))
    assert list(kept.responses) == wanted
    assert bool((kept.columns["rewards"] >= threshold).all())


@given(batches())
def test_best_is_one_a_group_and_no_worse_than_any_other(drawn):
    batch, reward = drawn
    kept = Best(reward).label(batch, stream(0, "x"))
    assert kept.groups.tolist() == batch.groups.unique().tolist()
    for group, best in zip(kept.groups.tolist(), kept.columns["rewards"].tolist(), strict=True):
        members = torch.nonzero(batch.groups == group).flatten().tolist()
        rewards = [reward(batch.prompts[row], batch.responses[row]) for row in members]
        assert best == max(rewards)
        first = members[rewards.index(max(rewards))]
        assert kept.responses[group] == batch.responses[first]


def test_best_asks_for_groups_of_one_size():
    batch = Batch.of(WORLD, [WORLD.all_prompts[0]] * 3, ["r0"] * 3, torch.tensor([0, 0, 1]))
    with pytest.raises(ValueError, match="groups differ in size"):
        Best(WORLD.reward).label(batch, stream(0, "x"))


@given(batches(), st.integers(1, 4), st.floats(0.05, 50), st.integers(0, 99))
def test_rejection_sampling_keeps_so_many_different_rows_of_each_group(drawn, keep, beta, seed):
    batch, reward = drawn
    feedback = RejectionSampled(reward, keep, beta)
    k = batch.by_group().shape[1]
    if k < keep:
        with pytest.raises(ValueError, match=f"{keep} are to be kept"):
            feedback.label(batch, stream(seed, "x"))
        return
    kept = feedback.label(batch, stream(seed, "x"))
    assert kept.groups.tolist() == batch.groups.unique().repeat_interleave(keep).tolist()
    for rewards in batch.columns.get("rewards", torch.zeros(len(batch)))[batch.by_group()]:
        found = feedback.accepted(rewards, stream(seed, "y")).tolist()
        assert len(set(found)) == keep


def test_rejection_sampling_draws_from_the_optimum():
    """At many responses a group: shares are those of pi exp(r / beta) / Z."""
    world = Bandit(1, 5, seed=7)
    beta, count = 0.7, 60_000
    said = torch.randint(5, (count,), generator=stream(0, "said"))  # a uniform policy
    feedback = RejectionSampled(world.reward, keep=4000, beta=beta)
    kept = said[feedback.accepted(world.rewards[0][said], stream(0, "kept"))]
    shares = kept.bincount(minlength=5) / len(kept)
    assert torch.allclose(shares.double(), world.optimum(beta)[0], atol=0.03)


def test_a_tiny_beta_keeps_the_best_and_a_huge_one_the_first():
    rewards = torch.tensor([0.1, 0.9, 0.5, 0.7])
    reward = WORLD.reward
    assert RejectionSampled(reward, 2, 1e-3).accepted(rewards, stream(0, "x")).tolist() == [1, 3]
    assert RejectionSampled(reward, 2, 1e9).accepted(rewards, stream(0, "x")).tolist() == [0, 1]
    with pytest.raises(ValueError, match="keep, beta"):
        RejectionSampled(reward, 0)
