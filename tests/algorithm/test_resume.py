"""An interrupted run ends in the same bits: 20 kill points, offline and online."""

import pytest
import torch

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.objective import Moving, Objective
from minipref.algorithm.sources import Replay, Sampled, Stored
from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.streams import stream
from minipref.feedback.annotators import bt
from minipref.feedback.rewards import Rewards
from minipref.model.tabular import TabularPolicy

STEPS = 24
WORLD = Bandit(prompts=4, responses=6, seed=0)
PROMPTS = WORLD.all_prompts


class Killed(BaseException):
    """Stands for `kill -9`: nothing may catch it."""


class KilledAfter(GradientStep):
    """A step that dies when it has been taken so many times in this process."""

    def __init__(self, policy, lives):
        super().__init__(policy, 0.05)
        self.lives = lives

    def __call__(self, *arguments):
        if self.lives == 0:
            raise Killed
        self.lives -= 1
        return super().__call__(*arguments)


def offline(policy):
    asked = [PROMPTS[i % 4] for i in range(80) for _ in range(2)]
    drawn = torch.randint(6, (160,), generator=stream(0, "responses")).tolist()
    data = Batch.of(WORLD, asked, [f"r{j}" for j in drawn], torch.arange(160) // 2)
    data = bt(WORLD.reward).label(data, stream(0, "labels"))
    reference = Moving(policy, alpha=0.5, every=5)
    return Stored(data, batch_size=16), AsStored(), Objective.of("dpo", reference=reference)


def online(policy):
    source = Replay(
        Sampled(WORLD, PROMPTS, batch_size=4, per_prompt=4), Rewards(WORLD.reward), 3, 2
    )
    return source, AsStored(), Objective.of("grpo", reference=policy)


def run(setting, checkpoint=None, lives=-1):
    policy = TabularPolicy(4, 6)
    source, feedback, objective = setting(policy)
    step = KilledAfter(policy, lives)
    state = align(
        policy, source, feedback, objective, STEPS, seed=1, step=step,
        checkpoint=checkpoint, every=5,
    )  # fmt: skip
    return policy.probabilities(), state.history


@pytest.mark.slow
@pytest.mark.parametrize("setting", [offline, online])
def test_twenty_kills_end_in_the_same_bits(setting, tmp_path):
    whole, history = run(setting)
    for lives in range(1, 21):
        path = tmp_path / f"{lives}.safetensors"
        with pytest.raises(Killed):
            run(setting, path, lives)
        resumed, resumed_history = run(setting, path)
        assert torch.equal(resumed, whole), f"killed after {lives} steps"
        assert resumed_history == history


def test_another_order_of_pairs_would_be_noticed(tmp_path):
    first, _ = run(offline)
    policy = TabularPolicy(4, 6)
    source, feedback, objective = offline(policy)
    align(policy, source, feedback, objective, STEPS, seed=2, step=GradientStep(policy, 0.05))
    assert not torch.equal(policy.probabilities(), first)
