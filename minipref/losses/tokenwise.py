"""Losses on the tokens of single responses: (batch, length) and a mask, averaged over each."""

from torch import Tensor

from .numerics import wide
from .registry import tokenwise


@tokenwise(
    paper="2203.02155", logps="token", shapes=dict.fromkeys(("logps", "mask"), "batch length")
)
def sft(logps: Tensor, mask: Tensor) -> Tensor:
    """SFT: the mean negative log-likelihood of the response's tokens.

        tokens = sum(mask)
        L = -sum(mask * logps) / tokens
        dL/dlogps = -mask / tokens

    Args:
        logps: (batch, length) log-probs of the tokens, nats.
        mask: (batch, length) bool, True on the response's tokens.

    Returns: (batch,) loss, nats a token; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: each response counts alike, whatever its length (cross-entropy over a batch weighs
        long ones more); the prompt is masked out.
    Source: Ouyang et al. 2022, arXiv 2203.02155, section 3.5; Table 1 of paper 001.
    """
    logps = wide(logps).where(mask, 0.0)
    return -logps.sum(-1) / mask.sum(-1).clamp(min=1)


@tokenwise(
    paper="089",
    reference=True,
    logps="token",
    shapes=dict.fromkeys(
        ("logps", "ref_logps", "weak_logps", "weak_ref_logps", "mask"), "batch length"
    ),
    ranges={"gamma": "(0, inf)"},
)
def wspo(
    logps: Tensor,
    ref_logps: Tensor,
    weak_logps: Tensor,
    weak_ref_logps: Tensor,
    mask: Tensor,
    *,
    gamma: float = 0.1,
) -> Tensor:
    """WSPO: a strong model repeats, token by token, what alignment has changed in a weak one.

        strong = logps - ref_logps
        weak = weak_logps - weak_ref_logps
        d = gamma * strong - weak
        L = sum(mask * d ** 2) / sum(mask)
        dL/dlogps = 2 * gamma * mask * d / sum(mask)

    At the reference it is SFT with the signed weights `2 * gamma * weak`; it comes to rest where
    the strong model has moved 1 / gamma as far as the weak one.

    Args:
        logps: (batch, length) log-probs of the tokens under the strong policy, nats.
        ref_logps: (batch, length) the same under the strong reference.
        weak_logps, weak_ref_logps: (batch, length) the same under the weak model, after and before
            its alignment.
        mask: (batch, length) bool, True on the response's tokens.
        gamma: strength of the strong model's KL constraint over the weak model's; 0.1 as in the
            official code, and less of it moves the strong model further.

    Returns: (batch,) loss, nats squared; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the others, or gamma.
    Conventions: squares of tokens, averaged over each response; the square of the summed log-ratio
        is another loss. Only the chosen response of a pair is used. The theory's constant of the
        prompt is left out. Both models share a tokenizer.
    Source: Zhu et al. 2024, arXiv 2410.18640 (paper 089), and the official code.
    """
    strong = (wide(logps) - wide(ref_logps)).where(mask, 0.0)
    weak = (wide(weak_logps) - wide(weak_ref_logps)).where(mask, 0.0)
    return (gamma * strong - weak).square().sum(-1) / mask.sum(-1).clamp(min=1)
