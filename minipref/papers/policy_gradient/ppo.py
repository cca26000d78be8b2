"""204 ppo: ask a critic what was to be expected, word by word, and do not step too far.

RLHF as InstructGPT had it. Every token is an action. A critic says before each what is still to
come, and a token is praised by how much better things look after it (GAE). The reward comes with
the last token, the price of KL with every one. A batch is used twice; the clip sees to it that the
second pass does not run away.

Beside best-of-n at equal KL, as RLOO in row 201. A second run, as short as the first look, has a
critic that begins at zero: what it teaches first is to be brief.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Frozen
from ...algorithm.online.actor_critic import ActorCritic, Assessed, warm_up
from ...algorithm.snapshots import Snapshots
from ...algorithm.sources import Replay
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.responses import length
from ...model.heads import ValueHead
from ...model.transformer import Transformer
from ..figure import Dots, Lines
from ..paper import Claim, Control, Paper, at_least
from .trying import TRUTH, Shuffled, Trying, answers, beside_best_of_n, best_of_line, line, looks
from .trying import trying as set_up

PAPER = Paper(
    number=204,
    key="ppo",
    title="Training language models to follow instructions with human feedback",
    arxiv="2203.02155",
    kind="algorithm",
    world="chat",
    model="chat-nano, its frozen reference, and a copy with a head as critic",
    data="16800 answers, sampled as the policy learns, each used twice",
    feedback="the true reward at the end, less 0.1 a nat of KL with every token",
    algorithm="PPO with GAE, whitened advantages, both clips, and a critic warmed up beforehand",
    limit="",
)
STEPS, WARM, PASSES, RATE, PRICE = 300, 60, 2, 1.2e-3, 0.1
setup = partial(set_up, "204")


def ppo(made: Trying, feedback: Any) -> list[Transformer]:
    """The policy each time it was looked at; the critic was warmed up."""
    return climb(made, feedback, warm=made.steps(WARM), steps=made.steps(STEPS))


def from_zero(made: Trying) -> list[Transformer]:
    """As far as the first look, with a critic that knows nothing."""
    first = looks(made.steps(STEPS))[0]
    return climb(made, TRUTH, warm=0, steps=first)[-1:]


def climb(made: Trying, feedback: Any, *, warm: int, steps: int) -> list[Transformer]:
    policy = copy.deepcopy(made.base)
    critic = ValueHead(copy.deepcopy(made.base), made.base.config.width)
    asked = Assessed(made.source, feedback, critic, Frozen(made.base), kl=PRICE)
    source = Replay(asked, AsStored(), PASSES)
    objective = ActorCritic(critic, value_clip=2.0, weight=0.5)  # rewards reach about 8
    warm_up(policy, source, objective, warm, seed=made.seed)
    both = GradientStep(nn.ModuleList([policy, critic]), RATE, made.steps(STEPS))
    step = Snapshots(both, looks(steps))
    align(policy, source, AsStored(), objective, steps, seed=made.seed, step=step)
    count(settings=1)
    return step.kept


ARMS = {"ppo": lambda made: ppo(made, TRUTH), "critic from zero": from_zero}


def measure(made: Trying, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Gains beside best-of-n's, and how long answers are at the first look, by critic."""
    found = beside_best_of_n(made, {"ppo": arms["ppo"]})
    for name, policies in arms.items():
        found[f"length at the first look, {name}"] = length(answers(made, policies[0]))
    return found


def above(found: Estimate, mark: float = 0.0) -> bool:
    """By two standard errors?"""
    return found.value - 2 * found.se > mark


def briefer(m: Mapping[str, Estimate], than: str) -> bool:
    return above(m[than].minus(m["length at the first look, critic from zero"]))


CLAIMS = [
    Claim(
        "PPO gains more than 55 % of what best-of-n gains at its KL",
        paper="PPO above SFT in labellers' eyes; no such measure (section 4)",
        holds=lambda m: above(m["share of best-of-n's gain at equal KL, ppo"], 0.55),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "within 5 nats it is past best-of-16",
        paper="not in the paper",
        holds=lambda m: above(m["lead over best-of-16, at most 5 nats away, ppo"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "a critic that begins at zero first teaches to be brief, which nothing rewards",
        paper="not in the paper, whose critic begins as the reward model (appendix C)",
        holds=lambda m: briefer(m, "length, base") and briefer(m, "length at the first look, ppo"),
        across=at_least(5, of=5),
    ),
]
CONTROL = Control(
    "labels",
    "the rewards are those of other answers of the batch",
    arms={"ppo": lambda made: ppo(made, Shuffled())},
)
FIGURE = (
    Lines(
        "Trying goes further than choosing; at equal KL, choosing is ahead",
        "KL from the base (nats)",
        "gain in reward",
        {"best of n": best_of_line(), "PPO": line("ppo")},
    ),
    Dots(
        "A critic that knows nothing yet teaches to be brief",
        "tokens an answer, after the first tenth of the run",
        {
            "base": "length, base",
            "critic warmed up": "length at the first look, ppo",
            "critic from zero": "length at the first look, critic from zero",
        },
    ),
)
