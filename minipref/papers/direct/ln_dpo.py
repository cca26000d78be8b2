"""054 ln-dpo: at their best the losses tie; what differs is what they earn when nobody tuned them.

DPO's margin is a sum over tokens: a long answer moves it more, and where annotators like length the
policy learns to be long. LN-DPO takes means, over the reference's as DPO does; SimPO takes means
and no reference. The study trains each over a grid of settings and tests on prompts from elsewhere.

Here seven chosen answers in ten are the longer ones (of the pairs that differ), whatever they are
worth; policies train on five kinds of prompt and answer three others. Five settings a method (the
sheet's grids, from memory), one learning rate for all, as in the study. The budget curve says what
the best of m random settings earns: chosen on one half of the prompts, paid on the other, exact
over all draws of m. Lengths are compared at equal KL too, between settings. What cannot be shown:
an independent reward model's taste; the judge here is the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from ...evaluation.budget import budget_curve, chances
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...losses import dpo, simpo
from ...losses.modifiers import length_normalised
from ..figure import Lines
from ..paper import Claim, Control, Paper, at_least
from .long_winded import Pairs, Told, below, close, grid, long_winded

PAPER = Paper(
    number=54,
    key="ln-dpo",
    title="The Hitchhiker's Guide to Human Alignment with *PO",
    arxiv="2407.15229",
    kind="analysis",
    world="chat",
    model="chat-nano, and a frozen reference (none for SimPO)",
    data="two of the base's own answers to each of 1200 prompts of five kinds; three other kinds",
    feedback="Bradley-Terry labels with a weakness for length",
    algorithm="DPO, DPO of mean log-probs, SimPO; five settings each",
)
BETAS = [{"beta": beta} for beta in (0.01, 0.05, 0.1, 0.3, 0.5)]
LN_BETAS = [{"beta": beta} for beta in (1.0, 1.5, 2.0, 2.5, 3.5)]
MARGINS = [{"beta": 1.0, "gamma": 0.5}, {"beta": 1.0, "gamma": 1.5}, {"beta": 1.75, "gamma": 1.0}]
MARGINS += [{"beta": 2.5, "gamma": 0.5}, {"beta": 2.5, "gamma": 1.5}]
setup = long_winded
ARMS = {
    "dpo": grid(dpo, BETAS),
    "ln_dpo": grid(length_normalised(dpo), LN_BETAS),
    "simpo": grid(simpo, MARGINS),
}


def measure(made: Pairs, arms: Mapping[str, Sequence[Told]]) -> dict[str, Estimate]:
    """Every setting on all tested prompts; the budget curves; lengths and rewards at equal KL."""
    found = {"chosen is the longer": made.longer}
    half = len(made.prompts) // 2
    best, anyone = {}, {}
    target = min(max(told.kl for told in grid) for grid in arms.values())
    found["the equal KL"] = Estimate(target, unit="nats")
    for name, tried in arms.items():
        rewards = torch.stack([told.rewards for told in tried])  # (settings, prompts)
        lengths = torch.stack([told.lengths for told in tried])
        judged = rewards[:, :half].mean(1)
        for m, worth in enumerate(budget_curve(judged, rewards[:, half:]), start=1):
            found[f"reward of the best of {m}, {name}"] = worth
        top = chances(judged, len(tried))  # (settings,)
        best[name], anyone[name] = top @ lengths[:, half:], rewards[:, half:].mean(0)
        found[f"length of the best, {name}"] = Estimate.mean(best[name], unit="tokens")
        points = [made.of_base, *tried]
        for quantity in ("reward", "length"):
            curve = [(told.kl, Estimate.mean(getattr(told, f"{quantity}s"))) for told in points]
            found[f"{quantity} at equal KL, {name}"] = reward_at_kl(curve, target)
            for i, (kl, each) in enumerate(curve):
                found[f"kl, {name}, {i}"] = Estimate(kl, unit="nats")
                found[f"{quantity}, {name}, {i}"] = each
    found["LN-DPO's best less DPO's, length"] = Estimate.mean(best["ln_dpo"] - best["dpo"])
    for name in ("ln_dpo", "simpo"):
        lead = Estimate.mean(anyone[name] - anyone["dpo"])
        found[f"a random setting's lead over DPO's, {name}"] = lead
    return found


CLAIMS = [
    Claim(
        "at its best setting LN-DPO answers shorter than DPO",
        paper="LN-DPO's responses are shorter at the same quality (section 5)",
        holds=lambda m: below(m["LN-DPO's best less DPO's, length"]),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "the best settings of the three tie: their true rewards lie within 3 %",
        paper="peak performance is similar (abstract)",
        holds=lambda m: close([m[f"reward of the best of 5, {name}"] for name in ARMS]),
        across=at_least(4, of=5),
    ),
    Claim(
        "a setting at random earns more in LN-DPO or SimPO than in DPO",
        paper="SimPO and LN-DPO are less sensitive to hyper-parameters (rank plots over the grid)",
        holds=lambda m: any(
            m[f"a random setting's lead over DPO's, {name}"].value
            > 2 * m[f"a random setting's lead over DPO's, {name}"].se
            for name in ("ln_dpo", "simpo")
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "at equal KL too LN-DPO answers shorter than DPO",
        paper="not in the paper, which compares best runs",
        holds=lambda m: below(m["length at equal KL, ln_dpo"].minus(m["length at equal KL, dpo"])),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control("ablation", "no means: DPO's loss and grid", arms={"ln_dpo": ARMS["dpo"]})
TITLES = {"dpo": "DPO", "ln_dpo": "LN-DPO", "simpo": "SimPO"}
FIGURE = (
    Lines(
        "Tuned, the three tie; untuned, they do not",
        "settings tried (m)",
        "true reward of the best, on other prompts",
        {
            title: [(m, f"reward of the best of {m}, {name}") for m in range(1, 6)]
            for name, title in TITLES.items()
        },
    ),
    Lines(
        "Length against KL, a dot a setting",
        "KL from the base (nats)",
        "tokens an answer",
        {
            title: [(f"kl, {name}, {i}", f"length, {name}, {i}") for i in range(6)]
            for name, title in TITLES.items()
        },
    ),
    Lines(
        "Reward against KL",
        "KL from the base (nats)",
        "true reward",
        {
            title: [(f"kl, {name}, {i}", f"reward, {name}, {i}") for i in range(6)]
            for name, title in TITLES.items()
        },
    ),
)
