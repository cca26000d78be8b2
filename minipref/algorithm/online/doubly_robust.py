"""DRPO: stored pairs and the policy's own samples in one step (Xu et al. 2025, arXiv 2506.01183).

The samples earn what a judge says of them, the pairs correct him where their labels disagree. A
source draws, a feedback asks the judge, an objective puts the two together; the loss is `drpo`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...data.batch import Batch
from ...data.rows import Rows
from ...data.world import World
from ...losses import drpo
from ...model.fit import Metrics
from ...model.kl import token_kl
from ...model.logprobs import sequence_logps
from ...model.policy import Policy
from ..objective import Frozen
from ..sources import Stored, sample

BASELINE = 0.5  # of the samples' win rates, as in the official code: less noise, the same mean


@dataclass
class WithSamples:
    """The pairs of `source`, and behind them `per_pair` responses of the policy to each prompt.

    columns["sampled"] (rows,) bool says which rows those are: pair by pair, in the pairs' order.
    """

    source: Stored
    world: World
    per_pair: int = 2

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Batch:
        stored = self.source.batch(policy, step, rng)
        if stored.pairs is None:
            raise ValueError("source: expected labelled pairs; let an annotator label them first")
        asked = [stored.prompts[row] for row in stored.pairs[:, 0].tolist()]
        index = torch.arange(len(asked))
        drawn = sample(policy, self.world, asked, index, self.per_pair, rng)
        (before, said), (again, new) = stored.rows.split(), drawn.rows.split()
        groups = stored.groups[stored.pairs[:, 0]].repeat_interleave(self.per_pair)
        columns = {
            name: torch.cat([column, column.new_zeros(len(drawn), *column.shape[1:])])
            for name, column in stored.columns.items()
        }
        rows = Rows.of(before + again, said + new)
        return Batch(
            stored.prompts + drawn.prompts,
            stored.responses + drawn.responses,
            rows,
            torch.cat([stored.groups, groups]),
            columns | {"sampled": torch.arange(len(rows)) >= len(stored)},
            stored.pairs,
        )


@dataclass(frozen=True)
class JudgedPairs:
    """Bradley-Terry's judge of every pair and of every sample against both of its responses.

    `scores` is a feedback that gives columns["rewards"], in log-odds: `Learnt(reward_model)`, or
    `Rewards(lambda prompt, response: 0.0)` for one who cannot tell anything apart.
    """

    scores: Any

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The batch with columns["probabilities"] (rows,).

        Of a pair's two rows: that the chosen beats the rejected. Of a sample: that it beats a
        response of its pair, mean over the two.
        """
        pairs, samples = parts(batch)
        scores = self.scores.label(batch, rng).columns["rewards"]
        pair = scores[pairs]  # (pairs, 2)
        beats = (scores[samples][:, :, None] - pair[:, None]).sigmoid().mean(2)  # (pairs, samples)
        chosen = (pair[:, 0] - pair[:, 1]).sigmoid()
        probabilities = torch.zeros(len(batch), dtype=scores.dtype)
        probabilities[pairs] = chosen[:, None].expand(-1, 2)
        probabilities[samples] = beats
        return batch.with_columns(probabilities=probabilities)


class DoublyRobust:
    """`drpo` of what WithSamples drew and JudgedPairs said.

    Args:
        reference: who is taken to have written the pairs; the KL is measured from it too.
        beta, clip: see `drpo`.
        loss: `drpo`, or what somebody has made of it.
    """

    def __init__(
        self,
        reference: Policy,
        *,
        beta: float = 0.04,
        clip: float = 2.5,
        loss: Callable[..., Tensor] = drpo,
    ):
        self.reference = Frozen(reference)
        self.beta, self.clip, self.loss = beta, clip, loss

    def __call__(self, policy: Policy, batch: Batch) -> tuple[Tensor, Metrics]:
        pairs, samples = parts(batch)
        logps = sequence_logps(policy, batch.rows)
        with torch.no_grad():
            ref_logps = sequence_logps(self.reference, batch.rows[pairs.flatten()])
        ref_chosen, ref_rejected = ref_logps.view(-1, 2).T
        kl = token_kl(policy, self.reference, batch.rows[samples.flatten()]).sum(1)
        said = batch.columns["probabilities"]
        losses = self.loss(
            chosen_logps=logps[pairs[:, 0]],
            rejected_logps=logps[pairs[:, 1]],
            sampled_logps=logps[samples],
            ref_chosen_logps=ref_chosen,
            ref_rejected_logps=ref_rejected,
            probabilities=said[pairs[:, 0]],
            sampled_probabilities=said[samples],
            sampled_kl=kl.view_as(samples),
            beta=self.beta,
            clip=self.clip,
        )
        losses = losses + BASELINE * logps[samples].mean(1)
        return losses.mean(), {
            "kl": float(kl.detach().mean()),
            "judge/samples": float(said[samples].mean()),
            "judge/accuracy": float((said[pairs[:, 0]] > 0.5).float().mean()),
        }


def parts(batch: Batch) -> tuple[Tensor, Tensor]:
    """Row numbers of the pairs (pairs, 2) and of their samples (pairs, samples).

    Raises ValueError where the batch does not hold both.
    """
    if batch.pairs is None or "sampled" not in batch.columns:
        raise ValueError("batch: expected pairs and columns['sampled']; draw it from WithSamples")
    samples = torch.nonzero(batch.columns["sampled"]).flatten()
    return batch.pairs, samples.view(len(batch.pairs), -1)
