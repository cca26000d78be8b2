"""How often a score puts the preferred response first: on pairs, rankings and points."""

from __future__ import annotations

import torch
from torch import Tensor

from ...algorithm.objective import Quantities
from ...data.batch import Batch
from ...losses.registry import Entry
from ...model.policy import Policy
from ..estimate import Estimate

ROWS = 64  # read side by side


def scored_by(entry: Entry) -> str:
    """What a policy trained with this loss ranks responses by.

    The implicit reward, log pi(y|x) - log pi_ref(y|x), where the loss has a reference, otherwise
    the log-prob; a mean over tokens where the loss takes means. A positive factor such as beta
    changes no order.
    """
    name = "implicit reward" if entry.reference else "log-prob"
    return f"{name} a token" if entry.logps == "mean" else name


@torch.no_grad()
def scores(
    batch: Batch, policy: Policy, reference: Policy | None = None, *, mean: bool = False
) -> Tensor:
    """The log-prob of every row, less the reference's if there is one: (rows,), nats.

    mean: a token, otherwise summed over the response.
    """
    name = "mean_logps" if mean else "logps"
    found = []
    for index in torch.arange(len(batch)).split(ROWS):
        known = Quantities(policy, reference, batch.take(index))
        score = known.row(name)
        found.append(score if reference is None else score - known.row(f"ref_{name}"))
    return torch.cat(found)


def wins(batch: Batch, scores: Tensor) -> Tensor:
    """1 where the preferred response has the higher score, 0 where the other has, 1/2 for a tie.

    Args:
        scores: (rows,), of any scale: only their order counts.

    Returns: of pairs and rankings the mean over a record's pairs, (records,); of points every
        desirable one beside every other one, (desirable, others).
    """
    lists = batch.pairs if batch.pairs is not None else batch.rankings
    if lists is None:
        desirable = batch.columns["desirable"].bool()
        gaps = scores[desirable][:, None] - scores[~desirable]
        return (gaps.sign().double() + 1) / 2
    ranked = scores[lists]  # (records, k), best first
    i, j = torch.triu_indices(lists.shape[1], lists.shape[1], offset=1)
    return ((ranked[:, i] - ranked[:, j]).sign().double() + 1).mean(1) / 2


def mean_win(batch: Batch, wins: Tensor, *, by_prompt: bool = True) -> Estimate:
    """The mean of wins, or of differences of two scores' wins, with its standard error.

    Of points it is the area under the ROC curve, and the error that of a mean over two samples.

    Args:
        by_prompt: responses to one prompt resemble each other, so prompts are what is independent;
            False where there are few prompts, and records are.

    Source: DeLong, DeLong and Clarke-Pearson 1988, for points.
    """
    lists = batch.pairs if batch.pairs is not None else batch.rankings
    if lists is None:
        parts = [wins.mean(1), wins.mean(0)]  # how each desirable fares, how each other one
        variance = sum(float(part.var()) / len(part) for part in parts if len(part) > 1)
        return Estimate(float(wins.mean()), variance**0.5)
    texts = [batch.prompts[row].text for row in lists[:, 0].tolist()]
    number = {text: n for n, text in enumerate(dict.fromkeys(texts))}
    groups = torch.tensor([number[text] for text in texts])
    return Estimate.mean(wins, groups if by_prompt and len(number) > 1 else None)


def by_length(batch: Batch) -> Tensor:
    """What a rule would score that takes the longer text: its bytes, uncut, (rows,)."""
    return torch.tensor([float(len(text.encode())) for text in batch.responses])
