"""Feedback that is a number, a rule, a point or a ranking."""

import math
from itertools import permutations
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.reason import Reason
from minipref.data.streams import stream
from minipref.feedback.annotators import bt
from minipref.feedback.points import Points, desirable
from minipref.feedback.rankings import PlackettLuce
from minipref.feedback.rewards import Rewards
from minipref.feedback.rules import contains, exact_answer, longer, shorter

words = st.lists(st.sampled_from(["so", "good", "bad"]), max_size=5)


def all_responses(bandit: Bandit) -> Batch:
    """Every response to every prompt, a group a prompt."""
    responses = bandit.responses() * len(bandit.all_prompts)
    groups = torch.arange(len(bandit.all_prompts)).repeat_interleave(len(bandit.responses()))
    return Batch.of(bandit, [bandit.all_prompts[g] for g in groups], responses, groups)


def test_rewards_are_the_worlds_own():
    bandit = Bandit(3, 4, seed=5)
    labelled = Rewards(bandit.reward).label(all_responses(bandit), stream(0, "x"))
    torch.testing.assert_close(
        labelled.columns["rewards"], bandit.rewards.flatten().float(), rtol=0, atol=0
    )
    with pytest.raises(ValueError, match="reward: nan for row 0, 'r0'"):
        Rewards(lambda prompt, response: math.nan).label(all_responses(bandit), stream(0, "x"))


@given(words, words)
def test_rules_as_annotators(a, b):
    rng = (" ".join(a), " ".join(b))
    longest = bt(longer, temperature=0)
    assert longest.probability(None, *rng) == (1 + (len(a) > len(b)) - (len(a) < len(b))) / 2
    assert bt(shorter, temperature=0).probability(None, *rng) == 1 - longest.probability(None, *rng)
    holds = ("good" in a) - ("good" in b)
    assert bt(contains("good"), temperature=0).probability(None, *rng) == (1 + holds) / 2


def test_rules_by_hand():
    assert (longer(None, "a b c"), shorter(None, "a b c"), longer(None, "")) == (3, -3, 0)
    assert (contains("an")(None, "a man"), contains("man")(None, "a man")) == (0, 1)
    world = Reason()
    prompt = world.prompts(1, Random(0))[0]
    rule = exact_answer(world.answer)
    assert rule(prompt, world.solution(prompt)) == 1
    assert rule(prompt, f"so {world.notation.write(prompt.answer - 1)}") == 0
    assert rule(prompt, "") == 0
    with pytest.raises(ValueError, match="word: expected one word"):
        contains("two words")


def test_points_take_the_pairs_apart():
    bandit = Bandit(3, 5, seed=1)
    annotator = bt(bandit.reward, temperature=0)
    pairs = annotator.label(all_responses(bandit), stream(0, "x"))
    points = Points(annotator).label(all_responses(bandit), stream(0, "x"))
    assert len(points) == 2 * len(pairs.pairs) == 12  # the fifth response stays alone
    wanted = points.columns["desirable"]
    assert wanted.dtype == torch.bool
    assert int(wanted.sum()) == 6
    assert torch.equal(points.columns["preference"] == 1, wanted)
    rows = points.rows.split()[1]
    assert [f"r{ids[0]}" for ids in rows] == list(points.responses)


def test_a_tie_is_no_point():
    bandit = Bandit.of(torch.tensor([[1.0, 1.0, 2.0, 0.0]]))
    annotator = bt(bandit.reward, temperature=0).keeping_ties()
    points = Points(annotator).label(all_responses(bandit), stream(0, "x"))
    assert points.responses == ("r2", "r3")
    assert points.columns["desirable"].tolist() == [True, False]


def test_points_refuse_what_is_no_point():
    bandit = Bandit(1, 3)
    batch = all_responses(bandit)
    with pytest.raises(ValueError, match=r"batch\.pairs: expected pairs, got None"):
        desirable(batch)
    with pytest.raises(ValueError, match=r"rows \[1\] are chosen and rejected both"):
        desirable(batch.with_pairs(torch.tensor([[0, 1], [1, 2]])))


def test_rankings_follow_plackett_and_luce():
    bandit, times = Bandit(1, 3, seed=2), 20_000
    prompts = [bandit.all_prompts[0]] * 3 * times
    batch = Batch.of(bandit, prompts, bandit.responses() * times, torch.arange(3 * times) // 3)
    ranker = PlackettLuce(bandit.reward, temperature=0.8)
    rankings = ranker.label(batch, stream(0, "test/rank")).rankings
    assert rankings.shape == (times, 3)
    weights = (bandit.rewards[0] / 0.8).exp().tolist()
    for order in permutations(range(3)):
        p, left = 1.0, sum(weights)
        for item in order:
            p, left = p * weights[item] / left, left - weights[item]
        found = float((rankings % 3 == torch.tensor(order)).all(1).double().mean())
        assert abs(found - p) < 4.5 * math.sqrt(p * (1 - p) / times)


def test_rankings_without_noise_sort_by_reward():
    bandit = Bandit(4, 6, seed=2)
    labelled = PlackettLuce(bandit.reward, temperature=0).label(
        all_responses(bandit), stream(0, "x")
    )
    best_first = bandit.rewards.argsort(1, descending=True) + 6 * torch.arange(4)[:, None]
    assert torch.equal(labelled.rankings, best_first)
    with pytest.raises(ValueError, match="temperature"):
        PlackettLuce(bandit.reward, temperature=-1.0)
