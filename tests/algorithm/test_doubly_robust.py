"""DRPO's parts: who is drawn, what the judge says of whom, and where the gradient points."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.online.doubly_robust import (
    BASELINE,
    DoublyRobust,
    JudgedPairs,
    WithSamples,
    parts,
)
from minipref.algorithm.sources import Stored
from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.streams import stream
from minipref.feedback.annotators import bt
from minipref.feedback.rewards import Rewards
from minipref.model.tabular import TabularPolicy

SEEDS = st.integers(0, 10**6)


def policy_of(seed, prompts=3, responses=5):
    policy = TabularPolicy(prompts, responses)
    with torch.no_grad():
        policy.table.copy_(torch.randn(prompts, responses, generator=stream(seed, "policy")))
    return policy


def drawn(seed, pairs=6, per_pair=3):
    """A world, and a batch of its pairs with samples of a policy."""
    world = Bandit(3, 5, seed)
    rng = stream(seed, "x")
    index = torch.randint(3, (8,), generator=rng).repeat_interleave(2)
    asked = [world.all_prompts[i] for i in index.tolist()]
    said = [f"r{i}" for i in torch.randint(5, (16,), generator=rng).tolist()]
    stored = bt(world.reward).label(Batch.of(world, asked, said, torch.arange(16) // 2), rng)
    source = WithSamples(Stored(stored, pairs), world, per_pair)
    return world, source.batch(policy_of(seed), 0, rng)


@given(SEEDS)
def test_samples_answer_the_prompt_of_their_pair(seed):
    _, batch = drawn(seed)
    pairs, samples = parts(batch)
    assert samples.shape == (6, 3)
    for (chosen, rejected), mine in zip(pairs.tolist(), samples.tolist(), strict=True):
        assert batch.prompts[chosen] == batch.prompts[rejected]
        assert {batch.prompts[row] for row in mine} == {batch.prompts[chosen]}
        assert {int(batch.groups[row]) for row in mine} == {int(batch.groups[chosen])}


@given(SEEDS)
def test_the_judge_is_asked_about_pairs_and_samples(seed):
    world, batch = drawn(seed)
    judged = JudgedPairs(Rewards(world.reward)).label(batch, stream(seed, "y"))
    said = judged.columns["probabilities"]
    pairs, samples = parts(judged)
    score = [world.reward(x, y) for x, y in zip(batch.prompts, batch.responses, strict=True)]

    def beats(one, other):
        return 1 / (1 + torch.tensor(score[other] - score[one]).exp())

    for (chosen, rejected), mine in zip(pairs.tolist(), samples.tolist(), strict=True):
        assert float(said[chosen]) == pytest.approx(float(beats(chosen, rejected)), rel=1e-5)
        for row in mine:
            expected = (beats(row, chosen) + beats(row, rejected)) / 2
            assert float(said[row]) == pytest.approx(float(expected), rel=1e-5)


@given(SEEDS, st.booleans())
def test_one_step_raises_the_chosen_where_the_judge_knows_nothing(seed, swap):
    """g = 1/2, which is the baseline of the samples: the correction is all there is."""
    world, batch = drawn(seed, pairs=1)
    policy = policy_of(seed)
    batch = JudgedPairs(Rewards(lambda x, y: 0.0)).label(batch, stream(seed, "y"))
    if swap:
        batch = batch.with_pairs(batch.pairs.flip(1))
    objective = DoublyRobust(policy, beta=0.0)
    objective(policy, batch)[0].backward()
    prompt = batch.prompts[int(batch.pairs[0, 0])].index
    chosen, rejected = (world.encode_response(batch.responses[i])[0] for i in batch.pairs[0])
    gradient = policy.table.grad
    assert torch.equal(
        gradient.abs().sum(1) > 0, (torch.arange(3) == prompt) & (chosen != rejected)
    )
    if chosen != rejected:  # coefficient (1 - 1/2) / 2 either way, at ratio 1
        assert float(gradient[prompt, chosen]) == pytest.approx(-0.25, abs=1e-6)
        assert float(gradient[prompt, rejected]) == pytest.approx(0.25, abs=1e-6)


def test_the_ratio_is_to_who_is_taken_for_the_writer():
    """A reference that finds the chosen half as likely doubles the push, up to the clip."""
    _, batch = drawn(4, pairs=1)
    batch = JudgedPairs(Rewards(lambda x, y: 0.0)).label(batch, stream(0, "y"))
    pushes = []
    for times in (1.0, 2.0, 50.0):
        policy, believed = policy_of(4), policy_of(4)
        prompt = batch.prompts[int(batch.pairs[0, 0])].index
        row = int(batch.rows.ids[int(batch.pairs[0, 0]), 1])
        with torch.no_grad():
            odds = believed.table.double()[prompt].softmax(0)
            odds[row] /= times
            believed.table[prompt] = odds.log().float() - torch.logsumexp(odds.log(), 0).float()

        def ratio_alone(chosen_logps, ref_chosen_logps, sampled_logps, clip, **rest):
            ratio = (chosen_logps - ref_chosen_logps).exp().clamp(max=clip)
            return ratio - BASELINE * sampled_logps.mean(1)

        loss = DoublyRobust(believed, clip=2.5, loss=ratio_alone)(policy, batch)[0]
        pushes.append(float(loss.detach()))
    assert pushes[0] < pushes[1] <= pushes[2] == pytest.approx(2.5)


def test_what_is_missing_is_named():
    _, batch = drawn(0)
    with pytest.raises(ValueError, match="WithSamples"):
        parts(batch.take(torch.arange(4)))
