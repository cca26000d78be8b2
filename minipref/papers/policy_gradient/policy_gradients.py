"""201 policy-gradients: answer, be told how good it was, and make good answers likelier.

REINFORCE samples an answer and weighs its log-prob by how much better than expected it did. For
language models nearly everything else can be left out: RLOO draws four answers to a prompt, takes
the mean of the other three for what was to be expected, and has no critic, no clip and no second
pass. The KL from the base is paid out of the reward.

The measure is what needs no training: best-of-n of the base, at the KL that it costs. On a bandit,
where the best policy at any KL is known, RLOO, PPO, online DPO and both kinds of GRPO are measured
against that one. GRPO divides by a group's deviation, so that what it climbs is not the reward.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

from ...algorithm.align import GradientStep, align
from ...algorithm.objective import Objective
from ...algorithm.snapshots import Snapshots
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...model.transformer import Transformer
from ..figure import Dots, Lines
from ..paper import Claim, Control, Paper, at_least
from .trying import TRUTH, Shuffled, Trying, beside_best_of_n, best_of_line, line, looks, trying
from .trying_on_bandit import METHODS, shares

PAPER = Paper(
    number=201,
    key="policy-gradients",
    title="Back to Basics: Revisiting REINFORCE Style Optimization "
    "for Learning from Human Feedback in LLMs",
    arxiv="2402.14740",
    kind="algorithm",
    world="chat",
    model="chat-nano and its frozen reference; a table of logits",
    data="22400 answers, sampled as the policy learns",
    feedback="the true reward, less 0.1 a nat of KL",
    algorithm="RLOO with four answers a prompt",
    limit="",
)
STEPS, RATE, PRICE = 200, 2e-3, 0.1
setup = partial(trying, "201")


def rloo(made: Trying, feedback: Any) -> list[Transformer]:
    """The policy each time it was looked at."""
    policy, steps = copy.deepcopy(made.base), made.steps(STEPS)
    step = Snapshots(GradientStep(policy, RATE, steps), looks(steps))
    loss = Objective.of("rloo", reference=made.base, kl_penalty=PRICE)
    align(policy, made.source, feedback, loss, steps, seed=made.seed, step=step)
    count(settings=1)
    return step.kept


ARMS = {"rloo": lambda made: rloo(made, TRUTH)}


def measure(made: Trying, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Gains beside best-of-n's; on the bandit, shares of the optimum's, without error."""
    found = beside_best_of_n(made, arms)
    for method, (reached, earned) in shares(made.seed).items():
        found[f"bandit, kl, {method}"] = Estimate(reached, unit="nats")
        found[f"bandit, {method}"] = Estimate(earned)
    return found


def above(found: Estimate, mark: float = 0.0) -> bool:
    """By two standard errors?"""
    return found.value - 2 * found.se > mark


CLAIMS = [
    Claim(
        "RLOO gains more than 55 % of what best-of-n gains at its KL",
        paper="RLOO above PPO and RAFT at equal KL; no such measure (section 5, figure 3)",
        holds=lambda m: above(m["share of best-of-n's gain at equal KL, rloo"], 0.55),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "within 5 nats it is past best-of-16",
        paper="not in the paper",
        holds=lambda m: above(m["lead over best-of-16, at most 5 nats away, rloo"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "on the bandit RLOO, PPO and online DPO earn nine tenths of the optimum at their KL",
        paper="not in the paper",
        holds=lambda m: all(
            m[f"bandit, {method}"].value >= 0.9 for method in ("rloo", "ppo", "online dpo")
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "there GRPO loses more of it than the same without the division by the deviation",
        paper="not in the paper; Liu et al. 2025 (2503.20783), section 3, call it a bias",
        holds=lambda m: m["bandit, grpo"].value < m["bandit, dr. grpo"].value - 0.01,
        across=at_least(5, of=5),
    ),
]
CONTROL = Control(
    "labels",
    "the rewards are those of other answers of the batch",
    arms={"rloo": lambda made: rloo(made, Shuffled())},
)
FIGURE = (
    Lines(
        "Trying goes further than choosing; at equal KL, choosing is ahead",
        "KL from the base (nats)",
        "gain in reward",
        {"best of n": best_of_line(), "RLOO": line("rloo")},
    ),
    Dots(
        "On a bandit the best policy at that KL is nearly reached, but by GRPO",
        "share of the best gain at the same KL",
        {method: f"bandit, {method}" for method in METHODS},
        mark=0.9,
    ),
)
