"""115 genarm: steer a frozen model by a smaller one that was taught what people prefer.

A reward model that scores whole answers cannot say which next word is good: asked about half an
answer, it guesses. GenARM trains a language model whose log-prob *is* the reward, so that every
word has one, and adds its log-probs to those of a base that is never trained. Its loss is DPO's
without a reference: `cpo` with alpha = 0.

Here chat-small is steered by a guide that began as chat-nano and read 2000 labelled pairs. ARGS
asks a reward model of the same pairs about every beginning, for 4 candidates a token; DPO trains
the large model itself. Two language models multiplied say what is more ordinary, often for the
better: so the guide before training is a baseline too, and what counts is the reward at equal KL.
GenARM gains by both, and DPO is less of a rival than in the paper. On trees that can be written
down (`guided_trees.py`) its decoding is not the optimum for a reward on whole answers, but lies
between that and the base. Guides for two rewards are tested, not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from ...algorithm.decoding.prefix_scored import PrefixScored
from ...algorithm.decoding.product import Product
from ...data.corpora import CHAT
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...evaluation.responses import true_reward
from ...evaluation.win_rate import win_rate
from ...feedback.reward_models.bradley_terry import train
from ...model.policy import Policy
from ..chat_pairs import answers, divergence, tuned
from ..figure import Lines
from ..paper import Claim, Control, Paper, at_least
from .guided_trees import WAYS, trees
from .steered import Setup, by_a_coin
from .steered import setup as setup

PAPER = Paper(
    number=115,
    key="genarm",
    title="GenARM: Reward Guided Generation with Autoregressive Reward Model for Test-time "
    "Alignment",
    arxiv="2410.08193",
    kind="algorithm",
    world="chat",
    model="chat-small, frozen, and a guide that begins as chat-nano",
    data="two answers of chat-nano to each of 2000 prompts",
    feedback="Bradley-Terry labels at temperature 0.5",
    algorithm="Bradley-Terry on the guide's log-probs, then a product of experts token by token",
)


def genarm(made: Setup) -> list[Policy]:
    guide = tuned(made[1], "cpo", 3e-3, beta=0.1, alpha=0.0)
    count(settings=1)  # two alphas
    return [Product(made[0].base, [guide], [alpha]) for alpha in (0.25, 1.0)]


def untrained(made: Setup) -> list[Policy]:
    count(settings=2)
    return [Product(made[0].base, [made[1].base], [alpha]) for alpha in (1.0, 2.0)]


def args(made: Setup) -> list[Policy]:
    large, small = made
    model = train(small.pairs, small.base, width=32, steps=small.steps, seed=small.seed)
    count(settings=2)
    return [PrefixScored(large.base, model, weight, candidates=4) for weight in (1.0, 4.0)]


def dpo(made: Setup) -> list[Policy]:
    return [tuned(made[0], "dpo", rate, beta=0.1) for rate in (3e-4, 6e-4)]


ARMS = {"genarm": genarm, "untrained": untrained, "args": args, "dpo": dpo}


def measure(made: Setup, arms: Mapping[str, list[Policy]]) -> dict[str, Estimate]:
    """KL and reward at both settings, reward at equal KL, and win rates of alpha = 1."""
    large, own = made[0], {}
    start = true_reward(CHAT, large.own)
    found = trees(large.seed) | {"reward, base": start, "kl, base": Estimate(0.0, unit="nats")}
    curves = {name: [(0.0, start)] for name in arms}
    for name, policies in arms.items():
        for place, policy in zip(("low", "high"), policies, strict=True):
            batch = own[name, place] = answers(large, policy)
            kl, reward = divergence(large, policy, batch), true_reward(CHAT, batch)
            found |= {f"kl, {name}, {place}": kl, f"reward, {name}, {place}": reward}
            curves[name].append((kl.value, reward))
    target = min(max(kl for kl, _ in curve) for curve in curves.values())
    found |= {f"at equal KL, {name}": reward_at_kl(curves[name], target) for name in arms}
    for other, theirs in (("the base", large.own), ("args", own["args", "low"])):
        found[f"win rate over {other}"] = win_rate(CHAT, own["genarm", "high"], theirs)
    return found


def above(found: Mapping[str, Estimate], *names: str) -> bool:
    """Is each above the next by two standard errors?"""
    gaps = [found[ours].minus(found[theirs]) for ours, theirs in pairwise(names)]
    return all(gap.value > 2 * gap.se for gap in gaps)


CLAIMS = [
    Claim(
        "at equal KL GenARM beats the product with an untrained guide, and ARGS at any measured KL",
        paper="about 2:1 against ARGS and Transfer-Q by GPT-4 on HH-RLHF (section 6.1)",
        holds=lambda m: (
            above(m, "at equal KL, genarm", "at equal KL, untrained")
            and above(m, "at equal KL, genarm", "reward, args, low")
            and above(m, "at equal KL, genarm", "reward, args, high")
        ),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "at alpha = 1 its answers win more than 60 % against the base's and prefix scoring's",
        paper="the same win rates",
        holds=lambda m: min(m["win rate over the base"].value, m["win rate over args"].value) > 0.6,
        across=at_least(5, of=5),
    ),
    Claim(
        "at equal KL it gains at least as much reward as DPO on the large model",
        paper="about even with DPO (section 6.1)",
        holds=lambda m: above(m, "at equal KL, genarm", "at equal KL, dpo"),
        across=at_least(5, of=5),
    ),
    Claim(
        "on trees, the guide e^r ends between base and optimum, a guide made for it on the optimum",
        paper="any target of a reward on whole answers has such a guide (Theorem 3.1)",
        holds=lambda m: above(m, *(f"KL to the optimum, {way}" for way in WAYS)),
        across=at_least(5, of=5),
    ),
]
CONTROL = Control(
    "labels",
    "the guide's pairs are labelled by a coin",
    arms={"genarm": lambda made: genarm(by_a_coin(made))},
)
FIGURE = Lines(
    "A small guide buys more reward for its KL than prefix scores, or DPO on the large model",
    "KL from the base (nats an answer)",
    "true reward",
    {
        label: [(f"kl, {at}", f"reward, {at}") for at in ("base", f"{arm}, low", f"{arm}, high")]
        for arm, label in zip(ARMS, ("GenARM", "untrained guide", "ARGS", "DPO"), strict=True)
    },
)
