"""Losses that fit a reward model to comparisons: rewards in, not log-probs.

Rewards are scalars of whole responses, in units of log-odds unless a loss says otherwise: of shape
(batch,) for a pair, (batch, k) for a list, best first. They are known up to a constant a prompt.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import checked
from .numerics import wide
from .registry import reward


@reward(paper="1706.03741", logps="none")
def bradley_terry(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """Bradley-Terry: the chosen beats the rejected with probability sigmoid(difference).

        margin = chosen_rewards - rejected_rewards
        L = -log(sigmoid(margin))
        dL/dchosen_rewards = -sigmoid(-margin)
        dL/drejected_rewards = sigmoid(-margin)

    Args:
        chosen_rewards, rejected_rewards: (batch,) scalar rewards, in units of log-odds.

    Returns: (batch,) loss, nats; log 2 where the rewards are equal.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: no margin and no centring; a constant added to all rewards changes nothing.
    Source: Bradley and Terry 1952; for reward models, Christiano et al. 2017, arXiv 1706.03741.
    """
    return -F.logsigmoid(wide(chosen_rewards) - wide(rejected_rewards))


@reward(paper="2307.09288", logps="none")
def bradley_terry_margin(
    chosen_rewards: Tensor, rejected_rewards: Tensor, margins: Tensor
) -> Tensor:
    """Bradley-Terry with a margin: the more clearly the chosen is better, the wider the gap.

        excess = chosen_rewards - rejected_rewards - margins
        L = -log(sigmoid(excess))
        dL/dchosen_rewards = -sigmoid(-excess)
        dL/drejected_rewards = sigmoid(-excess)

    Where a share q of people prefer the chosen, the best gap is margins + log(q / (1 - q)), with
    -margins for the pair the other way round: a margin shifts the gap.

    Args:
        chosen_rewards, rejected_rewards: (batch,) scalar rewards, in units of log-odds.
        margins: (batch,) by how much the chosen is better, in the same units; in Llama 2 by the
            annotator's four grades 1, 2/3, 1/3, 0 (small) or 3, 2, 1, 0 (large). Paper 023 takes
            them from an LLM's judgements: `disagreement_margins`.

    Returns: (batch,) loss, nats; log 2 where the gap is the margin.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: the margin is subtracted inside the sigmoid, as in TRL's column `margin`; a
        negative one keeps its sign. `odpo` is the same with rewards beta * log(pi / ref).
    Source: Touvron et al. 2023 (Llama 2), arXiv 2307.09288, Eq. 2; its Table 27.
    """
    return -F.logsigmoid(wide(chosen_rewards) - wide(rejected_rewards) - wide(margins))


@checked(ranges={"lambda_": "[0, inf)"})
def disagreement_margins(probabilities: Tensor, *, lambda_: float = 1.0) -> Tensor:
    """Margins from how far several judges agree with a pair's label: lambda_ * (2 p - 1).

    Args:
        probabilities: (batch,) share of the judgements that prefer the chosen, over both orders.
        lambda_: the margin where all agree, in units of log-odds; one to tune.

    Returns: (batch,) margins in [-lambda_, lambda_], 0 where the judges are split.
    Raises: ValueError that names the tensor of another shape, or the number.
    Conventions: a crowd that contradicts the label gives a negative margin; keep its sign.
    Source: after "Beyond the Binary" 2024, arXiv 2412.03822 (paper 023), whose margins come from
        synthetic judgements; the linear form and lambda_ are ours, the paper's were not read.
    """
    return lambda_ * (2 * wide(probabilities) - 1)


@reward(paper="2312.09244", logps="none", ranges={"weight": "[0, inf)"})
def bradley_terry_centred(
    chosen_rewards: Tensor, rejected_rewards: Tensor, *, weight: float = 0.01
) -> Tensor:
    """Bradley-Terry that is drawn to rewards of mean 0, which comparisons alone leave open.

        margin = chosen_rewards - rejected_rewards
        total = chosen_rewards + rejected_rewards
        L = -log(sigmoid(margin)) + weight * total ** 2
        dL/dchosen_rewards = -sigmoid(-margin) + 2 * weight * total
        dL/drejected_rewards = sigmoid(-margin) + 2 * weight * total

    Args:
        chosen_rewards, rejected_rewards: (batch,) scalar rewards, in units of log-odds.
        weight: of the squared sum, nats a squared log-odd; 0.01 as TRL recommends.

    Returns: (batch,) loss, nats; log 2 where both rewards are 0.
    Raises: ValueError that names the tensor which does not fit the other, or the weight.
    Conventions: the sum of the pair is squared, not each reward, so that the margin stays free.
        TRL's `center_rewards_coefficient` (None: weight = 0).
    Source: Eisenstein et al. 2023, arXiv 2312.09244, Eq. 2.
    """
    chosen_rewards, rejected_rewards = wide(chosen_rewards), wide(rejected_rewards)
    total = chosen_rewards + rejected_rewards
    return -F.logsigmoid(chosen_rewards - rejected_rewards) + weight * total.square()


@reward(paper="2306.02561", logps="none")
def pair_scorer(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """PairRM: a model that read both responses at once says of each whether it is the better one.

        right = -log(sigmoid(chosen_rewards))
        wrong = -log(sigmoid(-rejected_rewards))
        L = right + wrong
        dL/dchosen_rewards = -sigmoid(-chosen_rewards)
        dL/drejected_rewards = sigmoid(rejected_rewards)

    Args:
        chosen_rewards, rejected_rewards: (batch,) the two scores that the model gives to one text
            of the prompt and both responses, in units of log-odds.

    Returns: (batch,) loss, nats; 2 log 2 where both scores are 0.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: the two terms are added; the official code's `loss_type="BCE"` halves them, and its
        "instructgpt" is `bradley_terry` on the two scores. A model that reads pairs has favourite
        places: shuffle which response comes first, and at test time score both orders, response i
        by the sum over j of score_ij - score_ji.
    Source: Jiang, Ren and Lin 2023 (LLM-Blender), arXiv 2306.02561, section 3, and its code.
    """
    return -F.logsigmoid(wide(chosen_rewards)) - F.logsigmoid(-wide(rejected_rewards))


@reward(paper="1909.08593", logps="none", shapes={"rewards": "batch k"})
def k_way(rewards: Tensor) -> Tensor:
    """K-way choice: which of k responses is the best, as a classification by softmax.

        L = logsumexp(rewards) - first(rewards)
        dL/drewards = softmax(rewards) - where(ranks(rewards) == 1, 1, 0)

    where ranks(x) is 1, 2, ..., k along a row.

    Args:
        rewards: (batch, k) scalar rewards, the best response first, the others in any order, in
            units of log-odds; k is 4 in the paper.

    Returns: (batch,) loss a list, nats; for k = 2 it is `bradley_terry`, for k = 1 it is 0.
    Raises: ValueError for a tensor of another shape.
    Conventions: the first of `plackett_luce`'s choices; the order among the others has no say.
    Source: Ziegler et al. 2019, arXiv 1909.08593, Eq. 1.
    """
    rewards = wide(rewards)
    return rewards.logsumexp(-1) - rewards[:, 0]


@reward(paper="2203.02155", logps="none", shapes={"rewards": "batch k"})
def ranknet(rewards: Tensor) -> Tensor:
    """RankNet: Bradley-Terry on every pair of a ranked list, as InstructGPT's reward model.

        gap = over_i(rewards) - over_j(rewards)
        better = over_i(ranks(rewards)) < over_j(ranks(rewards))
        pairs = count(rewards) * (count(rewards) - 1) / 2
        L = sum_pairs(where(better, -log(sigmoid(gap)), 0)) / pairs
        push = where(better, sigmoid(-gap), 0) / pairs
        dL/drewards = sum_i(push) - sum_j(push)

    where ranks(x) is 1, 2, ..., k along a row, and gap_ij = rewards_i - rewards_j.

    Args:
        rewards: (batch, k) scalar rewards, the best-ranked first, in units of log-odds; k is 4 to 9
            in InstructGPT, 4 in paper 062.

    Returns: (batch,) loss a list, nats a pair; log 2 where all rewards are equal, and 0 for k = 1.
    Raises: ValueError for a tensor of another shape.
    Conventions: a mean over the k (k - 1) / 2 pairs, so that long lists do not weigh more. All
        pairs of a list belong into one batch: as rows of their own, they overfit.
    Source: Burges et al. 2005; Ouyang et al. 2022 (InstructGPT), arXiv 2203.02155, Eq. 1; the pair
        loss of DPA-RAG's reranker, arXiv 2406.18676 (paper 062).
    """
    rewards = wide(rewards)
    k = rewards.shape[-1]
    i, j = torch.triu_indices(k, k, offset=1, device=rewards.device)  # i is ranked above j
    losses = -F.logsigmoid(rewards[:, i] - rewards[:, j])  # (batch, pairs)
    return losses.sum(-1) / max(1, losses.shape[-1])


@reward(paper="Thurstone 1927", logps="none")
def thurstone(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """Thurstone: the chosen beats the rejected with probability Phi(difference), a normal's.

        margin = chosen_rewards - rejected_rewards
        density = exp(-(margin ** 2) / 2) / (2 * pi) ** 0.5
        L = -log(Phi(margin))
        dL/dchosen_rewards = -density / Phi(margin)
        dL/drejected_rewards = density / Phi(margin)

    Args:
        chosen_rewards, rejected_rewards: (batch,) scalar rewards, in standard deviations of the
            difference of two perceived qualities.

    Returns: (batch,) loss, nats; log 2 where the rewards are equal.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: case V with the deviation of the difference as the unit. Not `bradley_terry` at
        another scale: a wrong pair costs the square of its margin, not the margin.
    Source: Thurstone 1927, A law of comparative judgment, Psychological Review 34.
    """
    return -log_phi(wide(chosen_rewards) - wide(rejected_rewards))


def log_phi(x: Tensor) -> Tensor:
    """log Phi(x) of the normal distribution, with a gradient that holds far out.

    torch.special.log_ndtr has the same values, but its gradient in float32 is 65000 at -10000.
    """
    left, right = x.clamp(max=0.0), x.clamp(min=0.0)
    tail = (torch.special.erfcx(-left / 2**0.5) / 2).log() - left.square() / 2
    return torch.where(x < 0, tail, torch.log1p(-torch.erfc(right / 2**0.5) / 2))


@reward(paper="Rao and Kupper 1967", logps="none", ranges={"alpha": "(0, inf)"})
def rao_kupper(
    chosen_rewards: Tensor, rejected_rewards: Tensor, ties: Tensor, *, alpha: float = 0.5
) -> Tensor:
    """Rao-Kupper: Bradley-Terry with ties, for pairs whose difference people do not notice.

        margin = chosen_rewards - rejected_rewards
        win = sigmoid(margin - alpha)
        tie = sigmoid(margin + alpha) - sigmoid(margin - alpha)
        L = -log(where(ties, tie, win))
        slope = where(ties, sigmoid(alpha + margin), 0) - sigmoid(alpha - margin)
        dL/dchosen_rewards = slope
        dL/drejected_rewards = -slope

    A tie pulls the rewards together; it is most likely, at tanh(alpha / 2), where they are equal.

    Args:
        chosen_rewards, rejected_rewards: (batch,) scalar rewards, in units of log-odds.
        ties: (batch,) bool, True where neither response was better; which is called chosen then
            does not matter.
        alpha: the difference that goes unnoticed, in the same units; 0.5 as in paper 039.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or alpha.
    Conventions: Rao and Kupper's theta is exp(alpha). Wins have to clear the margin alpha even
        where there are no ties. `davidson` is the other model of ties.
    Source: Rao and Kupper 1967, Journal of the American Statistical Association 62; for policies,
        TODO, arXiv 2411.02442 (paper 039), `todo`.
    """
    margin = wide(chosen_rewards) - wide(rejected_rewards)
    win = -F.logsigmoid(margin - alpha)
    # sigmoid(margin + alpha) - sigmoid(margin - alpha), without a difference of near equals
    tie = -F.logsigmoid(alpha + margin) - F.logsigmoid(alpha - margin)
    tie = tie - math.log(-math.expm1(-2 * alpha))
    return torch.where(ties, tie, win)


@reward(paper="Davidson 1970", logps="none", ranges={"nu": "(0, inf)"})
def davidson(
    chosen_rewards: Tensor, rejected_rewards: Tensor, ties: Tensor, *, nu: float = 1.0
) -> Tensor:
    """Davidson: Bradley-Terry with ties, as likely as the geometric mean of both wins has it.

        half = (chosen_rewards - rejected_rewards) / 2
        total = exp(half) + exp(-half) + nu
        L = -log(where(ties, nu, exp(half)) / total)
        slope = (exp(half) - exp(-half)) / total - where(ties, 0, 1)
        dL/dchosen_rewards = slope / 2
        dL/drejected_rewards = -slope / 2

    Args:
        chosen_rewards, rejected_rewards: (batch,) scalar rewards, in units of log-odds.
        ties: (batch,) bool, True where neither response was better; which is called chosen then
            does not matter.
        nu: how common ties are: nu / (nu + 2) of the pairs with equal rewards; 1 is a third. To
            be estimated from the data, where the paper estimates it.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or nu.
    Conventions: among pairs without a tie it is `bradley_terry`, whatever nu is; unlike
        `rao_kupper`, a tie costs 1/2 and not 1 for each unit of a large margin.
    Source: Davidson 1970, Journal of the American Statistical Association 65.
    """
    half = (wide(chosen_rewards) - wide(rejected_rewards)) / 2
    log_nu = torch.full_like(half, nu).log()
    total = torch.stack([half, -half, log_nu]).logsumexp(0)
    return total - torch.where(ties, log_nu, half)
