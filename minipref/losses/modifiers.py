"""What can be done to many losses: each modifier takes a loss and gives a loss.

They compose, inside out as functions do: `with_nll(smoothed(dpo, 0.1), 0.2)` has dpo's inputs, and
the chosen's mean log-prob for the new term. The result is called as any loss is, knows its inputs
(`entry_of`), and can be handed to `Objective.of`. A moving reference is the objective's affair
(`algorithm.objective.Moving`): to a loss it is a reference like any other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .checks import check_hyperparameters, checked
from .numerics import wide
from .pairwise_links import divergence_slope
from .registry import Entry, entry_of, get
from .vocabulary import other_side

Loss = Callable[..., Tensor]
Call = Callable[[Mapping[str, Tensor], Mapping[str, Any]], Tensor]


def smoothed(loss: Loss, label_smoothing: float) -> Loss:
    """Labels are right with probability 1 - label_smoothing: `smoothed(dpo, e)` is `cdpo`.

        L = (1 - label_smoothing) * loss(chosen, rejected)
            + label_smoothing * loss(rejected, chosen)

    Args:
        loss: of a pair.
        label_smoothing: in [0, 0.5).

    Raises: ValueError for a loss that takes no pairs, or the number.
    Source: Mitchell 2023; in TRL 1.16 for robust, exo_pair and aot only.
    """
    entry = of_pairs("smoothed", loss)
    in_range("smoothed", {"label_smoothing": label_smoothing}, "[0, 0.5)")

    def call(inputs: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Tensor:
        right, wrong = under_both_labels(loss, inputs, numbers)
        return (1 - label_smoothing) * right + label_smoothing * wrong

    return modified(entry, f"smoothed_{entry.name}", call)


def robust(loss: Loss, flip_rate: float) -> Loss:
    """An unbiased estimate of the loss on clean labels: `robust(dpo, e)` is `rdpo`.

        L = ((1 - flip_rate) * loss(chosen, rejected) - flip_rate * loss(rejected, chosen))
            / (1 - 2 * flip_rate)

    Args:
        loss: of a pair.
        flip_rate: share of labels that are flipped, in [0, 0.5).

    Raises: ValueError for a loss that takes no pairs, or the number.
    Source: Ray Chowdhury et al. 2024, arXiv 2403.00409 (paper 070), which names rIPO and rSLiC too.
    """
    entry = of_pairs("robust", loss)
    in_range("robust", {"flip_rate": flip_rate}, "[0, 0.5)")

    def call(inputs: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Tensor:
        right, wrong = under_both_labels(loss, inputs, numbers)
        return ((1 - flip_rate) * right - flip_rate * wrong) / (1 - 2 * flip_rate)

    return modified(entry, f"robust_{entry.name}", call)


def length_normalised(loss: Loss) -> Loss:
    """The loss of mean log-probs, where it took sums: `length_normalised(dpo)` is LN-DPO.

    Its inputs are called `*_mean_logps`. Means are smaller than sums by the length, and ask for a
    larger beta: 2 to 5 where DPO has 0.1.

    Raises: ValueError for a loss without summed log-probs of whole responses.
    Source: Ahrabian et al. 2024, arXiv 2407.15229 (paper 054); TRL's sigmoid_norm, open-instruct's
        dpo_norm.
    """
    entry = entry_of(loss)
    names = {
        name: name.replace("logps", "mean_logps")
        for name in entry.inputs
        if name.endswith("logps") and "mean" not in name and entry.axes(name) == ["batch"]
    }
    if not names:
        raise ValueError(f"length_normalised: {entry.name} takes no summed log-probs")

    def call(inputs: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Tensor:
        theirs = {name: inputs[names.get(name, name)] for name in entry.inputs}
        return loss(**theirs, **numbers)

    inputs = {names.get(name, name): axes for name, axes in axes_of(entry).items()}
    return modified(entry, f"length_normalised_{entry.name}", call, inputs, logps="mean")


def desensitised(loss: Loss, alpha: float) -> Loss:
    """Tokens beyond the shorter response's length count alpha: LD-DPO for any loss of sums.

        public = the first min(length of chosen, length of rejected) tokens of each response
        logps = sum(public) + alpha * sum(rest)

    Its log-probs are a token each, (batch, length), with `chosen_mask` and `rejected_mask`.

    Args:
        loss: of a pair, of summed log-probs.
        alpha: in [0, 1]; 1 is the loss itself, 0 cuts both responses to the shorter length.

    Raises: ValueError for another loss, or the number.
    Source: Liu et al. 2024, arXiv 2409.06411 (LD-DPO); TRL's ld_alpha.
    """
    entry = of_pairs("desensitised", loss)
    in_range("desensitised", {"alpha": alpha}, "[0, 1]")
    by_token = [name for name in entry.inputs if name.endswith("logps")]
    if any(entry.axes(name) != ["batch"] or "mean" in name for name in by_token):
        raise ValueError(f"desensitised: {entry.name} is not of summed log-probs")

    def call(inputs: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Tensor:
        masks = {side: inputs[f"{side}_mask"] for side in ("chosen", "rejected")}
        shorter = torch.minimum(*(mask.sum(-1, keepdim=True) for mask in masks.values()))
        theirs = {name: inputs[name] for name in entry.inputs}
        for name in by_token:
            mask = masks["chosen" if "chosen" in name else "rejected"]
            public = mask.cumsum(-1) <= shorter  # (batch, length)
            logps = wide(inputs[name]).where(mask, 0.0)
            theirs[name] = (logps * public).sum(-1) + alpha * (logps * ~public).sum(-1)
        return loss(**theirs, **numbers)

    of_tokens = dict.fromkeys((*by_token, "chosen_mask", "rejected_mask"), "batch length")
    inputs = axes_of(entry) | of_tokens
    return modified(entry, f"desensitised_{entry.name}", call, inputs, logps="token")


def weighted(loss: Loss) -> Loss:
    """The loss times a weight a row, which is held constant: one more input, `weights` (batch,).

    WPO (`wpo_weights`), the importance of BCO's underlying distribution matching, OPTune's reward
    gaps and group-robust optimisation are weights of this kind.

    Raises: ValueError for a loss that has such an input already.
    Source: Zhou et al. 2024, arXiv 2406.11827 (WPO); TRL's use_weighting.
    """
    entry = entry_of(loss)
    if "weights" in entry.inputs:
        raise ValueError(f"weighted: {entry.name} takes weights already")

    def call(inputs: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Tensor:
        theirs = {name: inputs[name] for name in entry.inputs if name in inputs}
        return wide(inputs["weights"]).detach() * loss(**theirs, **numbers)

    inputs = axes_of(entry) | {"weights": "batch"}
    return modified(entry, f"weighted_{entry.name}", call, inputs)


def with_nll(loss: Loss, alpha: float) -> Loss:
    """The loss and alpha times the likelihood of what is to be kept: `... - alpha * mean_logps`.

    For a pair the chosen's mean log-prob (RPO of Llama 3 and iterative reasoning, GRM, CPO's second
    term), else the `mean_logps` of a text to keep (PPO-ptx's pre-training text).

    Args:
        loss: any.
        alpha: weight, at least 0; InstructGPT's ptx coefficient is 27.8.

    Raises: ValueError for the number, or a loss of lists that has `mean_logps` already.
    Source: Pang et al. 2024, arXiv 2404.19733, Eq. 1; Ouyang et al. 2022, arXiv 2203.02155, Eq. 2.
    """
    entry = entry_of(loss)
    in_range("with_nll", {"alpha": alpha}, "[0, inf)")
    paired = any(name.startswith("chosen_") for name in entry.inputs)
    kept = "chosen_mean_logps" if paired else "mean_logps"
    if kept in entry.inputs and entry.axes(kept) != ["batch"]:
        raise ValueError(f"with_nll: {entry.name} takes {kept} of another shape")

    def call(inputs: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Tensor:
        theirs = {name: inputs[name] for name in entry.inputs if name in inputs}
        return loss(**theirs, **numbers) - alpha * wide(inputs[kept])

    inputs = axes_of(entry) | {kept: "batch"}
    return modified(entry, f"{entry.name}_with_nll", call, inputs)


def with_divergence(loss: Loss, divergence: str, alpha: float = 0.5) -> Loss:
    """Log-ratios to the reference count as another divergence has them: f-DPO for any loss.

        log(pi / ref) becomes f'(pi / ref) - f'(1)

    f is the divergence's generator; the reverse KL leaves the loss as it is, and a policy equal to
    its reference has a log-ratio of 0 under any.

    Args:
        loss: with a reference, such as kto or hinge.
        divergence, alpha: as for `f_dpo`, which is `with_divergence(dpo, divergence)`.

    Raises: ValueError for a loss without a reference, or the argument.
    Source: Wang et al. 2023, arXiv 2309.16240, Theorem 1.
    """
    entry = entry_of(loss)
    given = {"divergence": divergence, "alpha": alpha}
    allowed = get("f_dpo").ranges
    check_hyperparameters("with_divergence", given, {key: allowed[key] for key in given})
    against = {name: f"ref_{name}" for name in entry.inputs if f"ref_{name}" in entry.inputs}
    if not against:
        raise ValueError(f"with_divergence: {entry.name} has no reference")

    def call(inputs: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Tensor:
        theirs = dict(inputs)
        for name, reference in against.items():
            if reference in inputs:
                log_ratio = wide(inputs[name]) - wide(inputs[reference])
                at_one = divergence_slope(torch.zeros_like(log_ratio), divergence, alpha)
                slope = divergence_slope(log_ratio, divergence, alpha) - at_one
                theirs[name] = wide(inputs[reference]) + slope
        return loss(**theirs, **numbers)

    return modified(entry, f"{entry.name}_with_{divergence}", call)


@checked(shapes={"logps": "batch length", "squared": "batch length", "mask": "batch length"})
def wpo_weights(logps: Tensor, squared: Tensor, mask: Tensor) -> Tensor:
    """WPO's weight of one response: how likely the policy is to write it, against its own samples.

        w = exp(mean over tokens of (logps - log(sum over words of pi^2)))

    Multiply the weights of a pair's two sides for `weighted(dpo)`.

    Args:
        logps: (batch, length) log-probs of the tokens, nats.
        squared: (batch, length) log of the sum of squared probabilities of the next word, nats:
            `(2 * log_softmax).logsumexp(-1)`.
        mask: (batch, length) bool, True on the response's tokens.

    Returns: (batch,) without gradient; 1 for an empty response.
    Conventions: not clamped, nor is the product of both sides in TRL 1.16.
    Source: Zhou et al. 2024, arXiv 2406.11827, section 3.2.
    """
    aligned = (wide(logps) - wide(squared)).detach().where(mask, 0.0)
    return (aligned.sum(-1) / mask.sum(-1).clamp(min=1)).exp()


@checked(shapes={"losses": "groups", "weights": "groups"}, ranges={"step": "[0, inf)"})
def group_robust_weights(losses: Tensor, weights: Tensor, *, step: float = 0.01) -> Tensor:
    """Group-robust optimisation: groups with a larger loss gain weight, exponentially.

        w_g proportional to weights_g * exp(step * losses_g), summing to 1

    Args:
        losses: (groups,) mean loss of each group now; held constant.
        weights: (groups,) the weights before, positive.
        step: how fast the weights move; 0 keeps them.

    Returns: (groups,) to be handed to `weighted`, group by group, and to the next call.
    Conventions: GRPO in that paper's title; not the group-relative `grpo`.
    Source: Ramesh et al. 2024, arXiv 2405.20304, Algorithm 1.
    """
    return (wide(weights).log() + step * wide(losses).detach()).softmax(-1)


@checked(shapes={"ref_logps": "batch references", "weights": "references"})
def mixed_reference(ref_logps: Tensor, weights: Tensor) -> Tensor:
    """Several references as one: the harmonic mean that MRPO's bound has a closed form for.

        log_ref = -logsumexp(log(weights) - ref_logps)

    Args:
        ref_logps: (batch, references) summed log-probs under each, nats.
        weights: (references,) positive, summing to 1.

    Returns: (batch,) log-probs, up to a constant that cancels in a pair; hand it to any loss.
    Conventions: the paper's weights (the official code puts them on the other reference). Its
        clipping of the further references and its adaptive weights come before this.
    Source: Le et al. 2024, arXiv 2405.16388 (paper 057).
    """
    return -(wide(weights).log() - wide(ref_logps)).logsumexp(-1)


def under_both_labels(
    loss: Loss, inputs: Mapping[str, Tensor], numbers: Mapping[str, Any]
) -> tuple[Tensor, Tensor]:
    """The loss of a pair as it is labelled, and with what was chosen rejected."""
    swapped = {name: inputs[other_side(name)] for name in inputs}
    return loss(**inputs, **numbers), loss(**swapped, **numbers)


def axes_of(entry: Entry) -> dict[str, str]:
    """{input: names of its dimensions}."""
    return {name: " ".join(entry.axes(name)) for name in entry.inputs}


def of_pairs(modifier: str, loss: Loss) -> Entry:
    """The entry of a loss whose inputs all stand on both sides. Raises ValueError for another."""
    entry = entry_of(loss)
    if any(
        other_side(name) == name or other_side(name) not in entry.inputs for name in entry.inputs
    ):
        raise ValueError(
            f"{modifier}: expected a loss whose every input has a chosen and a rejected side, "
            f"got {entry.name} of {', '.join(entry.inputs)}"
        )
    return entry


def in_range(modifier: str, numbers: Mapping[str, float], interval: str) -> None:
    """Raise ValueError for a number that is not in the interval."""
    check_hyperparameters(modifier, numbers, dict.fromkeys(numbers, interval))


def modified(
    entry: Entry,
    name: str,
    call: Call,
    inputs: Mapping[str, str] | None = None,
    logps: str | None = None,
) -> Loss:
    """A loss of these inputs (name: axes) that checks them as registered losses do.

    `call(inputs, hyperparameters)` computes it. Hyper-parameters stay those of the loss within.
    """
    inputs = inputs or axes_of(entry)
    within = inspect.signature(entry.source).parameters
    numbers = [within[key] for key in entry.hyperparameters]
    optional = {key for key in entry.inputs if within[key].default is None}
    tensors = [
        inspect.Parameter(
            key,
            inspect.Parameter.KEYWORD_ONLY if optional else inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=None if key in optional else inspect.Parameter.empty,
        )
        for key in inputs
    ]
    signature = inspect.Signature([*tensors, *numbers])

    def function(*args: Tensor, **kwargs: Any) -> Tensor:
        given = signature.bind(*args, **kwargs).arguments
        return call(
            {key: given[key] for key in inputs if key in given},
            {key: given[key] for key in entry.hyperparameters if key in given},
        )

    function.__name__ = name
    function.__signature__ = signature  # type: ignore[attr-defined]
    guarded = checked(shapes=inputs, ranges=entry.ranges)(function)
    guarded.entry = replace(  # type: ignore[attr-defined]
        entry,
        name=name,
        function=guarded,
        source=function,
        inputs=tuple(inputs),
        shapes={key: axes for key, axes in inputs.items() if axes != "batch"},
        logps=logps or entry.logps,
    )
    return guarded
