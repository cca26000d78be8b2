"""Losses on a pair: a chosen and a rejected response to the same prompt.

Log-probs are in nats and belong to whole responses, of shape (batch,): `*_logps` are sums over the
response's tokens, `*_mean_logps` means. Each loss returns (batch,), to be averaged by the caller.
A docstring's formulas are in the names of its arguments; a test evaluates every line of them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import checked
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
        beta: strength of the KL constraint, per nat.
        label_smoothing: probability that a label is wrong, in [0, 0.5); 0 is `dpo`.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. A mix of both labels' losses, as in TRL's
        `label_smoothing`; `rdpo` is the unbiased estimate, with a minus and a normaliser.
    Source: Mitchell 2023, "A note on DPO with noisy preferences and relationship to IPO".
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

    It is DPO and a constant push, hence not bounded below for flip_rate > 0.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat; 0.1 as in the paper.
        flip_rate: share of labels that are flipped, in [0, 0.5); 0 is `dpo`, 0.1 as in the paper.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens; TRL's `loss_type="robust"`. Not Park et al.'s
        length-regularised R-DPO, and not the `rdpo` of paper 114.
    Source: Ray Chowdhury et al. 2024, arXiv 2403.00409 (paper 070).
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    right, wrong = -F.logsigmoid(margin), -F.logsigmoid(-margin)
    return ((1 - flip_rate) * right - flip_rate * wrong) / (1 - 2 * flip_rate)


@pairwise(paper="047", reference=True, ranges={"beta": "(0, inf)"})
def mcts_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_visits: Tensor,
    rejected_visits: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """MCTS-DPO: conservative DPO on two steps, each label as sure as the search's visits.

        smoothing = rejected_visits / (max(1, chosen_visits) + rejected_visits)
        alpha = clamp(smoothing, 0, 0.5)
        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        L = -(1 - alpha) * log(sigmoid(margin)) - alpha * log(sigmoid(-margin))
        dL/dchosen_logps = -beta * (sigmoid(-margin) - alpha)
        dL/drejected_logps = beta * (sigmoid(-margin) - alpha)

    The minimum lies at margin = log(chosen_visits / rejected_visits): the visit ratio.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs of the two steps, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_visits, rejected_visits: (batch,) how often the search went to each, at least 0.
        beta: strength of the KL constraint, per nat; 0.1 as in the official code.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: sums over the step's tokens; what both steps follow is context and cancels. Steps
        are ranked by Q: one visited more often than the better one gets alpha = 1/2, and its margin
        is drawn to 0. A chosen step without visits counts as visited once. `cdpo` has one alpha
        for all pairs.
    Source: Xie et al. 2024, arXiv 2405.00451 (paper 047), and its official code.
    """
    smoothing = wide(rejected_visits) / (wide(chosen_visits).clamp(min=1) + wide(rejected_visits))
    alpha = smoothing.clamp(0, 0.5)
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    return -(1 - alpha) * F.logsigmoid(margin) - alpha * F.logsigmoid(-margin)


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
    Source: Yan et al. 2024, arXiv 2406.07327 (paper 106), "Flex-DPO".
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
    Conventions: means over tokens (TRL, HALOs, LLaMA-Factory; OpenRLHF and the official DPO code
        sum). The paper's responses are one symbol long, where the two agree.
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
        beta: inverse of the margin asked for in nats; 0.1 as for `dpo`.

    Returns: (batch,) loss; 1 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: sums over tokens and with a reference ("hinge-norm", as in TRL). SLiC-HF's own
        hinge has no reference, and a likelihood term.
    Source: Liu et al. 2023 (RSO), arXiv 2309.06657; after Zhao et al. 2023, arXiv 2305.10425.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    return torch.relu(1 - beta * (chosen_logratios - rejected_logratios))


@pairwise(paper="2405.14734", logps="mean", ranges={"beta": "(0, inf)", "gamma": "[0, inf)"})
def simpo(
    chosen_mean_logps: Tensor,
    rejected_mean_logps: Tensor,
    *,
    beta: float = 2.0,
    gamma: float = 1.0,
) -> Tensor:
    """SimPO: the mean log-prob is the reward; no reference, and a margin to be won by.

        margin = beta * (chosen_mean_logps - rejected_mean_logps) - gamma
        L = -log(sigmoid(margin))
        dL/dchosen_mean_logps = -beta * sigmoid(-margin)
        dL/drejected_mean_logps = beta * sigmoid(-margin)

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token.
        beta: scale of the reward, per nat; 2 with gamma 1 as for Llama-3-Base in the paper.
        gamma: the target margin, taken off as it is; `simpo_gamma` makes it from a ratio.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: means over tokens. Gamma is the paper's (TRL, LLaMA-Factory, Liger); the official
        code, HALOs and open-instruct ask for the ratio gamma / beta instead.
    Source: Meng et al. 2024, arXiv 2405.14734, Eq. 6.
    """
    margin = beta * (wide(chosen_mean_logps) - wide(rejected_mean_logps)) - gamma
    return -F.logsigmoid(margin)


@checked(ranges={"beta": "(0, inf)", "ratio": "[0, inf)"})
def simpo_gamma(beta: float, ratio: float) -> float:
    """The paper's gamma from the official code's `gamma_beta_ratio`: gamma = beta * ratio."""
    return beta * ratio


@pairwise(paper="2401.08417", ranges={"beta": "(0, inf)", "alpha": "[0, inf)"})
def cpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    chosen_mean_logps: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 1.0,
) -> Tensor:
    """CPO (contrastive): DPO against a uniform reference, held in place by a likelihood term.

        margin = beta * (chosen_logps - rejected_logps)
        L = -log(sigmoid(margin)) - alpha * chosen_mean_logps
        dL/dchosen_logps = -beta * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)
        dL/dchosen_mean_logps = -alpha

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs, nats.
        chosen_mean_logps: (batch,) the chosen's mean log-prob, nats a token.
        beta: scale of the preference term, per nat; 0.1 as in the paper.
        alpha: weight of the likelihood term; 1 as in the paper.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums in the preference term, a token mean in the likelihood term (TRL; the paper
        sums there too, which is chosen_logps passed twice). Not *controllable* preference
        optimisation, which is called CPO as well.
    Source: Xu et al. 2024, arXiv 2401.08417; studied in paper 056.
    """
    margin = beta * (wide(chosen_logps) - wide(rejected_logps))
    return -F.logsigmoid(margin) - alpha * wide(chosen_mean_logps)


@pairwise(paper="034", logps="mean", ranges={"lambda_": "[0, inf)"})
def orpo(chosen_mean_logps: Tensor, rejected_mean_logps: Tensor, *, lambda_: float = 0.1) -> Tensor:
    """ORPO: likelihood of the chosen, and a log odds ratio against the rejected, in one stage.

        chosen_log_odds = chosen_mean_logps - log(1 - exp(chosen_mean_logps))
        rejected_log_odds = rejected_mean_logps - log(1 - exp(rejected_mean_logps))
        z = chosen_log_odds - rejected_log_odds
        L = -chosen_mean_logps - lambda_ * log(sigmoid(z))
        dL/dchosen_mean_logps = -1 - lambda_ * sigmoid(-z) / (1 - exp(chosen_mean_logps))
        dL/drejected_mean_logps = lambda_ * sigmoid(-z) / (1 - exp(rejected_mean_logps))

    Args:
        chosen_mean_logps, rejected_mean_logps: (batch,) mean log-probs, nats a token, at most 0.
        lambda_: weight of the odds-ratio term; 0.1 as for Mistral-ORPO-beta in the paper.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the other, or lambda_.
    Conventions: means over tokens (of sums, 1 - exp rounds to 1 and the odds are the probability).
        The likelihood term is the response's alone; the official code and TRL train the prompt too.
        TRL calls lambda_ beta. A mean log-prob above -1e-6 counts as -1e-6 in the odds.
    Source: Hong et al. 2024, arXiv 2403.07691 (paper 034), Eqs. 6 and 7.
    """
    chosen, rejected = wide(chosen_mean_logps), wide(rejected_mean_logps)
    chosen_log_odds = chosen - log1mexp(chosen)
    rejected_log_odds = rejected - log1mexp(rejected)
    return -chosen - lambda_ * F.logsigmoid(chosen_log_odds - rejected_log_odds)
