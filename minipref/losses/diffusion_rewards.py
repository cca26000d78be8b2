"""Losses that raise a reward of the images which a denoiser makes.

A denoising step is an action, and its log-prob that of the next state: (batch, length) over the
steps, all of which count. DDPO is `ppo_clip` or `rloo` on them, D3PO `dpo` on single steps.
"""

import torch
from torch import Tensor

from .numerics import wide
from .registry import diffusion

STEPS = "batch length"


@diffusion(
    paper="2305.16381",
    logps="token",
    on_policy=True,
    shapes={"logps": STEPS, "drift": STEPS},
    ranges={"reward_weight": "[0, inf)", "kl_weight": "[0, inf)"},
)
def dpok(
    logps: Tensor,
    rewards: Tensor,
    drift: Tensor,
    *,
    reward_weight: float = 10.0,
    kl_weight: float = 0.01,
) -> Tensor:
    """DPOK: a policy gradient over the denoising steps, each kept near the pre-trained one.

        L = -reward_weight * rewards * sum(logps) + kl_weight * sum(drift)
        dL/dlogps = -reward_weight * rewards
        dL/ddrift = kl_weight

    Args:
        logps: (batch, length) log-probs of the denoising steps that the model took, nats.
        rewards: (batch,) of the images that came out; held constant.
        drift: (batch, length) KL(model || pre-trained) of each step, or what it is a multiple of,
            the squared difference of the predicted noises.
        reward_weight: alpha of the paper; 10 as for a single prompt in the official code's README,
            which has 1000 for many.
        kl_weight: beta of the paper; 0.01 as there for a single prompt, 0.1 for many.

    Returns: (batch,) loss; its value means nothing, its gradient does.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over the steps. The gradient flows through the drift, not through the reward.
        The official code takes a learnt baseline off the rewards, and has the step's ratio to the
        sampler, clamped to 1 +- 1e-4, for its log-prob: the same gradient on fresh samples. Its
        log-probs are means over elements (`step_logps`).
    Source: Fan et al. 2023, arXiv 2305.16381, Algorithm 1 and the official code.
    """
    rewards = wide(rewards).detach()
    return -reward_weight * rewards * wide(logps).sum(-1) + kl_weight * wide(drift).sum(-1)


@diffusion(
    paper="2405.14632",
    logps="token",
    on_policy=True,
    shapes={"logps": STEPS, "errors": STEPS},
    ranges={"alpha": "[0, inf)", "beta": "[0, inf)"},
)
def dlpo(
    logps: Tensor, rewards: Tensor, errors: Tensor, *, alpha: float = 1.0, beta: float = 1.0
) -> Tensor:
    """DLPO (loss-guided): each step's reward less its denoising error, which stands for the KL.

        gains = alpha * rewards - beta * errors
        L = -sum(gains * logps)
        dL/dlogps = -gains

    Args:
        logps: (batch, length) log-probs of the denoising steps that the model took, nats.
        rewards: (batch,) of what came out; held constant.
        errors: (batch, length) mean squared error of the noise predicted at each step; held
            constant.
        alpha, beta: weights of reward and error; 1 here.

    Returns: (batch,) loss; its value means nothing, its gradient does.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over the steps. The error is part of the reward, so that no gradient flows
        through it. Paper 061 prints a minus before both terms; as a loss that would reward errors.
    Source: Chen et al. 2024, arXiv 2405.14632; Eqs. 33 and 34 of paper 061; the paper's weights not
        checked.
    """
    gains = alpha * wide(rewards)[:, None] - beta * wide(errors)
    return -(gains.detach() * wide(logps)).sum(-1)


@diffusion(
    paper="2402.08714",
    reference=True,
    logps="token",
    on_policy=True,
    shapes=dict.fromkeys(
        (
            "chosen_logps",
            "rejected_logps",
            "ref_chosen_logps",
            "ref_rejected_logps",
            "old_chosen_logps",
            "old_rejected_logps",
        ),
        STEPS,
    ),
    ranges={"beta": "(0, inf)", "clip": "(0, inf)"},
)
def prdp(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    old_chosen_logps: Tensor,
    old_rejected_logps: Tensor,
    chosen_scores: Tensor,
    rejected_scores: Tensor,
    *,
    beta: float = 1.0,
    clip: float = 0.1,
) -> Tensor:
    """PRDP: the log-ratios predict by how much one image's reward exceeds the other's.

        chosen_move = clamp(chosen_logps - old_chosen_logps, -clip, clip)
        rejected_move = clamp(rejected_logps - old_rejected_logps, -clip, clip)
        chosen_near = old_chosen_logps + chosen_move
        rejected_near = old_rejected_logps + rejected_move
        gap = (chosen_scores - rejected_scores) / beta + sum(ref_chosen_logps - ref_rejected_logps)
        excess = sum(chosen_logps - rejected_logps) - gap
        clipped = sum(chosen_near - rejected_near) - gap
        free = excess ** 2 >= clipped ** 2
        L = where(free, excess ** 2, clipped ** 2)
        chosen_inside = abs(chosen_logps - old_chosen_logps) <= clip
        rejected_inside = abs(rejected_logps - old_rejected_logps) <= clip
        dL/dchosen_logps = 2 * where(free, excess, clipped * chosen_inside)
        dL/drejected_logps = -2 * where(free, excess, clipped * rejected_inside)

    At 0 the model is optimal for the reward under the KL constraint. What moves a step further than
    clip towards that is not paid.

    Args:
        chosen_logps, rejected_logps: (batch, length) log-probs of the denoising steps of two images
            for one prompt, nats; which is called chosen does not matter.
        ref_chosen_logps, ref_rejected_logps: (batch, length) the same under the reference.
        old_chosen_logps, old_rejected_logps: (batch, length) the same when they were sampled; held
            constant.
        chosen_scores, rejected_scores: (batch,) rewards of the two images.
        beta: strength of the KL constraint, in the reward's unit per nat; 1 here: it depends on
            the reward's scale.
        clip: how far a step's log-prob may move, nats; 0.1 here. Log-probs that are averaged over
            elements want far less, such as DDPO's 1e-4.

    Returns: (batch,) loss, nats squared; 0 where the gap is predicted.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: sums over the steps, each clipped on its own. Without the clip it is `ipo` with a
        real gap in place of 1 / (2 tau). The larger of the two losses counts; a tie is unclipped.
    Source: Deng et al. 2024, arXiv 2402.08714; Eq. 32 of paper 061; the form of the clip from
        memory, the paper's numbers not checked.
    """
    chosen, rejected = wide(chosen_logps), wide(rejected_logps)
    old_chosen, old_rejected = wide(old_chosen_logps).detach(), wide(old_rejected_logps).detach()
    chosen_near = old_chosen + (chosen - old_chosen).clamp(-clip, clip)
    rejected_near = old_rejected + (rejected - old_rejected).clamp(-clip, clip)
    gap = (wide(chosen_scores) - wide(rejected_scores)) / beta
    gap = gap + (wide(ref_chosen_logps) - wide(ref_rejected_logps)).sum(-1)
    excess = (chosen - rejected).sum(-1) - gap
    clipped = (chosen_near - rejected_near).sum(-1) - gap
    free = excess.square() >= clipped.square()
    return torch.where(free, excess.square(), clipped.square())


@diffusion(paper="2303.09618", logps="none", ranges={"beta": "(0, inf)"})
def hive(errors: Tensor, scores: Tensor, *, beta: float = 1.0) -> Tensor:
    """HIVE: denoising, where an image counts by the exponential of its reward.

        weight = exp(clamp(scores / beta, max=20))
        L = weight * errors
        dL/derrors = weight

    Args:
        errors: (batch,) mean squared error of the predicted noise.
        scores: (batch,) rewards of the images.
        beta: strength of the KL constraint, in the reward's unit; 1 here. For beta to infinity all
            images count alike.

    Returns: (batch,) loss, in the errors' unit.
    Raises: ValueError that names the tensor which does not fit the other, or beta.
    Conventions: the optimum of a KL-constrained reward, reached by imitation (reward-weighted
        regression, `rwr`). An exponent above 20 counts as 20; centre the rewards first. The paper's
        other variant, the reward as a word in the prompt, is plain denoising.
    Source: Zhang et al. 2023, arXiv 2303.09618, the weighted loss; Eq. 36 of paper 061; the
        official code, which reads the weights from its data.
    """
    weight = (wide(scores) / beta).clamp(max=20.0).exp()
    return weight * wide(errors)


@diffusion(paper="2304.05977", logps="none", ranges={"lambda_": "[0, inf)", "target": "[0, inf)"})
def refl(rewards: Tensor, errors: Tensor, *, lambda_: float = 1e-3, target: float = 2.0) -> Tensor:
    """ReFL: denoising, and a differentiable reward that is raised until it reaches a target.

        L = errors + lambda_ * max(0, target - rewards)
        dL/drewards = -lambda_ * (rewards < target)
        dL/derrors = 1

    Args:
        rewards: (batch,) of images that were denoised in one go from a late step; the gradient
            flows through them into the denoiser.
        errors: (batch,) mean squared error of the predicted noise on the pre-training data.
        lambda_: weight of the reward; 1e-3 as in the paper.
        target: the reward that is enough; 2 as in the official code, for ImageReward.

    Returns: (batch,) loss, in the errors' unit.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: the paper's phi, which maps a reward to a loss, is the official code's
        `relu(2 - reward)`; printed as ReLU of the reward itself it would lower the reward. The
        paper takes the two terms in turns. DRaFT and AlignProp differ in the steps they go back
        through, and minimise minus the reward.
    Source: Xu et al. 2023, arXiv 2304.05977, Algorithm 1, and the official code (ImageReward).
    """
    return wide(errors) + lambda_ * torch.relu(target - wide(rewards))
