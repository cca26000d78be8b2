"""Losses on a pair whose margin has a target: it is regressed or matched, not driven to infinity.

Conventions of names and shapes are those of `pairwise`. Where the target is a difference of
rewards, either response may be called the chosen.
"""

import torch.nn.functional as F
from torch import Tensor

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
    Source: Le et al. 2024, arXiv 2405.15230 (paper 022), from summaries alone: neither its text nor
        official code was read.
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
        implicit = beta * (chosen_logratios - rejected_logratios)
        explicit = eta * (chosen_scores - rejected_scores)
        square = (implicit - explicit) ** 2
        won = log(sigmoid(explicit) / sigmoid(implicit))
        lost = log(sigmoid(-explicit) / sigmoid(-implicit))
        backward_kl = sigmoid(explicit) * won + sigmoid(-explicit) * lost
        forward_kl = -sigmoid(implicit) * won - sigmoid(-implicit) * lost
        L = named(distance)
        d_square = 2 * (implicit - explicit)
        d_backward_kl = sigmoid(implicit) - sigmoid(explicit)
        d_forward_kl = sigmoid(implicit) * sigmoid(-implicit) * (implicit - explicit)
        dL/dchosen_logps = beta * named("d_" + distance)
        dL/drejected_logps = -beta * named("d_" + distance)

    where named(x) is the line above whose name is x, implicit the reward difference that the policy
    implies, and explicit the one that was scored.

    Whatever the distance, the optimum is the reference times exp(eta * score / beta), normalised.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        chosen_scores, rejected_scores: (batch,) rewards of the two, in either order.
        beta: strength of the KL constraint, per nat; 0.2 as in NeMo-Aligner.
        eta: scale of the rewards; 1 as in NeMo-Aligner's `gt_reward_scale`.
        distance: "square"; "backward_kl", KL(target || policy) of the two verdicts; or
            "forward_kl", KL(policy || target), whose gradient vanishes where the policy is sure.
            NeMo-Aligner: `rpo_sq`, `rpo_bwd_kl`, `rpo_fwd_kl`.

    Returns: (batch,) loss, nats or squared units of reward; 0 where the differences agree.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. Forward and backward are NeMo-Aligner's words.
        Not the relative, nor the reverse RPO, nor TRL's old `rpo_alpha`.
    Source: Sun et al. 2025, arXiv 2502.00203 (paper 072), and NeMo-Aligner.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    implicit = beta * (chosen_logratios - rejected_logratios)
    explicit = eta * (wide(chosen_scores) - wide(rejected_scores))
    match distance:
        case "square":
            return (implicit - explicit).square()
        case "backward_kl":
            return _kl_of_verdicts(explicit, implicit)
    return _kl_of_verdicts(implicit, explicit)  # forward_kl


def _kl_of_verdicts(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of two verdicts on a pair, each given by the log-odds that the chosen wins."""
    won, lost = F.logsigmoid(p) - F.logsigmoid(q), F.logsigmoid(-p) - F.logsigmoid(-q)
    return p.sigmoid() * won + (-p).sigmoid() * lost
