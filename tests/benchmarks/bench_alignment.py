"""What alignment gains on `chat`, against best-of-n: DPO, DPO on shuffled labels, and RLOO.

    python tests/benchmarks/bench_alignment.py [--seeds 0 1 2 3 4] [--jobs 2]

The settings were chosen on seeds 100 to 104; seeds 0 to 4 are for the report. A share is what the
policy gains over its base, as a part of what best-of-16 gains (DPO) or best-of-n at the policy's
own KL (RLOO).
"""

from __future__ import annotations

import argparse
import copy
import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.objective import Objective
from minipref.algorithm.sources import Sampled, Stored, sample, with_reference
from minipref.data.batch import Batch
from minipref.data.corpora import CHAT
from minipref.data.streams import dice, stream
from minipref.evaluation.best_of_n import expected_best, kl_bound
from minipref.evaluation.divergence import kl
from minipref.evaluation.estimate import Estimate
from minipref.evaluation.responses import respond, rewards, score_means, true_reward
from minipref.feedback.annotators import Annotator, bt, flip
from minipref.feedback.rewards import Rewards
from minipref.model.bases import load_base
from minipref.model.transformer import Transformer

PROMPTS, PER_PROMPT, EVALUATED, CANDIDATES = 16_000, 4, 1024, 64
ANNOTATOR = bt(CHAT.reward, temperature=0.2)


@dataclass(frozen=True)
class Setting:
    learning_rate: float
    steps: int


DPO, DPO_BETA = Setting(3e-4, 500), 1.2
RLOO, RLOO_PENALTY = Setting(1e-3, 120), 0.05


@dataclass(frozen=True)
class Outcome:
    """A policy, measured on the evaluation prompts."""

    reward: Estimate
    kl: Estimate
    well_formed: Estimate


def dpo(base: Transformer, responses: Batch, annotator: Annotator, seed: int) -> Transformer:
    policy = copy.deepcopy(base)
    pairs = with_reference(annotator.label(responses, stream(seed, "labels")), base)
    step = GradientStep(policy, DPO.learning_rate, DPO.steps)
    objective = Objective.of("dpo", beta=DPO_BETA)
    align(
        policy, Stored(pairs, 64, bucket=8), AsStored(), objective, DPO.steps, seed=seed, step=step
    )
    return policy


def rloo(base: Transformer, seed: int) -> Transformer:
    policy = copy.deepcopy(base)
    source = Sampled(CHAT, CHAT.prompts(2000, dice(seed, "prompts")), batch_size=32, per_prompt=4)
    step = GradientStep(policy, RLOO.learning_rate, RLOO.steps)
    objective = Objective.of("rloo", reference=base, kl_penalty=RLOO_PENALTY)
    align(policy, source, Rewards(CHAT.reward), objective, RLOO.steps, seed=seed, step=step)
    return policy


def measure(policy: Transformer, base: Transformer, seed: int) -> Outcome:
    prompts = CHAT.prompts(EVALUATED, dice(seed, "evaluation"))
    answers = respond(policy, CHAT, prompts, seed=seed)
    well_formed = score_means(CHAT, answers)["well_formed"]
    return Outcome(true_reward(CHAT, answers), kl(policy, base, answers), well_formed)


def candidates(base: Transformer, seed: int) -> Tensor:
    """True rewards of many of the base's responses a prompt: (prompts, CANDIDATES)."""
    prompts = CHAT.prompts(EVALUATED // 8, dice(seed, "evaluation"))
    answers = respond(base, CHAT, prompts, per_prompt=CANDIDATES, seed=seed + 1)
    return rewards(CHAT, answers).view(-1, CANDIDATES)


def best_at(pool: Tensor, nats: float) -> float:
    """The reward of best-of-n whose KL is at most `nats`, between neighbouring n by its KL."""
    n = next((n for n in range(1, CANDIDATES) if kl_bound(n + 1) > nats), CANDIDATES - 1)
    low, high = kl_bound(n), kl_bound(n + 1)
    share = min(1.0, (nats - low) / (high - low))
    return (1 - share) * expected_best(pool, n).value + share * expected_best(pool, n + 1).value


def run(seed: int) -> str:
    torch.set_num_threads(1)
    base = load_base("chat-small", 0)
    prompts = CHAT.prompts(PROMPTS, dice(seed, "prompts"))
    responses = sample(
        base, CHAT, prompts, torch.arange(PROMPTS), PER_PROMPT, stream(seed, "responses")
    )
    start, pool = measure(base, base, seed), candidates(base, seed)
    # The pool's prompts are a part of the evaluation's: gains are taken on their own means.
    base_in_pool = float(pool.mean())
    best16 = expected_best(pool, 16).value - base_in_pool
    lines = [f"seed {seed}: base {start.reward}, best-of-16 gains {best16:.2f}"]
    arms = {
        "DPO": lambda: dpo(base, responses, ANNOTATOR, seed),
        "DPO, shuffled": lambda: dpo(base, responses, ANNOTATOR | flip(0.5), seed),
        "RLOO": lambda: rloo(base, seed),
    }
    for name, train in arms.items():
        end = measure(train(), base, seed)
        gain = end.reward.value - start.reward.value
        yard = best_at(pool, end.kl.value) - base_in_pool if name == "RLOO" else best16
        fall = 100 * (start.well_formed.value - end.well_formed.value)
        error = math.hypot(start.reward.se, end.reward.se) / yard
        lines.append(
            f"  {name:14s} share {gain / yard:5.2f} ± {error:.2f}  KL {end.kl}  "
            f"well-formed falls by {fall:.1f} points"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--jobs", type=int, default=2, help="seeds side by side")
    options = parser.parse_args()
    with ProcessPoolExecutor(options.jobs) as pool:
        for report in pool.map(run, options.seeds):
            print(report, flush=True)


if __name__ == "__main__":
    main()
