"""Rules on the reference: is there one, does it stand still, is it the policy at the start?"""

from __future__ import annotations

from .history import History
from .rule import rule

SIDES = ("chosen", "rejected")
ROUNDING = 5e-3  # rewards that bfloat16 log-probs can show between equal policies
STILL = 1e-4  # rewards below this have not left 0


def has_reference(history: History) -> bool:
    """Are rewards relative to a reference? Without one, rewards/chosen is beta times logps/chosen.

    Unknown where too little was logged: then no.
    """
    if "rewards/chosen" not in history or "logps/chosen" not in history:
        return False
    rewards, logps = history["rewards/chosen"].values, history["logps/chosen"].values
    ratios = [reward / logp for reward, logp in zip(rewards, logps, strict=False) if logp]
    if len(ratios) < 3:
        return False
    middle = sorted(ratios)[len(ratios) // 2]
    return middle <= 0 or any(abs(ratio - middle) > 1e-2 * middle for ratio in ratios)


def largest_reward(history: History) -> float:
    """The largest |rewards/chosen| or |rewards/rejected| of the run."""
    return max(abs(x) for side in SIDES for x in history[f"rewards/{side}"].values)


def moved(history: History, least: float = 1.0) -> list[str]:
    """Which log-probs have moved by more than `least` nats, in words."""
    found = []
    for side in SIDES:
        curve = history[f"logps/{side}"]
        if curve.clearly(+1, least) or curve.clearly(-1, least):
            found.append(f"logps/{side} went from {curve.early:.1f} to {curve.late:.1f} nats")
    return found


@rule(
    "the reference moves with the policy",
    needs=("rewards/chosen", "rewards/rejected", "logps/chosen", "logps/rejected"),
    why="A reward is beta times log(policy / reference). It stays 0 while the policy learns only "
    "if both are the same weights: the reference is the same object, or it is synchronised at "
    "every step. The loss is then log 2 for ever, its gradient is not, and nothing holds the "
    "policy.",
    cure="Give the reference a copy of its own (`Objective.of(loss, reference=policy)` copies and "
    "freezes; with TRL pass `ref_model`), or store its log-probs once before training.",
    see="notebook 04; minipref/algorithm/objective.py",
)
def reference_moves(history: History) -> str | None:
    rewards = largest_reward(history)
    seen = moved(history)
    if rewards > STILL or not seen:
        return None
    return f"no reward is larger than {rewards:.1g} after {history.steps} steps, yet " + (
        " and ".join(seen)
    )


@rule(
    "policy and reference differ before the first update",
    needs=("rewards/chosen", "rewards/rejected", "logps/chosen"),
    why="Before the first update the policy is the reference, so each reward is exactly 0. "
    "Otherwise the two are computed differently: dropout is on in one of them, the reference is "
    "another checkpoint, or its stored log-probs come from another template or truncation.",
    cure="Turn dropout off in both (`model.eval()` for the reference; TRL: disable_dropout=True), "
    "start the policy from the reference's weights, and compute stored log-probs anew.",
    see="notebook 07",
)
def unequal_at_start(history: History) -> str | None:
    if not history.sees_the_start("rewards/chosen") or not has_reference(history):
        return None
    starts = {side: history[f"rewards/{side}"].first for side in SIDES}
    if max(map(abs, starts.values())) <= ROUNDING:
        return None
    return (
        f"at the first step rewards/chosen is {starts['chosen']:+.3g} and rewards/rejected "
        f"{starts['rejected']:+.3g}, where both have to be 0 (up to {ROUNDING:g} of rounding)"
    )
