"""Rules on learning from stored labels: what fell, what was learnt instead, which convention."""

from __future__ import annotations

import math
import statistics

from .history import History
from .optimiser import rate_too_high
from .rule import rule

SOON = 40  # steps within which nobody learns taste
LONGER = 1.5  # times: what counts as a difference in length


@rule(
    "margins grow while the chosen responses become less likely",
    needs=("loss", "logps/chosen", "logps/rejected", "rewards/chosen", "rewards/margins"),
    why="This is the loss, not a bug: only the difference of the two log-ratios counts, and where "
    "the two responses are alike, pushing one down takes the other with it. It is harm only if "
    "samples get worse: the mass goes to responses that nobody has judged.",
    cure="Look at samples, or a reward you trust. If they suffer: fewer steps, add a supervised "
    "term on the chosen (`modifiers.with_nll`), or `minipref show dpop`, let the policy write "
    "the responses itself, drop near-copies.",
    see="notebook 05; `minipref show flex_dpo`",
    fault=False,
)
def chosen_falls(history: History) -> str | None:
    chosen, margins = history["logps/chosen"], history["rewards/margins"]
    rewards = history["rewards/chosen"]
    falls = chosen.clearly(-1, 1.0) and rewards.clearly(-1) and rewards.late < 0
    if not falls or not margins.clearly(+1) or not history["loss"].clearly(-1):
        return None
    if "grad_norm" in history and rate_too_high(history):
        return None  # everything falls then, whatever the loss
    rejected = history["logps/rejected"]
    return (
        f"rewards/margins rose from {margins.early:.2f} to {margins.late:.2f} while logps/chosen "
        f"fell from {chosen.early:.1f} to {chosen.late:.1f} nats (rejected: {rejected.early:.1f} "
        f"to {rejected.late:.1f})"
    )


@rule(
    f"accuracy 1.0 within {SOON} steps: the policy reads lengths",
    needs=("rewards/accuracies", "logps/chosen", "logps/rejected"),
    why="A log-ratio is a sum over tokens. Where the chosen responses are mostly the longer ones "
    "(or the shorter), one change of all tokens or of the end token sorts every pair, and nothing "
    "about quality has to be learnt.",
    cure="`minipref data inspect FILE` says how often the longer response wins. Balance lengths, "
    "use a length-normalised loss (`minipref show simpo`, `ln_dpo`), and judge at equal length. "
    "Log lengths/chosen and lengths/rejected to be sure.",
    see="notebook 06; `minipref losses length`",
)
def length_shortcut(history: History) -> str | None:
    accuracy = history["rewards/accuracies"]
    soon = [step for step, x in zip(accuracy.steps, accuracy.values, strict=True) if x >= 0.99]
    if not soon or soon[0] > SOON:
        return None
    after = [x for step, x in zip(accuracy.steps, accuracy.values, strict=True) if step >= soon[0]]
    kind = "lengths" if "lengths/chosen" in history and "lengths/rejected" in history else "logps"
    chosen, rejected = (abs(history[f"{kind}/{side}"].first) for side in ("chosen", "rejected"))
    ratio = max(chosen, rejected) / max(min(chosen, rejected), 1e-9)
    if statistics.fmean(after) < 0.95 or ratio < LONGER or min(chosen, rejected) == 0:
        return None
    longer = "chosen" if chosen > rejected else "rejected"
    unit = "tokens" if kind == "lengths" else "nats at the start, about as many times longer"
    return (
        f"rewards/accuracies is {accuracy.values[accuracy.steps.index(soon[0])]:.2f} at step "
        f"{soon[0]} and {statistics.fmean(after):.2f} from there on; {longer} responses have "
        f"{ratio:.1f} times the other side's {unit}"
    )


@rule(
    "chosen and rejected are the wrong way round",
    needs=("rewards/margins", "rewards/accuracies"),
    why="Training lowers the margin it should raise. Either the two sides change places between "
    "data and loss, or (where it is the held-out accuracy) the training labels and the held-out "
    "ones contradict each other.",
    cure="Print one pair as the loss gets it. Check the column names and what the label's 1 means; "
    "swap on one side.",
    see="notebook 04 (its swap test)",
)
def labels_flipped(history: History) -> str | None:
    accuracy, margins = history["rewards/accuracies"], history["rewards/margins"]
    if accuracy.late < 0.4 and margins.late < 0 and margins.clearly(-1):
        return (
            f"rewards/accuracies ends at {accuracy.late:.2f}, below a coin, and rewards/margins "
            f"went from {margins.early:.3g} to {margins.late:.3g}"
        )
    for name in ("held_out/accuracy", "eval_rewards/accuracies"):
        if name in history and history[name].late < 0.4 and accuracy.late > 0.6:
            return (
                f"{name} ends at {history[name].late:.2f}, below a coin, and the training's "
                f"accuracy at {accuracy.late:.2f}"
            )
    return None


@rule(
    "this IPO works on sums of log-probs",
    needs=("loss", "rewards/margins"),
    why="IPO stops at a margin of 1 / (2 beta) nats. On sums that is for the whole response, so "
    "long ones are regularised far more than short ones, and the loss is large; on means over "
    "tokens (TRL, the authors) it is a token's. The same beta means different things.",
    cure="Say which one you want. For means, divide log-probs by lengths (`minipref show ipo`); "
    "for sums, divide beta by the typical length.",
    see="docs/losses.md (ipo); TRL issues 1265 and 1677",
    fault=False,
)
def ipo_on_sums(history: History) -> str | None:
    loss, margins = history["loss"], history["rewards/margins"]
    if loss.first <= 0 or abs(margins.first) > 1e-3:
        return None  # not seen from where policy = reference
    # d(loss / first) / d(beta margin) at 0 is -4 on sums and -4 / length on means, whatever beta
    root = math.sqrt(loss.first)  # 1 / (2 beta)
    slopes = [
        (loss.first - value) / loss.first / margin
        for value, margin in zip(loss.values, margins.values, strict=False)
        if 0.02 < margin < 0.2
    ]
    if len(slopes) < 3 or not 2.6 < statistics.median(slopes) < 4.6:
        return None
    return (
        f"the loss starts at {loss.first:.3g} = 1 / (2 beta)^2 and falls by "
        f"{statistics.median(slopes):.1f} of its size a unit of margin: 4 on sums, 4 / length on "
        f"means; it asks for {root:.3g} nats a response"
    )


@rule(
    "KTO sees one row at a time",
    needs=("kl",),
    why="KTO's reference point is the log-ratio of mismatched responses: each prompt with another "
    "row's response. With one row a batch the other row is itself, so the reference point is the "
    "row's own reward, and the loss of a good response cannot fall below 0.5.",
    cure="At least 2 rows a device and step, better 8 or more (gradient accumulation does not "
    "help); or a loss without that point (`minipref show apo_zero`).",
    see="minipref/algorithm/mismatch.py; notebook 06",
)
def kto_alone(history: History) -> str | None:
    if "reward" in history or not ("rewards/chosen" in history or "rewards/rejected" in history):
        return None  # not KTO
    if history.batch_size is not None:
        one = "kl is logged beside rewards/chosen and rewards/rejected, and a batch has 1 row"
        return one if history.batch_size == 1 else None
    seen = [
        dict(zip(history[name].steps, history[name].values, strict=True))
        for name in ("rewards/chosen", "rewards/rejected")
        if name in history
    ]
    scales = []
    for step, kl in zip(history["kl"].steps, history["kl"].values, strict=True):
        rewards = [of[step] for of in seen if step in of]
        if len(rewards) == 1 and kl > 0:
            scales.append(rewards[0] / kl)
    if len(scales) < 5 or max(scales) > 1.01 * min(scales) or min(scales) <= 0:
        return None
    return (
        f"in all {len(scales)} logs with kl above 0 the batch has one side alone, and its reward "
        f"is {statistics.fmean(scales):.3g} times kl: the reference point is the row itself"
    )
