"""Losses on pairs that are compared across the batch: what a pair costs depends on the others.

Conventions of names and shapes are those of `pairwise`. Micro-batches do not add up to the whole
batch here, and a larger batch is another loss.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import checked
from .numerics import wide
from .registry import pairwise


@pairwise(paper="2406.05882", reference=True, batchwise=True, ranges={"beta": "(0, inf)"})
def aot(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.01,
) -> Tensor:
    """AOT (optimal transport), paired: the batch's margins are to exceed the reference's, as a set.

        margin = chosen_logps - rejected_logps
        ref_margin = ref_chosen_logps - ref_rejected_logps
        delta = margin - batch_matched(margin, ref_margin, ref_margin)
        L = -log(sigmoid(beta * delta))
        dL/dchosen_logps = -beta * sigmoid(-beta * delta)
        dL/drejected_logps = beta * sigmoid(-beta * delta)

    where batch_matched(x, y, z) gives to each x the z of the y of equal rank in the batch: the
    lowest margin is compared with the reference's lowest, whichever pairs they belong to.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat; 0.01 as in the paper's Figure 2 (TRL: 0.1).

    Returns: (batch,) loss, nats, a row's at the rank of its margin; log 2 where the policy is the
        reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens. Ranks are of the micro-batch, and have no gradient;
        margins that are tied share the mean of their counterparts. TRL's `loss_type="aot"`, which
        returns the rows sorted.
    Source: Melnyk et al. 2024, arXiv 2406.05882, section 3, paired, logistic loss and hard sorting.
    """
    margin = wide(chosen_logps) - wide(rejected_logps)
    ref_margin = wide(ref_chosen_logps) - wide(ref_rejected_logps)
    return -F.logsigmoid(beta * (margin - of_equal_rank(margin, ref_margin)))


@pairwise(paper="2406.05882", reference=True, batchwise=True, ranges={"beta": "(0, inf)"})
def aot_unpaired(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.01,
) -> Tensor:
    """AOT (optimal transport), unpaired: the good responses, as a set, are to exceed the bad ones.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        matched = batch_matched(chosen_logratios, rejected_logratios, rejected_logratios)
        wrong = sigmoid(-beta * (chosen_logratios - matched))
        L = -log(1 - wrong)
        dL/dchosen_logps = -beta * wrong
        dL/drejected_logps = beta * batch_matched(rejected_logratios, chosen_logratios, wrong)

    where batch_matched(x, y, z) gives to each x the z of the y of equal rank in the batch: the
    lowest of the good is compared with the lowest of the bad.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs of good and of bad responses under
            the policy, nats; a row's two need not answer the same prompt.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat; 0.01 as in the paper's Figure 2 (TRL: 0.1).

    Returns: (batch,) loss, nats, a row's at the rank of its chosen response; log 2 where the policy
        is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: log-probs are sums over tokens; as many good responses as bad. Ranks are of the
        micro-batch, and have no gradient; what is tied shares alike. TRL's
        `loss_type="aot_unpaired"`, once called "aot_pair", which returns the rows sorted.
    Source: Melnyk et al. 2024, arXiv 2406.05882, section 3, unpaired, logistic loss, hard sorting.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    matched = of_equal_rank(chosen_logratios, rejected_logratios)
    return -F.logsigmoid(beta * (chosen_logratios - matched))


def of_equal_rank(x: Tensor, y: Tensor) -> Tensor:
    """For each of x (batch,) the one of y of the same rank: the optimal transport on a line."""
    rank = x.argsort().argsort()
    by_rank = mean_of_tied(y, y)[y.argsort()]
    return mean_of_tied(by_rank[rank], x)


def mean_of_tied(values: Tensor, keys: Tensor) -> Tensor:
    """Each of values (batch,) replaced by the mean over those of equal key: no order among ties."""
    tied = keys[:, None] == keys[None, :]  # (batch, batch)
    return torch.where(tied, values, 0.0).sum(-1) / tied.sum(-1)


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
    """Relative RPO's weights: softmax over j of cos(chosen i's prompt, rejected j's prompt) / tau.

    Args:
        chosen_embeddings, rejected_embeddings: (batch, features) of the prompts; the same one twice
            if every prompt has both responses.
        tau: temperature; 0.5 as in the paper (0.25 for Llama-2-7B).

    Returns: (batch, batch) rows that sum to 1, without gradient.
    Raises: ValueError that names the tensor which does not fit the other, or tau.
    Conventions: the paper has the distance 1 - cos, with a minus before it; the 1 cancels.
    """
    chosen, rejected = wide(chosen_embeddings).detach(), wide(rejected_embeddings).detach()
    cosines = F.normalize(chosen, dim=-1) @ F.normalize(rejected, dim=-1).T  # (batch, batch)
    return (cosines / tau).softmax(-1)
