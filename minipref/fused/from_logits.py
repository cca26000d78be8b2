"""Preference losses from logits in two launches: log-probs, loss and coefficients; the gradient.

The mathematics, the names and the defaults are those of `minipref.losses`. What a loss takes of the
policy is replaced by what the policy puts out:

    logits   (sequences, tokens, vocabulary), bfloat16, float16, float32 or float64: the rows that
             predict the targets, so shift before: logits[:, :-1] against ids[:, 1:]. Of pairs, the
             chosen responses are the first half and the rejected ones the second, in this order.
    targets  (sequences, tokens) int64, words; -100 leaves a token out: prompt and padding. Its
             logits are not read, and have gradient 0. A sequence without tokens has log-prob 0.

Everything else is held constant. Every loss of `minipref.losses` that is not here goes the longer
way: on what `fused.token_logps` gives of the logits it is small work for torch.
"""

from __future__ import annotations

from torch import Tensor

from minipref.losses.checks import check_hyperparameters
from minipref.losses.registry import get

from .sequence_losses import sequence_losses


def dpo(
    logits: Tensor,
    targets: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    temperature: float = 1.0,
    inplace_backward: bool = False,
) -> Tensor:
    """`minipref.losses.dpo` from the logits of pairs.

    Args:
        logits: (2 * pairs, tokens, vocabulary), chosen first.
        targets: (2 * pairs, tokens) int64; -100 leaves a token out.
        ref_chosen_logps, ref_rejected_logps: (pairs,) summed log-probs under the reference, nats.
        beta: strength of the KL constraint, per nat.
        temperature: what the logits are divided by.
        inplace_backward: write the gradient over the logits, which saves a tensor of their size.
            They are gone after backward, and a second backward raises RuntimeError.

    Returns: (pairs,) losses in nats, float32 (float64 of float64 logits).
    Raises: ValueError that names the argument, or under torch.func. There is no second derivative.
    """
    return sequence_losses(
        "dpo",
        logits,
        targets,
        {"ref_chosen_logps": ref_chosen_logps, "ref_rejected_logps": ref_rejected_logps},
        {"beta": beta},
        aggregate="sum",
        temperature=temperature,
        inplace_backward=inplace_backward,
    )


def ipo(
    logits: Tensor,
    targets: Tensor,
    ref_chosen_mean_logps: Tensor,
    ref_rejected_mean_logps: Tensor,
    *,
    tau: float = 0.1,
    temperature: float = 1.0,
    inplace_backward: bool = False,
) -> Tensor:
    """`minipref.losses.ipo` from the logits of pairs.

    Args:
        logits, targets, temperature, inplace_backward: as for `dpo`.
        ref_chosen_mean_logps, ref_rejected_mean_logps: (pairs,) under the reference, nats a token.
        tau: strength of the regularisation, per nat.

    Returns: (pairs,) losses in nats squared. Raises: as `dpo`.
    """
    return sequence_losses(
        "ipo",
        logits,
        targets,
        {
            "ref_chosen_mean_logps": ref_chosen_mean_logps,
            "ref_rejected_mean_logps": ref_rejected_mean_logps,
        },
        {"tau": tau},
        aggregate="mean",
        temperature=temperature,
        inplace_backward=inplace_backward,
    )


def simpo(
    logits: Tensor,
    targets: Tensor,
    *,
    beta: float = 2.0,
    gamma: float = 1.0,
    temperature: float = 1.0,
    inplace_backward: bool = False,
) -> Tensor:
    """`minipref.losses.simpo` from the logits of pairs.

    Args:
        logits, targets, temperature, inplace_backward: as for `dpo`.
        beta: scale of the reward, per nat.
        gamma: the target margin, taken off as it is.

    Returns: (pairs,) losses in nats. Raises: as `dpo`.
    """
    return sequence_losses(
        "simpo",
        logits,
        targets,
        {},
        {"beta": beta, "gamma": gamma},
        aggregate="mean",
        temperature=temperature,
        inplace_backward=inplace_backward,
    )


def kto(
    logits: Tensor,
    targets: Tensor,
    ref_logps: Tensor,
    desirable: Tensor,
    kl: Tensor,
    *,
    beta: float = 0.1,
    lambda_desirable: float = 1.0,
    lambda_undesirable: float = 1.0,
    temperature: float = 1.0,
    inplace_backward: bool = False,
) -> Tensor:
    """`minipref.losses.kto` from the logits of single responses.

    Args:
        logits: (sequences, tokens, vocabulary). targets, temperature, inplace_backward: as for
            `dpo`.
        ref_logps: (sequences,) summed log-probs under the reference, nats.
        desirable: (sequences,) bool, True for a good response.
        kl: () the reference point, nats.
        beta: strength of the KL constraint, per nat.
        lambda_desirable, lambda_undesirable: weights of the two kinds.

    Returns: (sequences,) losses between 0 and their weight. Raises: as `dpo`.
    """
    return sequence_losses(
        "kto",
        logits,
        targets,
        {"ref_logps": ref_logps, "desirable": desirable, "kl": kl},
        {
            "beta": beta,
            "lambda_desirable": lambda_desirable,
            "lambda_undesirable": lambda_undesirable,
        },
        aggregate="sum",
        temperature=temperature,
        inplace_backward=inplace_backward,
    )


def grpo(
    logits: Tensor,
    targets: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    ref_logps: Tensor | None = None,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    kl: float = 0.04,
    aggregate: str = "sequence",
    temperature: float = 1.0,
    inplace_backward: bool = False,
) -> Tensor:
    """`minipref.losses.grpo` from the logits of sampled responses.

    Args:
        logits: (sequences, tokens, vocabulary). targets, inplace_backward: as for `dpo`.
        old_logps: (sequences, tokens) log-probs of the tokens when they were sampled, nats.
        advantages: (sequences,) one a response.
        ref_logps: (sequences, tokens) log-probs under the reference; None for no KL.
        clip_low, clip_high: how far a token's ratio may go down and up.
        kl: weight of the KL estimate k3, per nat.
        aggregate: "sequence" averages the tokens of each response, "token" those of the batch.
        temperature: what the logits are divided by; that of sampling.

    Returns: (sequences,) losses, 0 for a response without tokens. Raises: as `dpo`.
    """
    numbers = {"clip_low": clip_low, "clip_high": clip_high, "kl": kl}
    check_hyperparameters("grpo", {**numbers, "aggregate": aggregate}, get("grpo").ranges)
    if ref_logps is None:
        ref_logps, numbers["kl"] = old_logps, 0.0  # a reference that counts nothing
    return sequence_losses(
        "grpo",
        logits,
        targets,
        {"old_logps": old_logps, "advantages": advantages, "ref_logps": ref_logps},
        numbers,
        aggregate=aggregate,
        temperature=temperature,
        inplace_backward=inplace_backward,
    )
