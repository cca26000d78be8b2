"""What row 107 measures: exact values of many bandits, at equal KL, and the game's bound."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ...algorithm.online.adversarial_critic import missing
from ...evaluation.estimate import Estimate
from ...evaluation.tilted import mean_kl, tilted_to
from .spac_arms import FEW, HORIZONS, MANY, SMALL, Learned, Setup
from .traps import LABELS


def measure(made: Setup, arms: Mapping[str, Learned]) -> dict[str, Estimate]:
    """Values above who wrote the data, exact for each bandit; how they lie over the bandits."""
    found = {"value, best covered": Estimate.mean(made.traps.best_covered())}
    reference = made.traps.reference
    for name, arm in arms.items():
        for labels, policy in arm.policies.items():
            found |= spread(f"{name}, {labels} labels", made.traps.value(policy))
            found[f"kl, {name}, {labels} labels"] = Estimate.mean(mean_kl(policy, reference))

    def compare(ours: str, theirs: str, labels: int) -> dict[str, Estimate]:
        """Paired by bandits, theirs tilted to the KL of ours."""
        policy, other = (arms[name].policies[labels] for name in (ours, theirs))
        tilted = tilted_to(reference, (other / reference).log(), mean_kl(policy, reference))
        value, lead = (made.traps.value(p) for p in (tilted, policy))
        name = f"{theirs} at the KL of {ours}, {labels} labels"
        return spread(name, value) | {f"lead over {name}": Estimate.mean(lead - value)}

    for labels in LABELS:
        found |= compare("spac", "mle", labels)
    found |= compare("spac, c = 3", "mle", MANY)
    for name in ("marked down", "beside the chosen"):
        found |= compare(name, "dpo", FEW)
    return found | against_the_bound(made, arms["spac"])


def spread(name: str, values: Tensor) -> dict[str, Estimate]:
    """Over bandits: mean, lowest fifth, and how often who wrote the data was better."""
    return {
        f"value, {name}": Estimate.mean(values),
        f"lowest fifth, {name}": lowest_fifth(values),
        f"below the data, {name}": Estimate.mean((values < 0).double()),
    }


def against_the_bound(made: Setup, arm: Learned) -> dict[str, Estimate]:
    """What is missing to the value of the game, and how much may be."""
    rules, found = made.traps.game(FEW, bandits=SMALL), {}
    for rounds, played in arm.games.items():
        short = missing(rules, played.mixture, played.weights, critic_steps=300)
        found[f"missing, {rounds} rounds"] = Estimate.mean(short)
        found[f"bound, {rounds} rounds"] = Estimate.mean(played.regret)
        last = missing(rules, played.last, played.weights, critic_steps=300)
        found[f"missing, last policy, {rounds} rounds"] = Estimate.mean(last)
        kept = (short <= played.regret).double()
        found[f"share within the bound, {rounds}"] = Estimate.mean(kept)
    found |= {f"log10 {name}": log10(size) for name, size in found.items() if "rounds" in name}
    start = made.traps.reference[:SMALL]
    uniform = torch.full_like(start, 1 / start.shape[-1])
    weights = arm.games[HORIZONS[-1]].weights
    for name, policy in (("uniform", uniform), ("reference", start)):
        found[f"missing, {name}"] = Estimate.mean(missing(rules, policy, weights, critic_steps=300))
    return found


def lowest_fifth(values: Tensor) -> Estimate:
    """The value below which a fifth of them lie; its error is that of its rank."""
    n = len(values)
    error = math.sqrt(n * 0.2 * 0.8)
    ranks = torch.tensor([(0.2 * n - error) / n, 0.2, (0.2 * n + error) / n], dtype=values.dtype)
    low, fifth, high = values.quantile(ranks.clamp(0, 1)).tolist()
    return Estimate(fifth, (high - low) / 2)


def log10(size: Estimate) -> Estimate:
    """Of a size that is above nought."""
    value = max(size.value, 1e-9)
    return Estimate(math.log10(value), size.se / (value * math.log(10)))
