"""Losses on a pair: a chosen and a rejected response to the same prompt, against a reference.

Log-probs are in nats and belong to whole responses, of shape (batch,): `*_logps` are sums over the
response's tokens, `*_mean_logps` means. Each loss returns (batch,), to be averaged by the caller.
A docstring's formulas are in the names of its arguments; a test evaluates every line of them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
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
    """DPO: the pair, classified by the reward that the policy itself implies.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat; 0.1 as in appendix B.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens, not means; nothing is detached here, so compute
        the reference's under no_grad.
    Source: Rafailov et al. 2023, arXiv 2305.18290, Eq. 7; its gradient in section 4.
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

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        right = -log(sigmoid(margin))
        wrong = -log(sigmoid(-margin))
        L = (1 - label_smoothing) * right + label_smoothing * wrong
        dL/dchosen_logps = -beta * (sigmoid(-margin) - label_smoothing)
        dL/drejected_logps = beta * (sigmoid(-margin) - label_smoothing)

    The gradient changes sign at margin = log((1 - label_smoothing) / label_smoothing).

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat; 0.1 as for `dpo`.
        label_smoothing: probability that a label is wrong, in [0, 0.5); 0.1 is our choice (HALOs:
            0.2), and 0 is `dpo`.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. A mix of both labels' losses; TRL 1.16's "sigmoid"
        does not read its `label_smoothing`, which "robust" takes for a flip rate. `rdpo` is the
        unbiased estimate, with a minus and a normaliser.
    Source: Mitchell 2023, "A note on DPO with noisy preferences and relationship to IPO", Eq. 3.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    right, wrong = -F.logsigmoid(margin), -F.logsigmoid(-margin)
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

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        right = -log(sigmoid(margin))
        wrong = -log(sigmoid(-margin))
        L = ((1 - flip_rate) * right - flip_rate * wrong) / (1 - 2 * flip_rate)
        dL/dchosen_logps = -beta * (sigmoid(-margin) + flip_rate / (1 - 2 * flip_rate))
        dL/drejected_logps = beta * (sigmoid(-margin) + flip_rate / (1 - 2 * flip_rate))

    It is DPO less flip_rate / (1 - 2 * flip_rate) * margin: a constant push on top, which never
    rests, so that the loss has no lower bound for flip_rate > 0.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat; 0.1 as in the paper.
        flip_rate: share of labels that are flipped, in [0, 0.5); 0 is `dpo`, 0.1 as in the paper.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens; TRL's `loss_type="robust"`. Not Park et al.'s
        length-regularised R-DPO, and not the `rdpo` of paper 114.
    Source: Ray Chowdhury et al. 2024, arXiv 2403.00409 (paper 070), the loss rDPO.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    right, wrong = -F.logsigmoid(margin), -F.logsigmoid(-margin)
    return ((1 - flip_rate) * right - flip_rate * wrong) / (1 - 2 * flip_rate)


@pairwise(paper="106", reference=True, ranges={"beta_plus": "(0, inf)", "beta_minus": "[0, inf)"})
def flex_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta_plus: float = 0.1,
    beta_minus: float = 0.08,
) -> Tensor:
    """Flex-DPO: the rejected side weighs less, so that pushing it down does not win the margin.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta_plus * chosen_logratios - beta_minus * rejected_logratios
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -beta_plus * sigmoid(-margin)
        dL/drejected_logps = beta_minus * sigmoid(-margin)

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta_plus: strength on the chosen side, per nat; 0.1 as in the paper.
        beta_minus: strength on the rejected side, per nat; 0.08 was best in the paper, and
            beta_minus = beta_plus is `dpo`.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens; both strengths are fixed for a run.
    Source: Yan et al. 2024, arXiv 2406.07327 (paper 106), "Flex-DPO", as its reviews quote it; it
        has no official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    return -F.logsigmoid(beta_plus * chosen_logratios - beta_minus * rejected_logratios)


@pairwise(paper="2310.12036", reference=True, logps="mean", ranges={"tau": "(0, inf)"})
def ipo(
    chosen_mean_logps: Tensor,
    rejected_mean_logps: Tensor,
    ref_chosen_mean_logps: Tensor,
    ref_rejected_mean_logps: Tensor,
    *,
    tau: float = 0.1,
) -> Tensor:
    """IPO: the log-ratio difference is regressed to 1 / (2 tau), not driven to infinity.

        chosen_logratios = chosen_mean_logps - ref_chosen_mean_logps
        rejected_logratios = rejected_mean_logps - ref_rejected_mean_logps
        excess = chosen_logratios - rejected_logratios - 1 / (2 * tau)
        L = excess ** 2
        dL/dchosen_mean_logps = 2 * excess
        dL/drejected_mean_logps = -2 * excess

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token.
        ref_chosen_mean_logps, ref_rejected_mean_logps: (batch,) the same under the reference.
        tau: strength of the regularisation, per nat; 0.1 as in TRL, which calls it beta.

    Returns: (batch,) loss, nats squared; 1 / (4 tau^2) where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or tau.
    Conventions: means over tokens (TRL, which asked the authors; HALOs, LLaMA-Factory). OpenRLHF
        and the official DPO code sum. On responses of one symbol the two agree.
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
    beta: float = 0.05,
) -> Tensor:
    """Hinge: DPO's margin with SLiC's loss, which leaves a pair alone once its margin is 1.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        L = max(0, 1 - margin)
        dL/dchosen_logps = -beta * (margin < 1)
        dL/drejected_logps = beta * (margin < 1)

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: the paper's gamma, per nat: 1 / beta nats are asked for; 0.05 as in the paper.

    Returns: (batch,) loss; 1 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. This is TRL's `loss_type="hinge"` (at beta 0.1);
        SLiC-HF's own hinge has no reference, and a likelihood term: `slic_hf`.
    Source: Liu et al. 2023 (RSO), arXiv 2309.06657, "hinge-norm"; after Zhao et al. 2023, arXiv
        2305.10425.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    return torch.relu(1 - beta * (chosen_logratios - rejected_logratios))
