"""Rules on the optimiser's side of a run: does it move, does it move too much, is it finite?"""

from __future__ import annotations

import math
import statistics

from .glossary import METRICS
from .history import History
from .reference import moved
from .rule import rule

LOG_2 = math.log(2)  # DPO's loss where policy = reference
ORPO = ("log_odds_chosen", "log_odds_ratio")


@rule(
    "the loss is pinned at 0.6931",
    needs=("loss", "rewards/margins", "logps/chosen", "logps/rejected"),
    why="0.6931 is log 2 = -log sigmoid(0): no pair is preferred to any other, as on the first "
    "step. The gradient is there, so the weights hardly move: the learning rate is too small (a "
    "warm-up that lasts for the whole run, 1e-6 on a small adapter), or what the optimiser holds "
    "is not what the loss uses.",
    cure="Multiply the learning rate by 10 until rewards/margins leaves 0 within the first 20 "
    "steps; check that the optimiser was made after adapters were added.",
    see="notebook 04, step 1; notebook 07",
)
def loss_pinned(history: History) -> str | None:
    loss, margins = history["loss"].tail(), history["rewards/margins"].tail()
    near = all(abs(x - LOG_2) < 3e-3 for x in loss) and all(abs(x) < 5e-3 for x in margins)
    if not near or history.steps < 10 or moved(history) or no_gradient(history):
        return None
    return (
        f"in the last half of {history.steps} steps the loss stays within "
        f"{max(abs(x - LOG_2) for x in loss):.1g} of log 2, and rewards/margins within "
        f"{max(map(abs, margins)):.1g} of 0"
    )


@rule(
    "there is no gradient",
    needs=("grad_norm",),
    why="The loss does not depend on any trained weight. Mostly no token is left to learn from: "
    "responses were truncated away behind long prompts, or their masks are empty. Otherwise the "
    "parameters are frozen, or something is detached.",
    cure="Decode one row with its mask: which words count? Count response tokens after "
    "truncation, and parameters with requires_grad.",
    see="notebook 01 (masks)",
)
def no_gradient(history: History) -> str | None:
    if any(history["grad_norm"].values if "grad_norm" in history else [1.0]):
        return None
    if "frac_reward_zero_std" in history and history["frac_reward_zero_std"].late > 0.99:
        return None  # explained: no group has anything to compare
    said = f"grad_norm is exactly 0 in all {len(history['grad_norm'].values)} logs"
    if "logps/chosen" in history and not any(history["logps/chosen"].values):
        said += ", and logps/chosen is 0: a response without a token"
    return said


@rule(
    "a number is not finite",
    needs=(),
    why="Once a weight is nan everything is. Typical: ORPO's log(1 - p), where p rounds to 1 (a "
    "response that is certain, a fully masked row whose log-prob is 0, float16); a logarithm of "
    "a sigmoid; 0/0 in a mean over no token.",
    cure="Go back to the checkpoint before that step. Use the stable forms (`minipref show orpo` "
    "has log1mexp, finite for every log-prob), compute losses in float32, drop empty rows.",
    see="minipref/losses/numerics.py; notebook 06",
)
def not_finite(history: History) -> str | None:
    first = {name: at for name, at in history.bad.items() if name in METRICS}
    if not first:
        return None
    name = min(first, key=lambda key: first[key][0])
    step, value = first[name]
    said = f"{name} is {value} at step {step}"
    said += f", the first of {len(first)} metrics" if len(first) > 1 else ""
    if name in history:
        curve = history[name]
        before = [x for at, x in zip(curve.steps, curve.values, strict=True) if at < step]
        said += f"; it was {before[-1]:.4g} just before" if before else ""
    if any(key in history for key in ORPO):
        said += f"; ORPO, and logps/chosen had come up to {highest_logp(history):.2g} nats"
    return said


def highest_logp(history: History) -> float:
    return max(history["logps/chosen"].values) if "logps/chosen" in history else math.nan


@rule(
    "the learning rate is too high",
    needs=("loss", "grad_norm", "rewards/margins"),
    why="The loss jumps above what it was before anything was learnt, and the gradient has "
    "peaks: each step overshoots. Margins may still look splendid, because log-ratios of "
    "hundreds of nats mean that the model is destroyed.",
    cure="Divide the learning rate by 10, warm up over 5 to 10 % of the steps, clip the gradient "
    "at 1. DPO of large models wants 5e-7 to 5e-6, adapters ten times as much.",
    see="notebook 07",
)
def rate_too_high(history: History) -> str | None:
    loss, norms = history["loss"], history["grad_norm"].values
    above = [x for x in loss.values[1:] if x > 1.1 * abs(loss.first)]
    peak = max(norms) / max(statistics.median(norms), 1e-12)
    if not above or peak < (4 if len(above) > 0.05 * len(loss.values) else 10):
        return None  # one bad batch among many is no illness, unless the gradient bursts too
    return (
        f"the loss starts at {loss.first:.3g} and is above 1.1 times that in {len(above)} of "
        f"{len(loss.values)} logs, up to {max(above):.3g}; grad_norm peaks at {peak:.0f} times its "
        "median"
    )
