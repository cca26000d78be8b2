"""053 selective-dpo: drop the pairs that a model of this size cannot learn, and go up from easy.

Half of the pairs are decided by features that the policy does not see, and there they contradict
what it does see. Their labels are clean; they are just beyond it. Runs on half of the data score
the other half, the easiest half of all is kept, and DPO reads it once, the easiest pairs first.

Accuracy is that on ordinary prompts, not on the hard kind. Selection leads at equal KL, as pairs
in conflict shake DPO at the learning rates that go so far. At its own best rate full DPO points
about as well: the filter buys sharpness, hardly direction. Where nothing is hard it costs data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ...data.curation.difficulty import easiest
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ..figure import Lines
from ..paper import Arm, Claim, Control, Measured, Paper, at_least
from .beyond_capacity import Pairs, Setup, accuracy_and_kl, train
from .beyond_capacity import setup as setup

PAPER = Paper(
    number=53,
    key="selective-dpo",
    title="Principled Data Selection for Alignment: The Hidden Risks of Difficult Examples",
    arxiv="2502.09650",
    kind="data",
    world="bandit",
    model="a log-linear policy of 20 features, and one of all; the reference is uniform",
    data="1000 pairs, half of them beyond the small policy",
    feedback="clean labels",
    algorithm="DPO on the half with the lowest held-out loss, sorted",
    limit="On the bandit only, not yet on `chat`. At its best rate DPO is as good, within 0.03.",
)
RATES, SWEEP, SHARES = (1.0, 3.0, 10.0, 30.0), 10.0, (0.25, 0.5, 0.75, 1.0)  # rates, shares
MATCHED = ("full", "random half", "selective", "selected, shuffled")


def arm(pick: Callable[[Setup], Tensor], of: str = "small") -> Arm:
    """The policies (rates, features) that each rate makes of the pairs `pick`, in that order."""

    def run(made: Setup) -> Tensor:
        count(settings=len(RATES))
        return train(getattr(made, of).difference[pick(made)], RATES)

    return run


def by_share(of: str) -> Arm:
    """The policies (shares, features) that one rate makes of more and more of the pairs."""

    def run(made: Setup) -> Tensor:
        pairs: Pairs = getattr(made, of)
        kept = [pairs.difference[easiest(pairs.losses, share)] for share in SHARES]
        count(settings=len(SHARES))
        return torch.cat([train(difference, [SWEEP]) for difference in kept])

    return run


def sorted_share(made: Setup, share: float = 0.5) -> Tensor:
    return easiest(made.small.losses, share)


ARMS = {
    "full": arm(lambda made: made.order),
    "random half": arm(lambda made: made.order.chunk(2)[0]),
    "selective": arm(sorted_share),
    "selected, shuffled": arm(lambda made: made.order[torch.isin(made.order, sorted_share(made))]),
    "sorted, all": arm(lambda made: sorted_share(made, 1.0)),
    "hardest half": arm(lambda made: sorted_share(made, 1.0).chunk(2)[1]),
    "none hard, full": arm(lambda made: made.order, "easy"),
    "none hard, selective": arm(lambda made: easiest(made.easy.losses, 0.5), "easy"),
    "small": by_share("small"),
    "large": by_share("large"),
}


def measure(made: Setup, arms: Mapping[str, Tensor]) -> dict[str, Estimate]:
    """Accuracies and KLs by learning rate or share, and accuracies at the KL that all reach."""
    found, curves = {}, {}
    for name, policies in arms.items():
        settings = SHARES if name in ("small", "large") else RATES
        curves[name] = [accuracy_and_kl(made, theta) for theta in policies]
        for setting, (accuracy, kl) in zip(settings, curves[name], strict=True):
            found[f"accuracy, {name}, {setting}"], found[f"kl, {name}, {setting}"] = accuracy, kl
        found[f"best accuracy, {name}"] = max((a for a, _ in curves[name]), key=lambda a: a.value)
    target = min(max(kl.value for _, kl in curves[name]) for name in MATCHED)
    for name in MATCHED:
        points = [(0.0, Estimate(0.5)), *((kl.value, accuracy) for accuracy, kl in curves[name])]
        found[f"accuracy at equal KL, {name}"] = reward_at_kl(points, target)
    ranks = made.small.losses.argsort(1).argsort(1).double()
    found["rank correlation of two runs"] = Estimate(float(torch.corrcoef(ranks)[0, 1]))
    return found


def lead(m: Measured, what: str, other: str = "full") -> float:
    """How much more accurate the selective policy is than another."""
    return m[f"{what}, selective"].value - m[f"{what}, {other}"].value


def best_share(m: Measured, policy: str) -> float:
    """The share of the pairs at which this policy is most accurate."""
    return max(SHARES, key=lambda share: m[f"accuracy, {policy}, {share}"].value)


CLAIMS = [
    Claim(
        "at equal KL the easiest half, sorted, beats all pairs and a random half by 0.03",
        paper="AlpacaEval 2 win rate 9 to 16 points above DPO's",
        holds=lambda m: min(lead(m, "accuracy at equal KL", n) for n in MATCHED[:2]) > 0.03,
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "it also leads by 0.03 when each has its own best learning rate",
        paper="the same; the paper tunes no rate for either",
        holds=lambda m: lead(m, "best accuracy") > 0.03,
        across=at_least(4, of=5),
    ),
    Claim(
        "two scoring runs agree on what is hard: rank correlation of at least 0.6",
        paper="the order in which examples are learned is consistent across runs",
        holds=lambda m: m["rank correlation of two runs"].value >= 0.6,
        across=at_least(4, of=5),
    ),
    Claim(
        "the policy that sees everything is best with more of the pairs",
        paper="best share 64 % at 3B and 81 % at 14B parameters",
        holds=lambda m: best_share(m, "large") > best_share(m, "small"),
        across=at_least(4, of=5),
    ),
    Claim(
        "where no pair is hard, selection does not help",
        paper="not in the paper; then it removes what could be learned",
        holds=lambda m: lead(m, "best accuracy, none hard") < 0,
        across=at_least(4, of=5),
    ),
]
OTHER = {"selective": arm(lambda made: made.order.chunk(2)[1])}
CONTROL = Control("ablation", "a random order in the place of difficulty", OTHER)
POINTS = {n: [(f"kl, {n}, {rate}", f"accuracy, {n}, {rate}") for rate in RATES] for n in MATCHED}
TITLE = "Pairs beyond the policy shake DPO at the rates that go far; without them accuracy stays"
FIGURE = Lines(TITLE, "KL from the reference (nats)", "accuracy on ordinary pairs", POINTS)
