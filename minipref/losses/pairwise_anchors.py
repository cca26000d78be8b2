"""Losses on a pair that say where each side should go, and not only how far apart the two.

`pairwise`'s losses see the difference of two log-ratios, and are content if both fall. Those here
tie one side, or both, to the reference. Conventions of names and shapes are those of `pairwise`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import pairwise


@pairwise(paper="064", reference=True, ranges={"beta": "(0, inf)"})
def apo_zero(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """APO-zero (anchored): the chosen goes up and the rejected down, each seen from the reference.

        chosen_rewards = beta * (chosen_logps - ref_chosen_logps)
        rejected_rewards = beta * (rejected_logps - ref_rejected_logps)
        L = 1 - sigmoid(chosen_rewards) + sigmoid(rejected_rewards)
        dL/dchosen_logps = -beta * sigmoid(chosen_rewards) * sigmoid(-chosen_rewards)
        dL/drejected_logps = beta * sigmoid(rejected_rewards) * sigmoid(-rejected_rewards)

    For pairs whose chosen response is better than what the model would say by itself.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the tie to the reference, per nat; 0.1 as in the paper.

    Returns: (batch,) loss, in (0, 2); 1 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. No logarithm: either gradient is largest at the
        reference, and a pair far on the wrong side is given up. The 1 is TRL's
        (`loss_type="apo_zero"`), and changes the value alone: the paper's loss is 1 less. With both
        responses as single ones it is `kto` whose kl is 0. Not *adversarial* preference
        optimisation, which is called APO as well.
    Source: D'Oosterlinck et al. 2024, arXiv 2408.06266 (paper 064), Eq. 7.
    """
    chosen_rewards = beta * (wide(chosen_logps) - wide(ref_chosen_logps))
    rejected_rewards = beta * (wide(rejected_logps) - wide(ref_rejected_logps))
    return torch.sigmoid(-chosen_rewards) + torch.sigmoid(rejected_rewards)  # 1 - s(x) is s(-x)


@pairwise(paper="064", reference=True, ranges={"beta": "(0, inf)"})
def apo_down(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """APO-down (anchored): both responses go down, and the rejected one goes down further.

        chosen_rewards = beta * (chosen_logps - ref_chosen_logps)
        rejected_rewards = beta * (rejected_logps - ref_rejected_logps)
        margin = chosen_rewards - rejected_rewards
        L = sigmoid(chosen_rewards) + 1 - sigmoid(margin)
        down = sigmoid(chosen_rewards) * sigmoid(-chosen_rewards)
        apart = sigmoid(margin) * sigmoid(-margin)
        dL/dchosen_logps = beta * (down - apart)
        dL/drejected_logps = beta * apart

    For a model that is better than the chosen response already. The chosen goes down exactly where
    its reward is nearer to 0 than the margin is.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the tie to the reference, per nat; 0.1 as in the paper.

    Returns: (batch,) loss, in (0, 2); 1 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. The 1 is TRL's (`loss_type="apo_down"`), and
        changes the value alone: the paper's loss is 1 less. At the reference only the rejected
        moves.
    Source: D'Oosterlinck et al. 2024, arXiv 2408.06266 (paper 064), Eq. 8.
    """
    chosen_rewards = beta * (wide(chosen_logps) - wide(ref_chosen_logps))
    rejected_rewards = beta * (wide(rejected_logps) - wide(ref_rejected_logps))
    margin = chosen_rewards - rejected_rewards
    return torch.sigmoid(chosen_rewards) + torch.sigmoid(-margin)


@pairwise(paper="2402.13228", reference=True, ranges={"beta": "(0, inf)", "lambda_": "[0, inf)"})
def dpop(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.3,
    lambda_: float = 50.0,
) -> Tensor:
    """DPO-positive (DPOP): DPO, with a price on a chosen response that falls below the reference.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        fall = max(0, -chosen_logratios)
        margin = beta * (chosen_logratios - rejected_logratios - lambda_ * fall)
        L = -log(sigmoid(margin))
        pull = where(chosen_logratios < 0, 1 + lambda_, 1)
        dL/dchosen_logps = -beta * pull * sigmoid(-margin)
        dL/drejected_logps = beta * sigmoid(-margin)

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat; 0.3 as in the paper.
        lambda_: price of a nat that the chosen falls, in nats of margin; 50 as in the paper, which
            saw little change from 5 to 500; 0 is `dpo`.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. The price stands inside beta and inside the
        sigmoid, as in the paper; survey 001 prints it outside beta, and some trainers add it to
        the loss: both are other losses. TRL has none; PaddleNLP's is this, `dpop_lambda`.
    Source: Pal et al. 2024, arXiv 2402.13228 (Smaug), the loss L_DPOP.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    fall = torch.relu(-chosen_logratios)
    return -F.logsigmoid(beta * (chosen_logratios - rejected_logratios - lambda_ * fall))


@pairwise(paper="2402.05369", reference=True, ranges={"beta": "(0, inf)"})
def nca(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.01,
) -> Tensor:
    """NCA (noise-contrastive) on a pair: is a response from the better policy, or the reference?

        chosen_rewards = beta * (chosen_logps - ref_chosen_logps)
        rejected_rewards = beta * (rejected_logps - ref_rejected_logps)
        better = -log(sigmoid(chosen_rewards))
        noise = -log(sigmoid(-chosen_rewards)) - log(sigmoid(-rejected_rewards))
        L = better + noise / 2
        dL/dchosen_logps = -beta * (sigmoid(-chosen_rewards) - sigmoid(chosen_rewards) / 2)
        dL/drejected_logps = beta * sigmoid(rejected_rewards) / 2

    The chosen comes to rest at chosen_rewards = log(2): it does not fall with the rejected.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat, the paper's alpha; 0.01 as in its appendix C.

    Returns: (batch,) loss, nats; 2 log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. The loss for two responses and a hard label: both
        responses are the reference's, with weight 1/2 each, and the chosen is the better policy's;
        TRL's `loss_type="nca_pair"`.
    Source: Chen et al. 2024, arXiv 2402.05369, section 4, and its official code.
    """
    chosen_rewards = beta * (wide(chosen_logps) - wide(ref_chosen_logps))
    rejected_rewards = beta * (wide(rejected_logps) - wide(ref_rejected_logps))
    better = -F.logsigmoid(chosen_rewards)
    noise = -F.logsigmoid(-chosen_rewards) - F.logsigmoid(-rejected_rewards)
    return better + noise / 2


@pairwise(paper="020", reference=True, ranges={"beta": "(0, inf)"})
def bce_pair(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.01,
) -> Tensor:
    """Binary cross-entropy on a pair: the chosen is classified as good, the rejected as bad.

        chosen_rewards = beta * (chosen_logps - ref_chosen_logps)
        rejected_rewards = beta * (rejected_logps - ref_rejected_logps)
        L = -log(sigmoid(chosen_rewards)) - log(sigmoid(-rejected_rewards))
        dL/dchosen_logps = -beta * sigmoid(-chosen_rewards)
        dL/drejected_logps = beta * sigmoid(rejected_rewards)

    It is at least DPO's loss at the same beta: to classify both is more than to rank them. The
    chosen never rests, and does not fall with the rejected.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat; 0.01 as in the paper (TRL: 0.1).

    Returns: (batch,) loss, nats; 2 log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. BCO without its reward shift and its weights, which
        is TRL's `loss_type="bco_pair"` (whose paper index prints DPO's formula for it).
    Source: Jung et al. 2024, arXiv 2404.04656 (paper 020), with delta = 0; the form is TRL's.
    """
    chosen_rewards = beta * (wide(chosen_logps) - wide(ref_chosen_logps))
    rejected_rewards = beta * (wide(rejected_logps) - wide(ref_rejected_logps))
    return -F.logsigmoid(chosen_rewards) - F.logsigmoid(-rejected_rewards)


@pairwise(paper="2405.00675", reference=True, ranges={"beta": "(0, inf)"})
def sppo_hard(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.001,
) -> Tensor:
    """SPPO (self-play) with hard labels: each log-ratio is regressed to a target of its own.

        chosen_excess = chosen_logps - ref_chosen_logps - 1 / (2 * beta)
        rejected_excess = rejected_logps - ref_rejected_logps + 1 / (2 * beta)
        L = chosen_excess ** 2 + rejected_excess ** 2
        dL/dchosen_logps = 2 * chosen_excess
        dL/drejected_logps = 2 * rejected_excess

    Half the square of the sum of the two log-ratios, and half an IPO of their difference.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the policy of the last
            iteration, which takes the reference's place.
        beta: 1 / eta, per nat; 0.001 as in the paper, whose eta is 1000.

    Returns: (batch,) loss, nats squared; 1 / (2 beta^2) where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. Hard: the win rates over the policy are taken as 1
        and 0, where the paper estimates them (PairRM, five responses a prompt); TRL's
        `loss_type="sppo_hard"`, whose default beta of 0.1 asks for 5 nats and not for 500.
    Source: Wu et al. 2024, arXiv 2405.00675, Eq. 4.7 with P = 1 and P = 0, and its official code.
    """
    chosen_excess = wide(chosen_logps) - wide(ref_chosen_logps) - 1 / (2 * beta)
    rejected_excess = wide(rejected_logps) - wide(ref_rejected_logps) + 1 / (2 * beta)
    return chosen_excess.square() + rejected_excess.square()
