"""Losses on a pair of answers to a question about an image, where a spoilt image is a third case.

A model that answers from the text alone can win a text pair without looking. These losses ask it
to prefer the same answer with the image that shows it, too.
"""

import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import pairwise


@pairwise(paper="2406.11839", reference=True, ranges={"beta": "(0, inf)"})
def mdpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    corrupted_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    ref_corrupted_logps: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """mDPO: DPO over answers, DPO over images, and an anchor that keeps the chosen likely.

        chosen_rewards = beta * (chosen_logps - ref_chosen_logps)
        rejected_rewards = beta * (rejected_logps - ref_rejected_logps)
        corrupted_rewards = beta * (corrupted_logps - ref_corrupted_logps)
        answer = -log(sigmoid(chosen_rewards - rejected_rewards))
        image = -log(sigmoid(chosen_rewards - corrupted_rewards))
        anchor = -log(sigmoid(chosen_rewards))
        L = answer + image + anchor
        by_answer = beta * sigmoid(rejected_rewards - chosen_rewards)
        by_image = beta * sigmoid(corrupted_rewards - chosen_rewards)
        dL/dchosen_logps = -by_answer - by_image - beta * sigmoid(-chosen_rewards)
        dL/drejected_logps = by_answer
        dL/dcorrupted_logps = by_image

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs of the answers, nats.
        corrupted_logps: (batch,) of the chosen answer, given the corrupted image.
        ref_chosen_logps, ref_rejected_logps, ref_corrupted_logps: (batch,) the same under the
            reference.
        beta: strength of the KL constraint, per nat; 0.1 as in the paper.

    Returns: (batch,) loss, nats; 3 log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens; the three terms count alike. The paper crops the
        image to at most 20 % of it; the official code masks its tokens.
    Source: Wang et al. 2024, arXiv 2406.11839, and its official code.
    """
    chosen_rewards = beta * (wide(chosen_logps) - wide(ref_chosen_logps))
    rejected_rewards = beta * (wide(rejected_logps) - wide(ref_rejected_logps))
    corrupted_rewards = beta * (wide(corrupted_logps) - wide(ref_corrupted_logps))
    answer = -F.logsigmoid(chosen_rewards - rejected_rewards)
    image = -F.logsigmoid(chosen_rewards - corrupted_rewards)
    anchor = -F.logsigmoid(chosen_rewards)
    return answer + image + anchor


@pairwise(
    paper="2402.11411",
    reference=True,
    ranges={"alpha": "(0, inf)", "beta_text": "[0, inf)", "beta_image": "[0, inf)"},
)
def povid(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    noisy_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    ref_noisy_logps: Tensor,
    *,
    alpha: float = 0.1,
    beta_text: float = 0.1,
    beta_image: float = 0.1,
) -> Tensor:
    """POVID: one answer against two hallucinations, one written and one provoked by a noisy image.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        noisy_logratios = noisy_logps - ref_noisy_logps
        rejected = beta_text * rejected_logratios + beta_image * noisy_logratios
        margin = alpha * chosen_logratios - rejected
        L = -log(sigmoid(margin))
        dL/dchosen_logps = -alpha * sigmoid(-margin)
        dL/drejected_logps = beta_text * sigmoid(-margin)
        dL/dnoisy_logps = beta_image * sigmoid(-margin)

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs of the true answer and of one into
            which a hallucination was written, nats.
        noisy_logps: (batch,) of the answer that the policy gives itself to the noisy image.
        ref_chosen_logps, ref_rejected_logps, ref_noisy_logps: (batch,) the same under the
            reference.
        alpha: strength on the chosen side, per nat; 0.1 as for `dpo`.
        beta_text: strength on the written hallucination; 0.1 likewise (beta_1 in the paper).
        beta_image: strength on the provoked one; 0.1 likewise (beta_2), and 0 is `flex_dpo`.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. Survey 061 prints + for beta_image: a slip. The
        official code takes the mean of two `dpo` losses instead, one against each hallucination.
    Source: Zhou et al. 2024, arXiv 2402.11411, as restated by paper 061.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    noisy_logratios = wide(noisy_logps) - wide(ref_noisy_logps)
    rejected = beta_text * rejected_logratios + beta_image * noisy_logratios
    return -F.logsigmoid(alpha * chosen_logratios - rejected)
