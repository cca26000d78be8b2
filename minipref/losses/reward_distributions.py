"""Losses that fit a distribution: over the ratings of a crowd, or over the rewards to weigh.

Logits are what a head of k outputs gives for a response or a prompt, (batch, k).
"""

from torch import Tensor

from .numerics import wide
from .registry import reward

HALF_LOG_2PI = 0.9189385332046727  # log(2 pi) / 2


@reward(paper="063", logps="none", shapes=dict.fromkeys(("logits", "shares"), "batch k"))
def dprm_cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """DPRM-C: how people split over k ratings of a response, by cross-entropy.

        L = -sum(shares * log(softmax(logits)))
        dL/dlogits = sum(shares) * softmax(logits) - shares

    Args:
        logits: (batch, k) the reward model's log-odds of the categories; k is 6 in the paper.
        shares: (batch, k) the share of people who put the response there; a row sums to 1.

    Returns: (batch,) loss, nats; at its minimum, the entropy of the shares.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: a mistake into the neighbouring category costs as much as one into the worst; see
        `dprm_transport`. The scalar reward is the mean of the categories' values.
    Source: Li et al. 2024, arXiv 2402.09764 (paper 063), variant C.
    """
    return -(wide(shares) * wide(logits).log_softmax(-1)).sum(-1)


@reward(
    paper="063",
    logps="none",
    shapes={"logits": "batch k", "shares": "batch k", "scores": "k"},
)
def dprm_transport(logits: Tensor, shares: Tensor, scores: Tensor) -> Tensor:
    """DPRM-OT: how people split over k ratings, by how far the probability has to be moved.

        excess = softmax(logits) - shares
        widths = steps(ascending(scores, scores))
        lower = head(ascending(scores, scores), count(scores) - 1)
        gaps = head(head_sum(ascending(excess, scores)), count(scores) - 1)
        L = sum(widths * abs(gaps))
        potential = sum_j(where(over_j(lower) >= over_i(scores), over_j(widths * sign(gaps)), 0))
        dL/dlogits = softmax(logits) * (potential - sum(softmax(logits) * potential))

    where ascending(x, by) puts x in the order in which `by` grows, steps(x) are the differences of
    neighbours, and head_sum(x)_i is the sum of x_j over j <= i.

    Args:
        logits: (batch, k) the reward model's log-odds of the categories; k is 6 in the paper.
        shares: (batch, k) the share of people who put the response there; a row sums to 1.
        scores: (k,) what each category is worth, in any order: 1, 0.5, -1, -1, -1.5, -3 in Table 1.

    Returns: (batch,) loss, in the scores' unit; 0 where the two distributions are equal.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: optimal transport at the cost |score_i - score_j|; in one dimension the area
        between the distribution functions is its exact value, so that no Sinkhorn iterations are
        needed. Scores 1, 2, ..., k give the paper's variant W. The gradient has plateaus, since
        only the gaps' signs enter.
    Source: Li et al. 2024, arXiv 2402.09764 (paper 063), variants OT and W; its cost matrix was
        not read.
    """
    order = scores.argsort()
    excess = wide(logits).softmax(-1) - wide(shares)
    gaps = excess[:, order].cumsum(-1)[:, :-1]  # F(model) - F(people) below each score but the last
    return (wide(scores)[order].diff() * gaps.abs()).sum(-1)


@reward(
    paper="006",
    logps="none",
    shapes=dict.fromkeys(("logits", "scores"), "batch k"),
    ranges={"temperature": "(0, inf)"},
)
def pro_orchestrator(logits: Tensor, scores: Tensor, *, temperature: float = 0.1) -> Tensor:
    """PRO: from the prompt alone, how much each of k rewards should count.

        target = softmax(scores / temperature)
        L = sum(target * log(target / softmax(logits)))
        dL/dlogits = softmax(logits) - target

    Args:
        logits: (batch, k) what the adapter says of the prompt; their softmax are the weights.
        scores: (batch, k) the k rewards of the prompt's preferred response, each normalised over
            the data set.
        temperature: of the target, in the scores' unit; 0.1 as in the paper, where nearly all of
            the weight goes to what the preferred response is best at.

    Returns: (batch,) loss, nats; KL(target || weights), 0 where they agree.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: the target comes first in the KL. Rewards of different scale are not comparable:
        normalise each before the softmax. Not the list-wise PRO of paper 103.
    Source: arXiv 2511.10656 (paper 006), "Preference Orchestrator", from its public reviews; how it
        normalises was not read.
    """
    log_target = (wide(scores) / temperature).log_softmax(-1)
    log_weights = wide(logits).log_softmax(-1)
    return (log_target.exp() * (log_target - log_weights)).sum(-1)


@reward(
    paper="058",
    logps="none",
    shapes=dict.fromkeys(("logits", "log_deviations", "shares"), "batch k"),
)
def gpo_group(logits: Tensor, log_deviations: Tensor, shares: Tensor) -> Tensor:
    """Group Preference Optimization: how a group splits over the answers, with a normal's error.

        means = softmax(logits)
        z = (shares - means) / exp(log_deviations)
        density = exp(-(z ** 2) / 2) / (exp(log_deviations) * (2 * pi) ** 0.5)
        L = -mean(log(density))
        slope = -z / exp(log_deviations) / count(logits)
        dL/dlogits = means * (slope - sum(means * slope))
        dL/dlog_deviations = (1 - z ** 2) / count(logits)

    Args:
        logits: (batch, k) the model's raw means of the k options of a question, for a group of
            which it has seen some answers.
        log_deviations: (batch, k) logs of the predicted standard deviations.
        shares: (batch, k) the share of the group that chose each option; a row sums to 1.

    Returns: (batch,) loss a question, nats an option; may be below 0, as densities are.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: the mean goes through a softmax over the question's options in training; the
        official evaluation takes raw means and applies it afterwards. Not the diffusion GPO, not
        Generalized Preference Optimization, not GRPO.
    Source: Zhao, Dang and Grover 2023, arXiv 2310.11523 (paper 058), and its official code.
    """
    means, log_deviations = wide(logits).softmax(-1), wide(log_deviations)
    z = (wide(shares) - means) * (-log_deviations).exp()
    return (z.square() / 2 + log_deviations + HALF_LOG_2PI).mean(-1)
