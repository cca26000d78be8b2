"""047 mcts-dpo: search over the steps of a solution, and learn from siblings in the tree.

A whole response that went wrong says little about where. Here the policy searches its own steps
(PUCT), an evaluator and the final check value what is found, and the best and the worst sibling at
every position become a pair: the step is all they differ in. DPO follows, each label as sure as
the visits; then the better policy searches again.

On `reason` the base solves six sums in ten when it samples, and nearly all greedily: what can be
won is sharpness where it matters. All arms sample equally many tokens. Accuracy is exact, the
probability of the four wordings of a right solution. The evaluator is simulated; siblings that
differ in wording alone count as duplicates. Depth is not limited to three, no gold step injected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from ...algorithm.search.step_pairs import best_and_worst, searched
from ...algorithm.search.steps import StepValue
from ...data.corpora import REASON
from ...data.streams import stream
from ...evaluation.divergence import kl
from ...evaluation.estimate import Estimate
from ...evaluation.responses import respond
from ...evaluation.solutions import solved
from ...feedback.judges.steps import StepJudge
from ..figure import Dots
from ..paper import Arm, Claim, Control, Measured, Paper, at_least
from .sums import STOP, Setup, Trained, meaning, prepare, right, right_so_far, train

PAPER = Paper(
    number=47,
    key="mcts-dpo",
    title="Monte Carlo Tree Search Boosts Reasoning via Iterative Preference Learning",
    arxiv="2405.00451",
    kind="algorithm",
    world="reason",
    model="a base of 103k weights, itself the reference, that solves 60 % of the sums",
    data="siblings in trees over its own steps, searched anew in four rounds",
    feedback="the right answer, and an evaluator of steps who errs in one of five",
    algorithm="PUCT, pairs by Q, DPO smoothed by visits",
    limit="One search of the base is 0.2 to 2.2 points better than four rounds at equal tokens: a "
    "sharper policy has fewer siblings. The evaluator adds 0.3 to 2.3 points (se 0.3).",
)
setup = prepare
RATES = {"instance": 2e-4, "tree": 3e-4}  # of three tried for each on calibration seeds


def tree(*, evaluator: bool = True, online: bool = True, coin: bool = False) -> Arm:
    def arm(made: Setup) -> Trained:
        rng = stream(made.seed, "047/evaluator")

        def toss(prompt: Any, text: str) -> bool:
            return bool(torch.rand((), generator=rng) < 0.5)

        judge = StepJudge(toss if coin else right_so_far, rng, error=0.2)
        value = StepValue(toss if coin else right, judge if evaluator else None)
        search = partial(
            searched, world=REASON, value=value, stop=STOP, simulations=8, meaning=meaning
        )
        if online:
            return train(made, search, RATES["tree"])
        return train(made, lambda _, *rest: search(made.base, *rest), RATES["tree"], rounds=1)

    return arm


def instance(made: Setup) -> Trained:
    collect = partial(best_and_worst, world=REASON, right=right, samples=8)
    return train(made, collect, RATES["instance"])


ARMS = {
    "instance-level": instance,
    "no evaluator": tree(evaluator=False),
    "mcts-dpo": tree(),
    "offline": tree(online=False),
}


def measure(made: Setup, arms: Mapping[str, Trained]) -> dict[str, Estimate]:
    """Exact accuracy on fresh sums, differences prompt by prompt, KL from the base."""
    before = solved(made.base, REASON, made.fresh)  # (prompts,)
    after = {name: solved(run.policy, REASON, made.fresh) for name, run in arms.items()}
    found = {"accuracy, base": Estimate.mean(before)}
    for name, run in arms.items():
        own = respond(run.policy, REASON, made.fresh[:384], seed=made.seed)
        found[f"accuracy, {name}"] = Estimate.mean(after[name])
        found[f"gain, {name}"] = Estimate.mean(after[name] - before)
        found[f"kl, {name}"] = kl(run.policy, made.base, own)
        found[f"tokens sampled, {name}"] = Estimate(float(run.tokens), unit="tokens")
        found[f"clean pairs, {name}"] = Estimate(run.clean)
        if name != "mcts-dpo":
            better = after["mcts-dpo"] - after[name]
            found[f"lead of mcts-dpo over {name}"] = Estimate.mean(better)
    return found


def beats(other: str) -> Callable[[Measured], bool]:
    """Whether MCTS-DPO solves more, by two standard errors."""
    lead = f"lead of mcts-dpo over {other}"
    return lambda m: bool(m[lead].value > 2 * m[lead].se)


CLAIMS = [
    Claim(
        "MCTS-DPO solves 5 points more than its base, and more than whole responses taught",
        paper="GSM8K +5.9, MATH +5.8, ARC-C +15.8 over SFT; above instance-level DPO",
        holds=lambda m: m["gain, mcts-dpo"].value > 0.05 and beats("instance-level")(m),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "more than three pairs in four are a right step against a wrong one",
        paper="not in the paper, which has no labels of steps",
        holds=lambda m: m["clean pairs, mcts-dpo"].value > 0.75,
        across=at_least(5, of=5),
    ),
    Claim(
        "searching anew with the better policy beats one search of the base",
        paper="online against offline collection; its theory of failing support",
        holds=beats("offline"),
        across=at_least(4, of=5),
    ),
    Claim(
        "the evaluator of steps helps",
        paper="self-evaluation guides the search",
        holds=beats("no evaluator"),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control("labels", "a coin judges answers and steps", {"mcts-dpo": tree(coin=True)})
FIGURE = Dots(
    "At equal cost, pairs of steps teach more than pairs of responses",
    "share of sums solved in every step",
    {
        "base": "accuracy, base",
        "whole responses": "accuracy, instance-level",
        "one search, offline": "accuracy, offline",
        "search without evaluator": "accuracy, no evaluator",
        "MCTS-DPO": "accuracy, mcts-dpo",
    },
)
