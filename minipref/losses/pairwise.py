"""Losses on a pair: a chosen and a rejected response to the same prompt.

Log-probs are in nats and belong to whole responses, of shape (batch,): `*_logps` are sums over the
response's tokens, `*_mean_logps` means. Each loss returns (batch,), to be averaged by the caller.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import log1mexp, wide
from .registry import pairwise


@pairwise(paper="2305.18290", reference=True, ranges={"beta": "(0, inf)"})
def dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """DPO: the pair classified by the policy's own implicit reward.

        L = -log sigmoid(beta * delta),
        delta = log(pi(y_w) / ref(y_w)) - log(pi(y_l) / ref(y_l))

    Gradient: dL/dlog pi(y_w) = -beta sigmoid(-beta delta); dL/dlog pi(y_l) = the same, positive.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat.

    Returns: (batch,) loss; log 2 where the policy is the reference.
    Raises: ValueError for tensors that do not fit each other, or beta <= 0.
    Conventions: log-probs are sums over tokens, not means.
    Source: Rafailov et al. 2023, arXiv 2305.18290, Eq. 7.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    return -F.logsigmoid(beta * (chosen_logratios - rejected_logratios))


@pairwise(
    paper="2305.18290", reference=True, ranges={"beta": "(0, inf)", "label_smoothing": "[0, 0.5)"}
)
def cdpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
) -> Tensor:
    """Conservative DPO: the label is taken to be right with probability 1 - label_smoothing.

        L = -(1 - e) log sigmoid(m) - e log sigmoid(-m),    m = beta * delta, e = label_smoothing

    Gradient: dL/dlog pi(y_w) = -beta (sigmoid(-m) - e), dL/dlog pi(y_l) = the same, positive;
    it changes sign at m = log((1 - e) / e), where the loss has its minimum.

    Args: as `dpo`; label_smoothing: e, in [0, 0.5).
    Returns: (batch,) loss.
    Raises: ValueError for tensors that do not fit each other, or numbers out of range.
    Conventions: log-probs are sums. A convex mix, not the unbiased estimate (`rdpo`).
    Source: Mitchell 2023, "A note on DPO with noisy preferences".
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margins = beta * (chosen_logratios - rejected_logratios)
    right, wrong = -F.logsigmoid(margins), -F.logsigmoid(-margins)
    return (1 - label_smoothing) * right + label_smoothing * wrong


@pairwise(paper="070", reference=True, ranges={"beta": "(0, inf)", "flip_rate": "[0, 0.5)"})
def rdpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    flip_rate: float = 0.1,
) -> Tensor:
    """Robust DPO: an unbiased estimate of the clean DPO loss from labels flipped at a known rate.

        L = (-(1 - e) log sigmoid(m) + e log sigmoid(-m)) / (1 - 2e),  m = beta * delta

    Gradient: dL/dlog pi(y_w) = -beta (sigmoid(-m) + e / (1 - 2e)), dL/dlog pi(y_l) = the same,
    positive: DPO's and a constant push. Unbounded below for e > 0.

    Args: as `dpo`; flip_rate: e, in [0, 0.5).
    Returns: (batch,) loss.
    Raises: ValueError for tensors that do not fit each other, or numbers out of range.
    Conventions: log-probs are sums. Park et al.'s length-regularised loss is also called R-DPO.
    Source: Ray Chowdhury et al. 2024, arXiv 2403.00409.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margins = beta * (chosen_logratios - rejected_logratios)
    right, wrong = -F.logsigmoid(margins), -F.logsigmoid(-margins)
    return ((1 - flip_rate) * right - flip_rate * wrong) / (1 - 2 * flip_rate)


@pairwise(paper="106", reference=True, ranges={"beta_plus": "[0, inf)", "beta_minus": "[0, inf)"})
def flex_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta_plus: float = 0.1,
    beta_minus: float = 0.08,
) -> Tensor:
    """Flex-DPO: the rejected side counts less, so that it is not driven to zero first.

        L = -log sigmoid(m),
        m = beta_plus log(pi(y_w) / ref(y_w)) - beta_minus log(pi(y_l) / ref(y_l))

    Gradient: dL/dlog pi(y_w) = -beta_plus sigmoid(-m), dL/dlog pi(y_l) = beta_minus sigmoid(-m).

    Args: as `dpo`; beta_plus, beta_minus: strength on the chosen and on the rejected side, per nat.
    Returns: (batch,) loss; equal strengths are DPO.
    Raises: ValueError for tensors that do not fit each other, or a negative strength.
    Conventions: log-probs are sums.
    Source: Yan et al. 2024, arXiv 2406.07327, section 4.
    """
    chosen_rewards = beta_plus * (wide(chosen_logps) - wide(ref_chosen_logps))
    rejected_rewards = beta_minus * (wide(rejected_logps) - wide(ref_rejected_logps))
    return -F.logsigmoid(chosen_rewards - rejected_rewards)


@pairwise(paper="2310.12036", reference=True, logps="mean", ranges={"tau": "(0, inf)"})
def ipo(
    chosen_mean_logps: Tensor,
    rejected_mean_logps: Tensor,
    ref_chosen_mean_logps: Tensor,
    ref_rejected_mean_logps: Tensor,
    *,
    tau: float = 0.1,
) -> Tensor:
    """IPO: regress the log-ratio difference to 1 / (2 tau) instead of driving it to infinity.

        L = (delta - 1 / (2 tau))^2

    Gradient: dL/dlog pi(y_w) = 2 (delta - 1 / (2 tau)), dL/dlog pi(y_l) = -the same, with respect
    to mean log-probs; it changes sign at delta = 1 / (2 tau).

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token.
        ref_chosen_mean_logps, ref_rejected_mean_logps: (batch,) the same under the reference.
        tau: strength of the regularisation, per nat.

    Returns: (batch,) loss, nats squared.
    Raises: ValueError for tensors that do not fit each other, or tau <= 0.
    Conventions: means, as the authors advise and TRL does; the paper's Eq. 17 has one-symbol
        responses, where sum and mean agree. Feeding sums makes long pairs dominate.
    Source: Azar et al. 2023, arXiv 2310.12036, Eq. 17.
    """
    chosen_logratios = wide(chosen_mean_logps) - wide(ref_chosen_mean_logps)
    rejected_logratios = wide(rejected_mean_logps) - wide(ref_rejected_mean_logps)
    return (chosen_logratios - rejected_logratios - 1 / (2 * tau)).square()


@pairwise(paper="2309.06657", reference=True, ranges={"beta": "(0, inf)"})
def hinge(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """SLiC's hinge on DPO's implicit reward: nothing is asked of a pair with margin 1.

        L = max(0, 1 - beta * delta)

    Gradient: dL/dlog pi(y_w) = -beta where beta delta < 1, else 0; dL/dlog pi(y_l) = -the same.

    Args: as `dpo`.
    Returns: (batch,) loss.
    Raises: ValueError for tensors that do not fit each other, or beta <= 0.
    Conventions: sums, with a reference (as in TRL); SLiC-HF's own hinge has none, and a margin.
    Source: Liu et al. 2023 (RSO), arXiv 2309.06657, Eq. 8.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    return torch.relu(1 - beta * (chosen_logratios - rejected_logratios))


@pairwise(paper="2405.14734", logps="mean", ranges={"beta": "(0, inf)", "gamma": "(-inf, inf)"})
def simpo(
    chosen_mean_logps: Tensor,
    rejected_mean_logps: Tensor,
    *,
    beta: float = 2.0,
    gamma: float = 1.0,
) -> Tensor:
    """SimPO: the mean log-prob is the reward; no reference, and a margin to be won.

        L = -log sigmoid(beta (mean log pi(y_w) - mean log pi(y_l)) - gamma)

    Gradient: -beta sigmoid(-m) with respect to the chosen's mean log-prob, + to the rejected's.

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token.
        beta: scale of the reward, per nat.
        gamma: the paper's target margin, added as it is. `simpo_gamma(beta, ratio)` turns the
            official code's `gamma_beta_ratio` into it.

    Returns: (batch,) loss.
    Raises: ValueError for tensors that do not fit each other, or beta <= 0.
    Conventions: means over tokens; gamma absolute (TRL), not a ratio (official code, HALOs).
    Source: Meng et al. 2024, arXiv 2405.14734, Eq. 6.
    """
    margins = beta * (wide(chosen_mean_logps) - wide(rejected_mean_logps)) - gamma
    return -F.logsigmoid(margins)


def simpo_gamma(beta: float, ratio: float) -> float:
    """The paper's gamma from the official code's `gamma_beta_ratio`: gamma = ratio * beta."""
    return ratio * beta


@pairwise(paper="056", ranges={"beta": "(0, inf)", "alpha": "[0, inf)"})
def cpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    chosen_mean_logps: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 1.0,
) -> Tensor:
    """CPO (contrastive): DPO against a uniform reference, held in place by a likelihood term.

        L = -log sigmoid(beta (log pi(y_w) - log pi(y_l))) - alpha mean log pi(y_w)

    Gradient: dL/dlog pi(y_w) = -beta sigmoid(-m), dL/dlog pi(y_l) = the same, positive, on the
    sums; dL/d mean log pi(y_w) = -alpha.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs, nats.
        chosen_mean_logps: (batch,) the chosen's mean log-prob, nats a token.
        beta: scale of the preference term, per nat; alpha: weight of the likelihood term.

    Returns: (batch,) loss.
    Raises: ValueError for tensors that do not fit each other, or numbers out of range.
    Conventions: sums in the preference term; the likelihood is a token mean (TRL; the paper sums).
        Not *controllable* preference optimisation, which is also called CPO.
    Source: Xu et al. 2024, arXiv 2401.08417, Eq. 5.
    """
    margins = beta * (wide(chosen_logps) - wide(rejected_logps))
    return -F.logsigmoid(margins) - alpha * wide(chosen_mean_logps)


@pairwise(paper="034", logps="mean", ranges={"lambda_": "[0, inf)"})
def orpo(chosen_mean_logps: Tensor, rejected_mean_logps: Tensor, *, lambda_: float = 0.1) -> Tensor:
    """ORPO: supervised learning on the chosen, and a log odds ratio against the rejected.

        L = -p_w - lambda log sigmoid(z),  z = log_odds(p_w) - log_odds(p_l),
        log_odds(p) = p - log(1 - exp(p)),  p = mean log-prob

    Gradient: dL/dp_w = -1 - lambda sigmoid(-z) / (1 - P_w),
    dL/dp_l = lambda sigmoid(-z) / (1 - P_l), with P = exp(p).

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token, at most 0.
        lambda_: weight of the odds-ratio term.

    Returns: (batch,) loss.
    Raises: ValueError for tensors that do not fit each other, or lambda_ < 0.
    Conventions: means over tokens; on sums P underflows and the odds carry no signal.
    Source: Hong et al. 2024, arXiv 2403.07691, Eqs. 6 and 7.
    """
    chosen, rejected = wide(chosen_mean_logps), wide(rejected_mean_logps)
    chosen_log_odds = chosen - log1mexp(chosen)
    rejected_log_odds = rejected - log1mexp(rejected)
    return -chosen - lambda_ * F.logsigmoid(chosen_log_odds - rejected_log_odds)
