"""Row 036 on the bandit: budgets are alike, promises follow from bounds, no width means chance."""

import pytest
import torch

from minipref.algorithm.online.borda import borda, unsettled
from minipref.data.work import counting
from minipref.papers.online import active_on_bandit as bandit

RULES = {
    "uniform": (bandit.nowhere, bandit.anyone),
    "unsure": (bandit.unsure_anywhere, bandit.unsure),
    "optimist": (bandit.nowhere, bandit.optimist),
    "ae": (unsettled, bandit.optimist),
}


@pytest.fixture(scope="module")
def made():
    return bandit.unrelated(3, 0.2)


@pytest.mark.parametrize("rule", RULES)
def test_every_label_is_counted_and_all_learners_buy_as_many(made, rule):
    with counting() as work:
        run = bandit.learn(made, *RULES[rule])
    assert work.labels == made.labels * len(made.preferred) == int(run.asked.sum())
    assert run.regret.shape == (bandit.PARTS, bandit.WORLDS, bandit.EASY + bandit.HARD)
    assert bool((run.regret >= 0).all())


def test_promises_shrink_and_stay_below_the_theorem_whatever_the_width(made):
    for width in (0.5, 2.0, bandit.proven(made)):
        run = bandit.learn(made, unsettled, bandit.optimist, width)
        assert bool((run.promise[1:] <= run.promise[:-1] + 1e-12).all())
        assert float(run.promise[-1].max()) <= bandit.theorem(made, width, made.labels)


def test_proven_bounds_keep_their_promise():
    made = bandit.few(3, 0.2)
    run = bandit.learn(made, unsettled, bandit.optimist, bandit.proven(made))
    broken = (run.regret.amax(-1) > run.promise).any(0)
    assert float(broken.double().mean()) <= bandit.DOUBT


def test_the_theorem_adds_up_what_even_asking_would_leave():
    made = bandit.unrelated(0, 0.1)  # 250 labels: each of 100 cells twice, half of them again
    variances = [0.25] * 100 + [0.125] * 100 + [0.25 / 3] * 50
    expected = 2 * 1.5 * (sum(variances) / 250) ** 0.5
    assert bandit.theorem(made, 1.5, 250) == pytest.approx(expected)


def test_without_width_chance_chooses_the_prompt(made):
    blind = bandit.learn(made, bandit.settled, bandit.optimist)
    chance = bandit.learn(made, bandit.nowhere, bandit.optimist)
    assert torch.equal(blind.regret, chance.regret)


def test_hard_prompts_come_last_and_are_harder():
    made = bandit.unrelated(5, 0.1)
    top = borda(made.preferred).sort(-1).values  # (worlds, prompts, responses)
    gap = top[..., -1] - top[..., -2]
    assert float(gap[:, : bandit.EASY].min()) > 0.4
    assert float(gap[:, bandit.EASY :].max()) < 0.1


def test_smooth_worlds_are_smooth():
    rewards = bandit.smooth(2, 0.1).preferred[..., 0].logit()  # against the first response
    steps = (rewards[:, 1:] - rewards[:, :-1]).std()
    assert float(steps) < 0.3 * float(rewards.std())
