"""Losses on single responses that somebody called good or bad.

Log-probs are in nats and belong to whole responses, of shape (batch,): sums over their tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import checked
from .numerics import wide
from .registry import pointwise


@pointwise(
    paper="2402.01306",
    reference=True,
    shapes={"kl": ""},
    ranges={
        "beta": "(0, inf)",
        "lambda_desirable": "[0, inf)",
        "lambda_undesirable": "[0, inf)",
    },
)
def kto(
    logps: Tensor,
    ref_logps: Tensor,
    desirable: Tensor,
    kl: Tensor,
    *,
    beta: float = 0.1,
    lambda_desirable: float = 1.0,
    lambda_undesirable: float = 1.0,
) -> Tensor:
    """KTO: gains and losses against a reference point, as prospect theory has them.

        gain = beta * (logps - ref_logps - kl)
        good = lambda_desirable * (1 - sigmoid(gain))
        bad = lambda_undesirable * (1 - sigmoid(-gain))
        L = where(desirable, good, bad)
        weight = where(desirable, -lambda_desirable, lambda_undesirable)
        dL/dlogps = weight * beta * sigmoid(gain) * sigmoid(-gain)

    The push is largest, a quarter of beta times the weight, where the log-ratio is at the reference
    point, and fades on both sides: what is learnt is left alone, and so is what looks mislabelled.

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        desirable: (batch,) bool, True for a good response.
        kl: () the reference point z_0, nats (`kto_reference_point`); held constant.
        beta: strength of the KL constraint, per nat; 0.1 as in the paper.
        lambda_desirable, lambda_undesirable: weights of the two kinds; the paper asks for
            1 <= lambda_desirable * n_desirable / (lambda_undesirable * n_undesirable) <= 4 / 3.

    Returns: (batch,) loss, between 0 and its weight; half of it at the reference point.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. The reference point is in nats, so that beta scales
        it as it scales the log-ratio; it comes from mismatched pairs, is at least 0 and has no
        gradient (HALOs, TRL).
    Source: Ethayarajh et al. 2024, arXiv 2402.01306, Eqs. 7 and 8.
    """
    gain = beta * (wide(logps) - wide(ref_logps) - wide(kl).detach())
    good = lambda_desirable * torch.sigmoid(-gain)  # 1 - sigmoid(gain)
    bad = lambda_undesirable * torch.sigmoid(gain)
    return torch.where(desirable, good, bad)


@pointwise(
    paper="112",
    reference=True,
    shapes={"kl": ""},
    ranges={
        "beta": "(0, inf)",
        "lambda_desirable": "[0, inf)",
        "lambda_undesirable": "[0, inf)",
    },
)
def kto_s(
    logps: Tensor,
    ref_logps: Tensor,
    desirable: Tensor,
    kl: Tensor,
    *,
    beta: float = 0.1,
    lambda_desirable: float = 1.0,
    lambda_undesirable: float = 1.0,
) -> Tensor:
    """KTO-S: KTO whose reference point sides with the reward, so that drift always calms it.

        logratios = logps - ref_logps
        gain = beta * (logratios + sign(logratios) * kl)
        good = lambda_desirable * (1 - sigmoid(gain))
        bad = lambda_undesirable * (1 - sigmoid(-gain))
        L = where(desirable, good, bad)
        weight = where(desirable, -lambda_desirable, lambda_undesirable)
        dL/dlogps = weight * beta * sigmoid(gain) * sigmoid(-gain)

    The further the policy has drifted, the smaller is every gradient; KTO's grows until the
    log-ratio has caught up with kl.

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        desirable: (batch,) bool, True for a good response.
        kl: () the reference point z_0, nats, at least 0 (`kto_reference_point`); held constant.
        beta: strength of the KL constraint, per nat; 0.1 as for `kto`.
        lambda_desirable, lambda_undesirable: weights of the two kinds, as for `kto`.

    Returns: (batch,) loss, between 0 and its weight.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens, and kl in nats, as for `kto`. The sign is held
        constant and is 0 where the policy is the reference; there the gain jumps by 2 * beta * kl.
        Bad responses have the same gain with its sign turned, so that kl calms them too.
    Source: Lim et al. 2025, arXiv 2502.12485 (paper 112); not read in the paper but in a third
        party's code and notes, where kl pushes bad responses harder or the log-ratio has the wrong
        sign.
    """
    logratios = wide(logps) - wide(ref_logps)
    gain = beta * (logratios + logratios.sign() * wide(kl).detach())
    good = lambda_desirable * torch.sigmoid(-gain)  # 1 - sigmoid(gain)
    bad = lambda_undesirable * torch.sigmoid(gain)
    return torch.where(desirable, good, bad)


@pointwise(paper="064", reference=True, ranges={"beta": "(0, inf)"})
def apo_zero_unpaired(
    logps: Tensor, ref_logps: Tensor, desirable: Tensor, *, beta: float = 0.1
) -> Tensor:
    """APO-zero, unpaired: good responses up and bad ones down, each anchored at the reference.

        reward = beta * (logps - ref_logps)
        L = where(desirable, 1 - sigmoid(reward), sigmoid(reward))
        weight = where(desirable, -1, 1)
        dL/dlogps = weight * beta * sigmoid(reward) * sigmoid(-reward)

    The push is largest, beta / 4, where policy and reference agree, and fades on both sides.

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        desirable: (batch,) bool, True for a good response: better than what the model would say.
        beta: strength of the KL constraint, per nat; 0.1 as in the paper.

    Returns: (batch,) loss, between 0 and 1; 1/2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. `kto` without reference point and weights; TRL's
        `KTOConfig(loss_type="apo_zero_unpaired")`, whose two weights multiply the result. The mean
        over a pair is half of the paired APO-zero, with TRL's constant.
    Source: D'Oosterlinck et al. 2024, arXiv 2408.06266 (paper 064), Eq. 7 unpaired.
    """
    reward = beta * (wide(logps) - wide(ref_logps))
    return torch.sigmoid(torch.where(desirable, -reward, reward))  # 1 - sigmoid(x) = sigmoid(-x)


@pointwise(paper="020", reference=True, shapes={"shift": ""}, ranges={"beta": "(0, inf)"})
def bco(
    logps: Tensor, ref_logps: Tensor, desirable: Tensor, shift: Tensor, *, beta: float = 0.01
) -> Tensor:
    """BCO: a classifier of good and bad responses whose logit is the policy's implicit reward.

        logit = beta * (logps - ref_logps) - shift
        L = where(desirable, -log(sigmoid(logit)), -log(sigmoid(-logit)))
        dL/dlogps = where(desirable, -beta * sigmoid(-logit), beta * sigmoid(logit))

    On a pair, the sum of both losses bounds DPO's from above; the bound is tightest where the
    shift is the mean of the two rewards.

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        desirable: (batch,) bool, True for a good response.
        shift: () the rewards' mean, in the logit's unit (`bco_shift`); held constant.
        beta: strength of the KL constraint, per nat; 0.01 as in the paper (TRL: 0.1).

    Returns: (batch,) loss, nats; log 2 where the policy is the reference and the shift 0.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. Where good and bad responses answer different
        prompts, multiply the bad ones' losses by p(good | prompt) / p(bad | prompt) of a classifier
        of prompts, clamped to [0.5, 10]: the paper's density ratio, for `modifiers.weighted` (TRL:
        `prompt_sample_size`, `min_density_ratio`, `max_density_ratio`).
    Source: Jung et al. 2024, arXiv 2404.04656 (paper 020).
    """
    logit = beta * (wide(logps) - wide(ref_logps)) - wide(shift).detach()
    return -F.logsigmoid(torch.where(desirable, logit, -logit))


@pointwise(paper="016", reference=True, ranges={"beta": "(0, inf)", "constant": "(-inf, inf)"})
def pointwise_dpo(
    logps: Tensor,
    ref_logps: Tensor,
    desirable: Tensor,
    *,
    beta: float = 0.1,
    constant: float = 0.0,
) -> Tensor:
    """Point-wise DPO: is a single response good? Its implicit reward is the logit.

        logit = beta * (logps - ref_logps) + constant
        L = where(desirable, -log(sigmoid(logit)), -log(sigmoid(-logit)))
        dL/dlogps = where(desirable, -beta * sigmoid(-logit), beta * sigmoid(logit))

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        desirable: (batch,) bool, True for a good response.
        beta: strength of the KL constraint, per nat; 0.1 as in the official code.
        constant: stands for beta * log Z of every prompt; 0 as in the official code.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference and the constant 0.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over tokens, as in the paper (the official code averages). A pair's partition
        function cancels; a single response's does not, hence the constant. `bco` is this loss with
        minus the rewards' mean as its constant.
    Source: Cai et al. 2023, arXiv 2312.02554 (paper 016), point-wise DPO.
    """
    logit = beta * (wide(logps) - wide(ref_logps)) + constant
    return -F.logsigmoid(torch.where(desirable, logit, -logit))


@pointwise(paper="016", reference=True, ranges={"beta": "(0, inf)", "constant": "(-inf, inf)"})
def ulma(
    logps: Tensor,
    ref_logps: Tensor,
    desirable: Tensor,
    *,
    beta: float = 0.1,
    constant: float = 0.0,
) -> Tensor:
    """ULMA: good responses are demonstrations to imitate, bad ones are pushed below the reference.

        logit = beta * (logps - ref_logps) + constant
        L = where(desirable, -logps, -log(sigmoid(-logit)))
        dL/dlogps = where(desirable, -1, beta * sigmoid(logit))

    Args:
        logps, ref_logps: (batch,) summed log-probs under policy and reference, nats.
        desirable: (batch,) bool, True for a response that is good enough to be imitated.
        beta: strength of the KL constraint on bad responses, per nat; 0.1 as in the official code.
        constant: stands for beta * log Z of every prompt; 0 as in the official code.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over tokens, as in the paper (the official code averages). A good response
        pulls with 1, a bad one pushes with less than beta. The mean of this loss weighs the kinds
        by their numbers; the official code adds up the mean of each kind. Bad responses with
        scores take `pointwise_dpo_regression`.
    Source: Cai et al. 2023, arXiv 2312.02554 (paper 016), ULMA.
    """
    logps = wide(logps)
    logit = beta * (logps - wide(ref_logps)) + constant
    return torch.where(desirable, -logps, -F.logsigmoid(-logit))


@checked()
def kto_reference_point(mismatched_logps: Tensor, ref_mismatched_logps: Tensor) -> Tensor:
    """KTO's z_0 = max(0, mean log(pi(y') / ref(y'))) over responses y' to other prompts.

    Args:
        mismatched_logps, ref_mismatched_logps: (batch,) summed log-probs, nats, of responses that
            were handed to a wrong prompt (`derangement`).

    Returns: () one number, nats, without gradient.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: the matched responses' own log-ratios are another, biased, estimate.
    """
    return (wide(mismatched_logps) - wide(ref_mismatched_logps)).detach().mean().clamp(min=0)


def derangement(n: int, generator: torch.Generator | None = None) -> Tensor:
    """A permutation (n,) of 0 .. n-1 that leaves nothing where it was: whose response to borrow.

    Args:
        n: how many rows.
        generator: draws one of the cycles through all rows; without one, each row borrows from the
            row after it, as HALOs does.

    Raises: ValueError for n < 2: a single response has no other prompt to go to, so that KTO has
        no reference point at batch size 1.
    """
    if n < 2:
        raise ValueError(f"n: expected at least 2 responses to mismatch, got {n}")
    cycle = torch.arange(n) if generator is None else torch.randperm(n, generator=generator)
    partner = torch.empty_like(cycle)
    partner[cycle] = cycle.roll(-1)
    return partner


@checked(shapes={"count": "", "mean": ""})
def bco_shift(rewards: Tensor, count: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """BCO's shift, a running mean of all rewards seen: the new count, and the new mean.

    Args:
        rewards: (batch,) of this step, beta * log(pi / ref); may be empty.
        count: () how many were seen before; 0 at the start.
        mean: () their mean; anything while count is 0, such as 0.

    Returns: ((), ()) the state to pass in at the next step, without gradient; its mean is the shift
        of this step.
    Raises: ValueError that names the tensor which does not fit.
    Conventions: every reward ever seen counts alike (TRL), so that micro-batches add up.
        The paper's shift is the mean of the two classes' means, the same where classes are equally
        frequent: elsewhere keep one state a class, and average the two means.
    """
    rewards = wide(rewards).detach()
    total = count + len(rewards)
    return total, mean + (rewards - mean).sum() / total.clamp(min=1)
