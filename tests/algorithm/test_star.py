"""STaR: hints are given where nothing was right, and are gone from what is trained on."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.objective import Objective
from minipref.algorithm.online.star import Rationalised
from minipref.algorithm.sources import Sampled
from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.model.tabular import TabularPolicy

WORLD = Bandit(6, 4, seed=1)  # prompts 3 to 5 are 0 to 2 with the answer given away
HARD = WORLD.all_prompts[:3]


def right(prompt, response):
    return response == f"r{prompt.index % 3}"


def told(prompt):
    return WORLD.all_prompts[prompt.index + 3]


def knows_when_told(knows=()):
    """A policy that answers what it is told, some prompts by itself, and the others wrongly."""
    policy = TabularPolicy(6, 4)
    with torch.no_grad():
        policy.table[:3, 3] = 50.0
        for prompt in (*knows, 3, 4, 5):
            policy.table[prompt, prompt % 3] = 100.0
    return policy


def star(batch_size=8, per_prompt=2):
    return Rationalised(Sampled(WORLD, HARD, batch_size, per_prompt), right, told)


@given(st.sets(st.integers(0, 2)), st.integers(1, 3), st.integers(0, 999))
def test_hints_go_where_nothing_was_right(knows, per_prompt, seed):
    found = star(8, per_prompt).batch(knows_when_told(knows), 0, stream(seed, "x"))
    assert len(found) == 8 * per_prompt  # everything is right in the end
    rows = zip(found.prompts, found.responses, found.columns["hinted"].tolist(), strict=True)
    for prompt, response, hinted in rows:
        assert prompt in HARD  # the hint is not in the prompt
        assert right(prompt, response)
        assert hinted == (prompt.index not in knows)
    assert bool((found.rows.ids[:, 0] < 3).all())
    assert len(found.groups.unique()) == 8


def test_a_round_teaches_what_was_only_known_when_told():
    policy = knows_when_told()
    teacher = star()
    data = teacher.batch(policy, 0, stream(0, "x"))
    pupil = TabularPolicy(6, 4)  # each round begins from the base

    class Kept:
        def batch(self, policy, step, rng):
            return data

    step = GradientStep(pupil, 0.05)
    align(pupil, Kept(), AsStored(), Objective.of("sft"), 200, step=step)
    learnt = pupil.probabilities().detach()
    for prompt in {prompt.index for prompt in data.prompts}:
        assert float(learnt[prompt, prompt % 3]) > 0.5


def test_nothing_right_is_an_error():
    policy = TabularPolicy(6, 4)
    with torch.no_grad():
        policy.table[:, 3] = 50.0
    with pytest.raises(ValueError, match="with a hint or without"):
        star().batch(policy, 0, stream(0, "x"))
