"""What is kept of a batch: right answers (RFT), or the best of each group (RAFT)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.streams import stream
from minipref.feedback.kept import Accepted, Best

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
