"""032 reward-transfer: a reward model of one language chooses answers in another.

Preferences are collected in few languages. The paper trains a reward model where they are, and
uses it where they are not: best-of-n in the target language wins nearly as often as with a reward
model of its own, sometimes more often. Here two toy languages have the same words in two forms. The
base has read both, and lines that mix them; the reward model is a linear head on its frozen last
state and mean word, fitted to pairs of language A, and picks one of 16 answers in B.

A base that never saw a mixed line shows where the transfer comes from. Annotators of each language
like a filler of their own (+0.7 nats). No reinforcement learning, best-of-n alone. A head that may
read the response's log-prob wins 0.81 with either base: fluency, not transfer, so it may not.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...data.work import count
from ...evaluation.best_of_n import kl_bound
from ...evaluation.estimate import Estimate
from ...feedback.reward_models.linear import features, fit_linear
from ...model.bases import load_base
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import two_languages as two
from .two_languages import APART, FILLERS, MIXED, Change, N, Setup

PAPER = Paper(
    number=32,
    key="reward-transfer",
    title="Reuse Your Rewards: Reward Model Transfer for Zero-Shot Cross-Lingual Alignment",
    arxiv="2404.12318",
    kind="analysis",
    world="chat",
    model="a base of two languages; its answers in B are the policy to align",
    data="3000 pairs of the base's answers in each language",
    feedback="Bradley-Terry labels, 15 % flipped, each language with a filler that it likes",
    algorithm="best-of-16 in B by a linear reward model of A, of B, or of A translated",
    limit="No PPO. A's reward model beats neither B's nor one of translated pairs clearly: fillers "
    "are in too few answers. Without mixed lines 54 to 60 % of B's pairs are in order.",
)
setup = two.prepare


def arm(language: str, base: str = MIXED, change: Change = two.as_labelled) -> Arm:
    """What a reward model of that language says of the answers in B: (prompts, N + OTHERS)."""

    def judge(made: Setup) -> Tensor:
        pairs, reader = change(made.pairs[language]), load_base(base, made.seed % 3)
        assert pairs.pairs is not None
        model = fit_linear(features(reader, pairs.rows), pairs.pairs)
        count(settings=1, queries=len(made.answers))
        return model(made.features[base]).view(made.rewards.shape)

    return judge


ARMS = {
    "RM-A": arm("A"),
    "RM-B": arm("B"),
    "translated": arm("A", change=two.in_b),
    "RM-A, apart": arm("A", APART),
}


def measure(made: Setup, arms: Mapping[str, Tensor]) -> dict[str, Estimate]:
    """By the true reward: accuracy on pairs, wins of best-of-16 over the policy, its fillers."""
    liked = torch.tensor([FILLERS["B"] in t.split() for t in made.answers.responses]).double()
    liked, picked, right = liked.view(made.rewards.shape), {}, {}
    found = {"kl at most": Estimate(kl_bound(N), unit="nats")}
    found["filler, policy"] = Estimate.mean(liked.mean(1))
    for name, scores in arms.items():
        right[name], prompts = two.in_order(scores, made.rewards)  # (pairs,)
        found[f"accuracy, {name}"] = Estimate.mean(right[name], prompts)
        for n in two.SIZES:
            chosen = scores[:, :n].argmax(1, keepdim=True)  # (prompts, 1)
            best = made.rewards.gather(1, chosen)
            found[f"reward, {name}, best of {n}"] = Estimate.mean(best[:, 0])
        found[f"win rate, {name}"] = two.won(best, made.rewards[:, N:])
        picked[name] = liked.gather(1, chosen)[:, 0]
        found[f"filler, {name}"] = Estimate.mean(picked[name])
    found["filler, RM-B more than RM-A"] = Estimate.mean(picked["RM-B"] - picked["RM-A"])
    found["gain of mixing"] = Estimate.mean(right["RM-A"] - right["RM-A, apart"], prompts)
    kept, own = (found[f"accuracy, {of}"].value - 0.5 for of in ("RM-A", "RM-B"))
    found["share of RM-B's lead that RM-A has"] = Estimate(kept / max(own, 0.01))
    return found


CLAIMS = [
    Claim(
        "best-of-16 in B by a reward model of A wins, which takes a base that read mixed lines",
        paper="people prefer the zero-shot aligned policy to SFT up to more than 70 % of the time",
        holds=lambda m: m["win rate, RM-A"].value > 0.58 and m["gain of mixing"].value > 0.02,
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "it has two thirds of the lead over chance that B's own reward model has on pairs of B",
        paper="reward models are accurate across languages too (analysis)",
        holds=lambda m: m["share of RM-B's lead that RM-A has"].value > 2 / 3,
        across=at_least(4, of=5),
    ),
    Claim(
        "without mixed lines nothing carries over: RM-A is right on half of B's pairs",
        paper="not in the paper, whose bases are multilingual",
        holds=lambda m: abs(m["accuracy, RM-A, apart"].value - 0.5) < 0.02,
        across=at_least(4, of=5),
    ),
    Claim(
        "it wins at most 4 points less often than B's own reward model",
        paper="transfer is close to the target's own reward model, and sometimes beats it",
        holds=lambda m: m["win rate, RM-A"].value > m["win rate, RM-B"].value - 0.04,
        across=at_least(4, of=5),
    ),
    Claim(
        "it wins more often than one trained on translated pairs",
        paper="58.8 against 57.5 on average over 30 pairs of languages",
        holds=lambda m: m["win rate, RM-A"].value > m["win rate, translated"].value,
        across=at_least(4, of=5),
    ),
    Claim(
        "B's own reward model picks the filler that B's annotators like more often than RM-A",
        paper="offered as the reason why transfer may win (analysis)",
        holds=lambda m: m["filler, RM-B more than RM-A"].value > 0.01,
        across=at_least(4, of=5),
    ),
]
CONTROL = Control("labels", "RM-A's labels are a coin's", {"RM-A": arm("A", change=two.coin_flips)})
FIGURE = (
    Dots(
        "A reward model of A serves in B, if the base has seen them mixed",
        "win rate of best-of-16 over the policy",
        {
            "RM of A": "win rate, RM-A",
            "RM of B": "win rate, RM-B",
            "RM of A, translated": "win rate, translated",
            "RM of A, base apart": "win rate, RM-A, apart",
        },
        mark=0.5,
    ),
    Lines(
        "More answers to choose from help as far as the reward model can see",
        "answers to choose from",
        "true reward of the chosen one",
        {name: [(n, f"reward, {name}, best of {n}") for n in two.SIZES] for name in ARMS},
    ),
)
