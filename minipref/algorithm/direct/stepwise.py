"""sDPO's schedule: pairs in chunks, and the last step's policy as the next step's reference."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from ...data.batch import Batch
from ...model.logprobs import sequence_logps
from ...model.policy import Policy

Model = TypeVar("Model", bound=nn.Module)
Chunk = TypeVar("Chunk")


def stepwise(
    start: Model, chunks: Iterable[Chunk], train: Callable[[Model, Model, Chunk], None]
) -> list[Model]:
    """M_0, M_1, ..., M_T: each is trained from the one before, and against it as the reference.

    Args:
        start: M_0; it stays as it is.
        chunks: the pairs in T parts, in the order in which they are read.
        train: (policy, reference, chunk): changes the policy in place. Both begin equal, and are
            copies. Reference log-probs that were stored for another step are stale here:
            `with_reference(chunk, reference)` computes them anew.

    Returns: T + 1 models, none sharing a weight with another or with `start`.
    Source: Kim et al. 2024, arXiv 2403.19270 (paper 046). With one chunk it is DPO. Trained to the
        end each time, T chunks of the same preferences give DPO's optimum at beta / T.
    """
    models = [copy.deepcopy(start)]
    for chunk in chunks:
        policy = copy.deepcopy(models[-1])
        train(policy, models[-1], chunk)
        models.append(policy)
    return models


@torch.no_grad()
def log_ratios(policy: Policy, pairs: Batch) -> Tensor:
    """gamma = log pi(chosen) - log pi(rejected), nats: (pairs,).

    Of a reference, this is the bar that DPO wants the policy to clear.
    """
    if pairs.pairs is None:
        raise ValueError("pairs: the batch has none; let an annotator label it first")
    chosen, rejected = sequence_logps(policy, pairs.rows)[pairs.pairs].T
    return chosen - rejected


def easy_first(gammas: Tensor, sources: Sequence[str]) -> Tensor:
    """The order (pairs,) that reads the sources by the base's accuracy on them, highest first.

    The unit is a whole data set, as in the paper. Sorting single pairs by gamma would put all pairs
    into the first chunks whose chosen response is the likelier one, and so the shorter one.

    Args:
        gammas: (pairs,) the base's `log_ratios`; it is right on a pair above 0, half right at 0.
        sources: the data set that each pair comes from. Equally easy ones stay in the order in
            which they appear, and so do the pairs of one source.
    """
    if gammas.shape != (len(sources),):
        raise ValueError(f"gammas: expected ({len(sources)},), got {tuple(gammas.shape)}")
    right = (gammas.double().sign() + 1) / 2
    names = list(dict.fromkeys(sources))
    index = torch.tensor([names.index(source) for source in sources], dtype=torch.int64)
    sums = torch.zeros(len(names), dtype=torch.float64).index_add(0, index, right)
    rank = (sums / index.bincount()).argsort(descending=True, stable=True).argsort()
    return rank[index].argsort(stable=True)
