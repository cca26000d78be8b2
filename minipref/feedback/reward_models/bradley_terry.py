"""The classic reward model: a language model that has read the pair, and one number at its end.

    model = train(pairs, load_base("chat-nano"), width=32, steps=300)
    labelled = Learnt(model).label(batch, rng)

Its scores are log-odds of being preferred: only differences between responses to the same prompt
mean anything. On `chat` it is a mediocre judge: 8000 pairs teach it the order of 65 % of fresh
ones, where knowing the true reward would give 82 %. Manners are learnt at once, facts hardly.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ...data.batch import Batch
from ...data.streams import stream
from ...data.work import count
from ...losses import bradley_terry
from ...model.fit import Metrics, Probe, State, fit
from ...model.heads import RewardModel
from ...model.policy import Policy

ROWS = 512


def train(
    pairs: Batch,
    trunk: Policy,
    *,
    width: int,
    steps: int = 300,
    batch_size: int = 64,
    learning_rate: float = 5e-3,
    seed: int = 0,
    probes: tuple[Probe, ...] = (),
    checkpoint: str | Path | None = None,
    progress: str | None = None,
) -> RewardModel:
    """Fit a reward model to labelled pairs by Bradley and Terry's loss.

    Args:
        pairs: a batch with `pairs`, chosen before rejected.
        trunk: the policy whose copy is read from, and trained along.
        width: of the trunk's hidden states.
        steps, batch_size, learning_rate: Adam, the rate falling linearly to nothing.
        seed: names the random streams: with another seed, members of an ensemble differ.
        probes, checkpoint, progress: see `fit`.

    Raises: ValueError where the batch has no pairs, or fewer than `batch_size`.
    """
    if pairs.pairs is None or len(pairs.pairs) < batch_size:
        found = 0 if pairs.pairs is None else len(pairs.pairs)
        raise ValueError(f"pairs: expected at least batch_size = {batch_size} of them, got {found}")
    model = RewardModel(copy.deepcopy(trunk), width)
    noise = torch.randn(width, generator=stream(seed, "reward model/head")) / width**0.5
    model.head.weight.data[0] = 0.1 * noise
    optimizer = torch.optim.Adam(model.parameters(), learning_rate, fused=True)

    def update(state: State) -> Metrics:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 - state.step / steps)
        assert pairs.pairs is not None
        index = torch.randint(len(pairs.pairs), (batch_size,), generator=state.stream("batches"))
        rows = pairs.take_pairs(index).rows
        count(trained=int(rows.attention_mask.sum()))
        chosen, rejected = model(rows).chunk(2)
        loss = bradley_terry(chosen, rejected).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return {"loss": loss.item(), "accuracy": float((chosen > rejected).float().mean())}

    state = State(seed, {"model": model, "optimizer": optimizer})
    fit(state, update, steps, probes=probes, checkpoint=checkpoint, progress=progress)
    return model


@torch.no_grad()
def scores(model: RewardModel, batch: Batch) -> Tensor:
    """The model's score of every row: (rows,)."""
    count(queries=len(batch))
    return torch.cat([model(batch.rows[part]) for part in torch.arange(len(batch)).split(ROWS)])


def accuracy(model: RewardModel, pairs: Batch) -> float:
    """How often the chosen response scores higher, a tie counted half."""
    if pairs.pairs is None:
        raise ValueError("pairs: the batch has none; let an annotator label it first")
    chosen, rejected = scores(model, pairs)[pairs.pairs].T
    return float(((chosen > rejected).float() + 0.5 * (chosen == rejected).float()).mean())


@dataclass(frozen=True)
class Learnt:
    """Feedback from a reward model: its scores as columns["rewards"], as `Rewards` gives them."""

    model: RewardModel

    def label(self, batch: Batch, rng: torch.Generator) -> Batch:
        return batch.with_columns(rewards=scores(self.model, batch))
