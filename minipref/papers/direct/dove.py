"""011 dove: ask which is better, this answer to this question or that answer to that one.

Often two answers to one prompt are equally good, and the comparison is wasted. DOVE (later JPO)
re-pairs the same answers across prompts, where a reader with one standard can still decide, and
gives DPO both kinds of pairs. What cancels within a prompt then no longer does: whether prompts
count (the official code does not mask them) becomes a choice.

On `chat` four in ten comparisons within a prompt are ties and drop out. All arms ask 2000 times
about the same 4000 answers of the base: within prompts, across, or half and half. Policies are
compared at equal KL by reward and by wins over the base; on fresh answers their implicit reward is
asked which of two is truly better, of one prompt and of two.

A policy is normalised at each prompt, and that limits what pairs across prompts can teach it: under
the base its log-ratio has mean -KL at every prompt, whatever the answers are worth there. Only a
prompt's own probability can hold that, which is why counting it is an arm. Human readers, and what
makes them decide across prompts, are not here: ours knows the true reward of both.
"""

from __future__ import annotations

from functools import partial

from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Claim, Control, Paper, at_least
from . import dove_pairs

PAPER = Paper(
    number=11,
    key="dove",
    title="Comparing Bad Apples to Good Oranges: Joint Preference Optimization",
    arxiv="2404.00530",
    kind="feedback",
    world="chat",
    model="chat-nano",
    data="two of the base's own answers to each of 2000 prompts, paired within or across prompts",
    feedback="a reader with one standard for all prompts, who may say that two are equal",
    algorithm="DPO on pairs of (prompt, answer), with or without the prompt's own probability",
)
setup = dove_pairs.compared
measure = dove_pairs.measure
# How even and odd prompts are compared; is the prompt's probability trained, too?
ARMS = {
    "within": partial(dove_pairs.learn, even="within", odd="within", whole=False),
    "across": partial(dove_pairs.learn, even="across", odd="across", whole=False),
    "both": partial(dove_pairs.learn, even="within", odd="across", whole=False),
    "both, prompts counted": partial(dove_pairs.learn, even="within", odd="across", whole=True),
}


def clear(found: Estimate, above: float = 0.0) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "of equally many comparisons, half across prompts, DPO's answers win more than 52 % "
        "against those from comparisons within prompts, at equal KL",
        paper="win rates 5.2 % (TL;DR) and 3.3 % (helpful) above DPO's, at no equal KL",
        holds=lambda m: m["win rate over within, both"].value > 0.52,
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "its implicit reward tells the better of two answers to two prompts 5 points more often",
        paper="not measured in the paper; what one standard for all prompts should teach",
        holds=lambda m: m["accuracy gained of two prompts, both"].value > 0.05,
        across=at_least(5, of=5),
    ),
    Claim(
        "counting the prompt adds to that: its own probability holds the prompt's level",
        paper="the official code counts it (custom_dove_trainer.py), the paper does not ask why",
        holds=lambda m: (
            m["accuracy of two prompts, both, prompts counted"].value
            > m["accuracy of two prompts, both"].value + 0.02
        ),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "ablation",
    "all comparisons within prompts",
    arms={"both": ARMS["within"]},
)
LABELS = {
    "within prompts": "within",
    "across": "across",
    "half and half": "both",
    "half and half, prompts counted": "both, prompts counted",
}
FIGURE = (
    Lines(
        "What a prompt's answers are worth, by the truth and by the implicit reward",
        "mean true reward of a prompt's two answers",
        "mean implicit reward (nats)",
        {
            label: [
                (f"true level, quarter {number}", f"learnt level, quarter {number}, {name}")
                for number in range(4)
            ]
            for label, name in LABELS.items()
        },
    ),
    Dots(
        "Which of two answers to two prompts is better?",
        "accuracy of the implicit reward",
        {label: f"accuracy of two prompts, {name}" for label, name in LABELS.items()},
        mark=0.5,
    ),
    Dots(
        "Wins over the base, at equal KL",
        "win rate",
        {label: f"win rate over the base, {name}" for label, name in LABELS.items()},
        mark=0.5,
    ),
)
