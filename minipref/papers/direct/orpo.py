"""034 orpo: likelihood of the chosen answer, and an odds ratio that holds the rejected one down.

Fine-tuning on chosen answers teaches a model how answers look here, and both answers of a pair look
like that: the rejected one becomes likelier too. ORPO adds the log odds ratio of the pair to the
likelihood, in the same stage and without a reference, and the two come apart.

Here a base reads pairs by people who explain and hedge more than it does: over its own samples
nothing can grow likelier on average (Gibbs). The weight is 1 (official code), not 0.1.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...data.batch import Batch
from ...data.chat.edits import read_back
from ...data.corpora import CHAT
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...evaluation.win_rate import win_rate
from ...model.logprobs import sequence_logps
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs, answers, chat_pairs, frontier, tuned
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least

PAPER = Paper(
    number=34,
    key="orpo",
    title="ORPO: Monolithic Preference Optimization without Reference Model",
    arxiv="2403.07691",
    kind="algorithm",
    world="chat",
    model="chat-nano, no reference",
    data="two answers to each of 1600 prompts, by people whose habits the base does not share",
    feedback="Bradley-Terry labels at temperature 0.5",
    algorithm="likelihood of the chosen answer and a log odds ratio, in one stage",
    limit="The gap opens 2.0 to 2.6 times as far as SFT's, clearly more than twice at three seeds "
    "(0.005 nats a token can be seen). At equal KL ORPO earns no more than SFT.",
)


def write(prompt: Any, pen: random.Random) -> list[str]:
    """What two people answer who always hedge, and explain where there is one question."""
    usual = [read_back(CHAT, prompt, CHAT.demonstration(prompt, pen)) for _ in range(2)]
    habit: dict[str, Any] = {"hedge": True}
    if len(prompt.questions) == 1:
        habit["style"] = "explained"
    return [CHAT.say(prompt, said, replace(slots, **habit)) for said, slots in usual]


setup = partial(chat_pairs, name="034", prompts=1600, fresh=2048, steps=50, write=write)


def arm(loss: str, *rates: float, **hyper: float) -> Arm:
    """The policies of every learning rate, the smallest first."""
    return lambda made: [tuned(made, loss, rate, **hyper) for rate in rates]


WITHOUT = arm("orpo", 1e-3, 3e-3, lambda_=0.0)
ARMS = {
    "sft": WITHOUT,
    "orpo": arm("orpo", 1e-3, 3e-3, lambda_=1.0),
    "dpo": arm("dpo", 3e-4, 1e-3, beta=0.1),
}


def mean_logps(policy: Transformer, pairs: Batch) -> Tensor:
    """Nats a token of the chosen and the rejected response: (pairs, 2)."""
    with torch.no_grad():
        means = sequence_logps(policy, pairs.rows) / pairs.rows.completion_mask.sum(1)
    assert pairs.pairs is not None
    return means[pairs.pairs]


def measure(made: ChatPairs, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Log-probs of fresh pairs at the larger rate, answers to fresh prompts at the better one."""
    nats = partial(Estimate.mean, unit="nats a token")
    before = mean_logps(made.base, made.fresh)
    found, curves, best, margins = {}, {}, {}, {}
    for name, policies in arms.items():
        change = mean_logps(policies[-1], made.fresh) - before  # (pairs, 2)
        margins[name] = change[:, 0] - change[:, 1]
        found[f"change of the chosen, {name}"] = nats(change[:, 0])
        found[f"change of the rejected, {name}"] = nats(change[:, 1])
        found[f"change of the margin, {name}"] = nats(margins[name])
        curves[name] = frontier(made, policies)
        better = max((0, 1), key=lambda rate: curves[name][rate + 1][1].value)
        best[name], (reached, reward) = answers(made, policies[better]), curves[name][better + 1]
        found |= {f"reward, {name}": reward, f"kl, {name}": Estimate(reached, unit="nats")}
    found["orpo's margin less twice SFT's"] = nats(margins["orpo"] - 2 * margins["sft"])
    target = min(max(kl for kl, _ in curve) for curve in curves.values())
    for name, curve in curves.items():
        found[f"reward at equal KL, {name}"] = reward_at_kl(curve, target)
    for other in ("sft", "dpo"):
        found[f"win rate of orpo over {other}"] = win_rate(CHAT, best["orpo"], best[other])
    return found


def clear(found: Estimate, above: float = 0.0) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "the odds ratio opens the gap between chosen and rejected twice as far as SFT does",
        paper="the log-probs of chosen and rejected during training (Fig. 3, section 4)",
        holds=lambda m: clear(m["orpo's margin less twice SFT's"]),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "SFT on the chosen answers raises the rejected ones too",
        paper="the motivating figure (Fig. 3)",
        holds=lambda m: clear(m["change of the rejected, sft"]),
        across=at_least(5, of=5),
    ),
    Claim(
        "ORPO's answers win more than 55 % against SFT's",
        paper="win rates over SFT (section 6)",
        holds=lambda m: m["win rate of orpo over sft"].value > 0.55,
        across=at_least(4, of=5),
    ),
    Claim(
        "ORPO's answers win against DPO's from the same base, which SFT has not prepared",
        paper="AlpacaEval of Mistral-ORPO (Table 1), there against other models",
        holds=lambda m: clear(m["win rate of orpo over dpo"], 0.5),
        across=at_least(5, of=5),
    ),
]
CONTROL = Control("ablation", "lambda set to 0", arms={"orpo": WITHOUT})
FIGURE = Dots(
    "SFT raises both answers of a pair; the odds ratio holds the rejected one down",
    "change of the log-prob (nats a token)",
    {
        "chosen, SFT": "change of the chosen, sft",
        "rejected, SFT": "change of the rejected, sft",
        "chosen, ORPO": "change of the chosen, orpo",
        "rejected, ORPO": "change of the rejected, orpo",
    },
    mark=0.0,
)
