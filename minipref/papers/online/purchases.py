"""What row 014 trains and measures: labels bought by each strategy in both worlds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.tilted import mean_kl, tilted_to
from . import near_duplicates as active
from .near_duplicates import BUDGETS, FACTOR, Bought, World

BANDITS = 80
WORLDS = {"near-duplicates": active.near_duplicates, "converged": active.converged}
Learned = dict[str, Bought]  # by world


@dataclass(frozen=True)
class Setup:
    """Both worlds, and the seed of what is sampled and labelled in them."""

    worlds: dict[str, World]
    seed: int


def setup(seed: int, scale: float) -> Setup:
    bandits = max(8, round(BANDITS * min(scale, 1.0)))
    return Setup({name: make(seed, bandits) for name, make in WORLDS.items()}, seed)


def learn(made: Setup, strategy: str, factor: int = FACTOR) -> Learned:
    """Each strategy draws for itself."""
    count(settings=1)
    rng = stream(made.seed, f"014/{strategy}")
    return {
        name: active.learn_actively(world, strategy, rng, factor)
        for name, world in made.worlds.items()
    }


def measure(made: Setup, arms: Mapping[str, Learned]) -> dict[str, Estimate]:
    """Shares of what can be gained, exact; means over budgets, their spread over bandits."""
    found = {}
    for where, world in made.worlds.items():
        gains = {}
        for name, arm in arms.items():
            by_budget = torch.stack([world.gain(logps) for logps in arm[where].policies])
            gains[name] = by_budget.mean(0)  # (bandits,)
            found[f"{where}, gain, {name}"] = Estimate.mean(gains[name])
            for budget, gain in zip(BUDGETS, by_budget, strict=True):
                found[f"{where}, gain, {name}, {budget} labels"] = Estimate.mean(gain)
        for name in gains:
            lead = gains[name] - gains["random"]
            found[f"{where}, lead, {name}"] = Estimate.mean(lead)
            found[f"{where}, ahead, {name}"] = Estimate.mean((lead > 0).double())
            if not world.converged:
                equal = lead_at_equal_kl(world, arms[name][where], arms["random"][where])
                differ = arms[name][where].differ()
                found[f"{where}, labels of pairs that differ, {name}"] = Estimate.mean(differ)
                found[f"{where}, lead at equal KL, {name}"] = Estimate.mean(equal)
        lead = gains["certainty"] - gains["uncertainty"]
        found[f"{where}, lead of certainty over uncertainty"] = Estimate.mean(lead)
    return found


def lead_at_equal_kl(world: World, ours: Bought, theirs: Bought) -> Tensor:
    """Mean over budgets; theirs tilted to the KL of ours from the reference: (bandits,)."""
    reference, leads = world.reference.exp(), []
    for policy, other in zip(ours.policies, theirs.policies, strict=True):
        spent = mean_kl(policy.exp(), reference)
        tilted = tilted_to(reference, other - world.reference, spent, halvings=16)
        leads.append(world.gain(policy) - world.gain(tilted.log()))
    return torch.stack(leads).mean(0)
