"""Losses that fit a verifier to what is said of single responses, steps and tokens.

Rewards here have an absolute meaning, unlike those of comparisons: sigmoid(reward) is the
probability of being right, or the reward is the score itself.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import reward


@reward(paper="2110.14168", logps="none")
def reward_bce(rewards: Tensor, desirable: Tensor) -> Tensor:
    """Outcome reward model: is the response right? A classifier, sure by sigmoid(reward).

        L = -log(where(desirable, sigmoid(rewards), sigmoid(-rewards)))
        dL/drewards = sigmoid(rewards) - desirable

    Args:
        rewards: (batch,) scalar rewards, the log-odds of a right response.
        desirable: (batch,) bool, True for a right or a good response.

    Returns: (batch,) loss, nats; log 2 at reward 0.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: rewards have a zero of their own, so that a constant on all of them matters. The
        pointwise loss of paper 032, whose printed 1 - sigmoid(1 - r) is a slip for 1 - sigmoid(r),
        and paper 074's binary discrimination, with the two labels' logits subtracted.
    Source: Cobbe et al. 2021, arXiv 2110.14168; arXiv 2404.12318 (paper 032); arXiv 2112.00861
        (paper 074).
    """
    rewards = wide(rewards)
    return -F.logsigmoid(torch.where(desirable, rewards, -rewards))


@reward(paper="2311.09528", logps="none")
def reward_regression(rewards: Tensor, scores: Tensor) -> Tensor:
    """Reward regression: the reward is the score that an annotator gave.

        error = rewards - scores
        L = error ** 2
        dL/drewards = 2 * error

    Args:
        rewards: (batch,) predicted scores, in the annotator's unit.
        scores: (batch,) the annotator's scores; 0 to 4 in HelpSteer.

    Returns: (batch,) loss, in squared units of the score; 0 where the reward is the score.
    Raises: ValueError that names the tensor which does not fit the other.
    Conventions: no factor 1/2. One attribute a row: a response with five attributes (HelpSteer), or
        nineteen (ArmoRM), is as many rows, each from its own output of the head.
    Source: Wang et al. 2023 (HelpSteer), arXiv 2311.09528; ArmoRM, arXiv 2406.12845.
    """
    return (wide(rewards) - wide(scores)).square()


@reward(
    paper="2312.08935",
    logps="none",
    shapes=dict.fromkeys(("rewards", "probabilities", "mask"), "batch length"),
)
def prm(rewards: Tensor, probabilities: Tensor, mask: Tensor) -> Tensor:
    """Process reward model: is each step right? A classifier at the end of every step.

        right = -log(sigmoid(rewards))
        wrong = -log(sigmoid(-rewards))
        L = sum(mask * (probabilities * right + (1 - probabilities) * wrong))
        dL/drewards = mask * (sigmoid(rewards) - probabilities)

    Args:
        rewards: (batch, length) scalar rewards at each token, the log-odds of a right step.
        probabilities: (batch, length) the label of the step that ends there: 0 or 1 by people, or
            from roll-outs (8 of them in Math-Shepherd), 1 if any of them gets the answer (hard), or
            the share that does (soft).
        mask: (batch, length) bool, True on the last token of each labelled step.

    Returns: (batch,) loss, nats; 0 for a response without steps.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: a sum over the steps, as in the paper; TRL's PRMTrainer takes the mean over all
        steps of the batch, of two classes whose logits' difference is the reward. A response scores
        the product of its steps' probabilities (Let's Verify Step by Step) or their minimum
        (Math-Shepherd).
    Source: Wang et al. 2023 (Math-Shepherd), arXiv 2312.08935; Lightman et al. 2023, arXiv
        2305.20050.
    """
    rewards = wide(rewards).where(mask, 0.0)
    probabilities = wide(probabilities)
    losses = -probabilities * F.logsigmoid(rewards) - (1 - probabilities) * F.logsigmoid(-rewards)
    return losses.where(mask, 0.0).sum(-1)


@reward(paper="2311.09724", logps="none", shapes=dict.fromkeys(("values", "mask"), "batch length"))
def ovm(values: Tensor, desirable: Tensor, mask: Tensor) -> Tensor:
    """Outcome-supervised value model: every token foretells whether the answer will be right.

        error = mask * (values - desirable)
        L = sum(error ** 2)
        dL/dvalues = 2 * error

    The best value of a beginning is the share of its continuations that end well.

    Args:
        values: (batch, length) predicted probability at each token that the answer will be right.
        desirable: (batch,) bool, True where the answer was right.
        mask: (batch, length) bool, True on the response's tokens.

    Returns: (batch,) loss; 0 for a response without tokens.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: a sum over tokens, then a mean over responses, as in the official code; values
        are linear outputs, no sigmoid. Cobbe et al.'s token verifier adds the likelihood.
    Source: Yu, Gao and Wang 2023, arXiv 2311.09724, and its official code; Cobbe et al. 2021, arXiv
        2110.14168.
    """
    error = wide(values) - desirable[:, None].to(values.dtype)
    return error.where(mask, 0.0).square().sum(-1)


@reward(paper="2408.15240", ranges={"lambda_": "[0, inf)"})
def genrm(
    verdict_logps: Tensor, solution_logps: Tensor, desirable: Tensor, *, lambda_: float = 0.25
) -> Tensor:
    """Generative verifier: a language model that writes Yes or No, and keeps solving problems.

        solved = where(desirable, solution_logps, 0)
        L = -verdict_logps - lambda_ * solved
        dL/dverdict_logps = -1
        dL/dsolution_logps = where(desirable, -lambda_, 0)

    Args:
        verdict_logps: (batch,) summed log-probs of the right verdict on a solution, nats: Yes where
            it is correct, No where it is not, with the reasoning before it if there is any.
        solution_logps: (batch,) summed log-probs of the solution itself, given the problem, nats.
        desirable: (batch,) bool, True where the solution is correct; only those are imitated.
        lambda_: weight of the imitation; 0 trains the verdict alone.

    Returns: (batch,) loss, nats.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens, as in the paper's SFT loss; here a row's solution
        serves both terms, the paper draws the correct ones from a set of their own. A solution
        scores p(Yes), or its mean over 32 sampled chains of thought.
    Source: Zhang et al. 2024, arXiv 2408.15240, section 3; lambda_ = 1/4 from memory.
    """
    solved = wide(solution_logps).where(desirable, 0.0)
    return -wide(verdict_logps) - lambda_ * solved


@reward(paper="2310.12773", logps="none")
def cost_model(
    chosen_costs: Tensor, rejected_costs: Tensor, chosen_safe: Tensor, rejected_safe: Tensor
) -> Tensor:
    """Safe RLHF's cost model: which response does more harm, and does each do any at all?

        margin = rejected_costs - chosen_costs
        chosen_harm = where(chosen_safe, -1, 1)
        rejected_harm = where(rejected_safe, -1, 1)
        ranking = -log(sigmoid(margin))
        chosen_sign = -log(sigmoid(chosen_harm * chosen_costs))
        rejected_sign = -log(sigmoid(rejected_harm * rejected_costs))
        L = ranking + chosen_sign + rejected_sign
        chosen_push = chosen_harm * sigmoid(-chosen_harm * chosen_costs)
        rejected_push = rejected_harm * sigmoid(-rejected_harm * rejected_costs)
        dL/dchosen_costs = sigmoid(-margin) - chosen_push
        dL/drejected_costs = -sigmoid(-margin) - rejected_push

    Args:
        chosen_costs, rejected_costs: (batch,) scalar costs, in units of log-odds; the chosen is the
            less harmful response.
        chosen_safe, rejected_safe: (batch,) bool, True for a response that does no harm.

    Returns: (batch,) loss, nats; 3 log 2 where both costs are 0.
    Raises: ValueError that names the tensor which does not fit the others.
    Conventions: a cost is above 0 where there is harm, so that the constraint "cost at most 0" has
        a meaning. The paper's y_w is the more harmful response, hence our rejected; its s(y) is +1
        for harm. The three terms count alike.
    Source: Dai et al. 2023, arXiv 2310.12773, Eq. 6.
    """
    chosen_costs, rejected_costs = wide(chosen_costs), wide(rejected_costs)
    ranking = -F.logsigmoid(rejected_costs - chosen_costs)
    chosen_sign = -F.logsigmoid(torch.where(chosen_safe, -chosen_costs, chosen_costs))
    rejected_sign = -F.logsigmoid(torch.where(rejected_safe, -rejected_costs, rejected_costs))
    return ranking + chosen_sign + rejected_sign
