"""Losses on a pair whose margin has a target: it is regressed or matched, not driven to infinity.

Conventions of names and shapes are those of `pairwise`. Where the target is a difference of
rewards, either response may be called the chosen.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import checked
from .numerics import wide
from .registry import pairwise


@pairwise(paper="022", reference=True, ranges={"beta": "(0, inf)"})
def irepo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    probabilities: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """iREPO: the margin is regressed to the log-odds of the annotators' votes.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        p = clamp(probabilities, 1e-6, 1 - 1e-6)
        excess = beta * (chosen_logratios - rejected_logratios) - log(p / (1 - p))
        L = excess ** 2
        dL/dchosen_logps = 2 * beta * excess
        dL/drejected_logps = -2 * beta * excess

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the policy of the round
            before, which sampled both.
        probabilities: (batch,) share of the votes for the chosen; held constant. For k votes of h,
            (k + 1/2) / (h + 1) keeps the target moderate, where the log-odds of k = h are infinite.
        beta: strength of the KL constraint, per nat; 0.1 as for `dpo`.

    Returns: (batch,) loss, squared units of log-odds.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. A probability within 1e-6 of 0 or 1 counts as that
        far from it. `soft_dpo` has the same optimum, but a gradient that is bounded.
    Source: Le et al. 2024, arXiv 2405.15230 (paper 022).
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    target = wide(probabilities).detach().logit(eps=1e-6)
    return (beta * (chosen_logratios - rejected_logratios) - target).square()


@pairwise(paper="2404.16767", reference=True, ranges={"eta": "(0, inf)"})
def rebel(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_scores: Tensor,
    rejected_scores: Tensor,
    *,
    eta: float = 1.0,
) -> Tensor:
    """REBEL: policy optimisation as regression, of log-ratio differences on reward differences.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        target = chosen_scores - rejected_scores
        excess = (chosen_logratios - rejected_logratios) / eta - target
        L = excess ** 2
        dL/dchosen_logps = 2 / eta * excess
        dL/drejected_logps = -2 / eta * excess

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the policy that sampled, of
            the iteration before.
        chosen_scores, rejected_scores: (batch,) rewards of the two.
        eta: step size of the mirror descent that an exact fit takes, nats a unit of reward; 1 as in
            the official code (1e6 for its large batches).

    Returns: (batch,) loss, squared units of reward.
    Raises: ValueError that names the tensor which does not fit the others, or eta.
    Conventions: log-probs are sums over tokens; eta is 1 / beta of the others. The official code
        multiplies the rewards by eta instead, which is eta ** 2 times this. Samples are to be the
        policy's of the iteration before; the loss itself takes any two responses.
    Source: Gao et al. 2024, arXiv 2404.16767, Algorithm 1, and its official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    target = wide(chosen_scores) - wide(rejected_scores)
    return ((chosen_logratios - rejected_logratios) / eta - target).square()


@pairwise(
    paper="072",
    reference=True,
    ranges={
        "beta": "(0, inf)",
        "eta": "[0, inf)",
        "distance": "{square, backward_kl, forward_kl}",
    },
)
def rpo_reward_aware(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    chosen_scores: Tensor,
    rejected_scores: Tensor,
    *,
    beta: float = 0.2,
    eta: float = 1.0,
    distance: str = "backward_kl",
) -> Tensor:
    """RPO, reward-aware: the implicit reward difference is to match the explicit one.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        a = beta * (chosen_logratios - rejected_logratios)
        b = eta * (chosen_scores - rejected_scores)
        square = (a - b) ** 2
        won = log(sigmoid(b) / sigmoid(a))
        lost = log(sigmoid(-b) / sigmoid(-a))
        backward = sigmoid(b) * won + sigmoid(-b) * lost
        forward = -sigmoid(a) * won - sigmoid(-a) * lost
        kl = backward if distance == "backward_kl" else forward
        L = square if distance == "square" else kl
        kl_slope = sigmoid(a) - sigmoid(b)
        kl_slope = kl_slope if distance == "backward_kl" else sigmoid(a) * sigmoid(-a) * (a - b)
        slope = 2 * (a - b) if distance == "square" else kl_slope
        dL/dchosen_logps = beta * slope
        dL/drejected_logps = -beta * slope

    Whatever the distance, the optimum is the reference times exp(eta * score / beta), normalised.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_scores, rejected_scores: (batch,) rewards of the two, in either order.
        beta: strength of the KL constraint, per nat; 0.2 as in NeMo-Aligner.
        eta: scale of the rewards; 1 as in NeMo-Aligner's `gt_reward_scale`.
        distance: "square"; "backward_kl", that of the policy's preference from the target's; or
            "forward_kl", whose gradient vanishes far from the target. NeMo-Aligner: `rpo_sq`,
            `rpo_bwd_kl`, `rpo_fwd_kl`.

    Returns: (batch,) loss, nats or squared units of reward; 0 where the differences agree.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. Forward and backward are NeMo-Aligner's: backward
        is KL(target || policy). Not the relative, nor the reverse RPO, nor TRL's old `rpo_alpha`.
    Source: Sun et al. 2025, arXiv 2502.00203 (paper 072), and NeMo-Aligner.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    a = beta * (chosen_logratios - rejected_logratios)
    b = eta * (wide(chosen_scores) - wide(rejected_scores))
    if distance == "square":
        return (a - b).square()
    return _kl_of_verdicts(b, a) if distance == "backward_kl" else _kl_of_verdicts(a, b)


def _kl_of_verdicts(a: Tensor, b: Tensor) -> Tensor:
    """KL(p || q) of two verdicts whose log-odds are a and b."""
    won, lost = F.logsigmoid(a) - F.logsigmoid(b), F.logsigmoid(-a) - F.logsigmoid(-b)
    return a.sigmoid() * won + (-a).sigmoid() * lost


@pairwise(paper="2310.13639", ranges={"alpha": "(0, inf)", "lambda_": "(0, 1]"})
def cpl(
    chosen_logps: Tensor, rejected_logps: Tensor, *, alpha: float = 0.1, lambda_: float = 0.5
) -> Tensor:
    """CPL, contrastive: DPO for segments of behaviour, in which a log-prob is an advantage.

        margin = alpha * (chosen_logps - lambda_ * rejected_logps)
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -alpha * sigmoid(-margin)
        dL/drejected_logps = alpha * lambda_ * sigmoid(-margin)

    With lambda_ below 1 a wide margin does not do: actions near to the data's are to be likely too.

    Args:
        chosen_logps, rejected_logps: (batch,) log-probs of the two segments' actions, discounted
            and summed (`discounted_logps`), nats.
        alpha: temperature of the maximum-entropy reward, per nat; 0.1 as in the official code.
        lambda_: weight of the rejected segment; 0.5 as in the official code (`contrastive_bias`), 1
            for no such bias.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: sums over the steps; the reference is uniform, so that there is none. The official
        code's log-prob of an action is minus its squared error, and it has a discount of 1. CPL-KL
        puts log-ratios for log-probs.
    Source: Hejna et al. 2023, arXiv 2310.13639, and its official code.
    """
    return -F.logsigmoid(alpha * (wide(chosen_logps) - lambda_ * wide(rejected_logps)))


@checked(shapes={"logps": "batch length", "mask": "batch length"}, ranges={"gamma": "[0, 1]"})
def discounted_logps(logps: Tensor, mask: Tensor, *, gamma: float = 1.0) -> Tensor:
    """CPL's score of a segment: the sum of gamma^t * log pi(a_t | s_t) over its steps.

    Args:
        logps: (batch, length) log-probs of the actions, nats.
        mask: (batch, length) bool, True on the segment's steps; the first of them is t = 0.
        gamma: discount a step; 1 as in the official code.

    Returns: (batch,) with gradient, nats; 0 for a segment without steps.
    Raises: ValueError that names the tensor which does not fit the other, or gamma.
    """
    logps = wide(logps).where(mask, 0.0)
    steps = (mask.cumsum(-1) - 1).clamp(min=0)  # (batch, length)
    return (torch.full_like(logps, gamma).pow(steps) * logps).sum(-1)


@pairwise(
    paper="049",
    reference=True,
    batchwise=True,
    shapes={"weights": "batch batch"},
    ranges={"beta": "(0, inf)"},
)
def rpo_relative(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    weights: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """RPO, relative: each chosen response against all rejected ones, by likeness of their prompts.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margins = weights * beta * (chosen_logratios - rejected_logratios.T)
        L = -mean(log(sigmoid(margins)))
        pull = weights * beta * sigmoid(-margins)
        dL/dchosen_logps = -mean(pull)
        dL/drejected_logps = mean(pull.T)

    where row i of a (batch, batch) matrix is a chosen response, column j a rejected one, and x.T
    turns a column into a row.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        weights: (batch, batch) how much chosen i against rejected j counts, rows summing to 1
            (`prompt_likeness`); held constant. All 1 for no weighting.
        beta: strength of the KL constraint, per nat; 0.1 as in the paper.

    Returns: (batch,) loss of each chosen response, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. The weights are inside the sigmoid: beta is in
        effect beta * weights, small in a large batch. The mean over the batch is the paper's over
        all pairs; a row that is not the prompt's own still costs log 2 at weight 0. Chosen and
        rejected may be unpaired, as long as they are as many. Not the reward-aware, nor the reverse
        RPO.
    Source: Yin et al. 2024, arXiv 2402.10958 (paper 049), and its official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    contrasts = chosen_logratios[:, None] - rejected_logratios[None, :]  # (batch, batch)
    return -F.logsigmoid(wide(weights).detach() * beta * contrasts).mean(-1)


@checked(
    shapes={"chosen_embeddings": "batch features", "rejected_embeddings": "batch features"},
    ranges={"tau": "(0, inf)"},
)
def prompt_likeness(
    chosen_embeddings: Tensor, rejected_embeddings: Tensor, *, tau: float = 0.5
) -> Tensor:
    """Relative RPO's weights: softmax over j of -(1 - cos(chosen i's prompt, rejected j's)) / tau.

    Args:
        chosen_embeddings, rejected_embeddings: (batch, features) of the prompts; the same one twice
            if every prompt has both responses.
        tau: temperature; 0.5 as in the paper (0.25 for Llama-2-7B).

    Returns: (batch, batch) rows that sum to 1, without gradient.
    Raises: ValueError that names the tensor which does not fit the other, or tau.
    """
    chosen, rejected = wide(chosen_embeddings).detach(), wide(rejected_embeddings).detach()
    cosines = F.normalize(chosen, dim=-1) @ F.normalize(rejected, dim=-1).T
    return (-(1 - cosines) / tau).softmax(-1)
