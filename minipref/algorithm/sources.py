"""Where the responses of a step come from: a stored data set, the policy itself, or a replay.

A source is anything with `batch(policy, step, rng) -> Batch`. Whether a run is offline or online
is decided here and nowhere else: no loss and no feedback knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.rows import Rows
from ..data.streams import stream
from ..data.world import World
from ..model.generate import generate
from ..model.logprobs import sequence_logps, token_logps
from ..model.policy import Policy

ROWS = 512  # sampled side by side: more do not fit a laptop's fast memory


class Source(Protocol):
    """Of a policy and `Batch`es of text, or of whatever else objective and step work with."""

    def batch(self, policy: Any, step: int, rng: torch.Generator) -> Any: ...


@dataclass
class Stored:
    """Offline: a data set in shuffled epochs; its pairs, else its rankings, else its rows.

    The order of an epoch depends on the stream's seed and the epoch's number alone, so that a
    resumed run needs no memory of where it was. Units of similar length stand in one batch
    (`bucket`, a number of batches to sort among), which saves padding where lengths differ.
    """

    data: Batch
    batch_size: int = 32
    bucket: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= len(self):
            raise ValueError(f"batch_size: expected 1 to {len(self)}, got {self.batch_size}")
        self._epoch: tuple[tuple[int, int], Tensor] | None = None

    def __len__(self) -> int:
        """Number of units: pairs, rankings or rows."""
        return len(self._units())

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Batch:
        epoch, position = divmod(step, len(self) // self.batch_size)  # a ragged last batch is left
        index = self._order(rng.initial_seed(), epoch)[position]
        if self.data.pairs is not None:
            return self.data.take_pairs(index)
        if self.data.rankings is not None:
            return self.data.take_rankings(index)
        return self.data.take(index)

    def _units(self) -> Tensor:
        """Row numbers of every unit (units, rows of a unit)."""
        if self.data.pairs is not None:
            return self.data.pairs
        if self.data.rankings is not None:
            return self.data.rankings
        return torch.arange(len(self.data))[:, None]

    def _order(self, seed: int, epoch: int) -> Tensor:
        """The units of every batch of an epoch (batches, batch_size)."""
        if self._epoch is None or self._epoch[0] != (seed, epoch):
            rng = stream(seed, f"epoch {epoch}")
            order = torch.randperm(len(self), generator=rng)
            lengths = self.data.rows.attention_mask.sum(1)[self._units()].amax(1)  # (units,)
            window = self.bucket * self.batch_size
            order = torch.cat(
                [part[torch.argsort(lengths[part], stable=True)] for part in order.split(window)]
            )
            batches = order[: len(self) // self.batch_size * self.batch_size]
            batches = batches.view(-1, self.batch_size)
            batches = batches[torch.randperm(len(batches), generator=rng)]
            self._epoch = ((seed, epoch), batches)
        return self._epoch[1]


@dataclass
class Sampled:
    """Online: `per_prompt` responses of the current policy to `batch_size` prompts of a world."""

    world: World
    prompts: list[Any]
    batch_size: int = 16
    per_prompt: int = 2
    temperature: float = 1.0

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Batch:
        index = torch.randint(len(self.prompts), (self.batch_size,), generator=rng)
        return sample(
            policy, self.world, self.prompts, index, self.per_prompt, rng, self.temperature
        )


def sample(
    policy: Policy,
    world: World,
    prompts: list[Any],
    index: Tensor,
    per_prompt: int,
    rng: torch.Generator,
    temperature: float = 1.0,
) -> Batch:
    """Draw `per_prompt` responses of `policy` to the prompts of that index, group by group."""
    index = index.repeat_interleave(per_prompt)
    asked = [prompts[i] for i in index.tolist()]
    prompt_ids = [world.encode_prompt(prompt) for prompt in asked]
    response_ids = []
    for start in range(0, len(prompt_ids), ROWS):
        response_ids += generate(
            policy,
            prompt_ids[start : start + ROWS],
            max_new_tokens=world.max_new_tokens,
            generator=rng,
            temperature=temperature,
        )
    texts = tuple(world.decode_response(ids) for ids in response_ids)
    groups = torch.arange(len(index)) // per_prompt
    rows = Rows.of(prompt_ids, response_ids)
    return Batch(tuple(asked), texts, rows, groups, {"prompt_index": index})


class Asking(Protocol):
    """A source that asks the policy some of its prompts: columns["prompt_index"] says which."""

    @property
    def prompts(self) -> list[Any]: ...

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Batch: ...


@dataclass
class Replay:
    """A batch of `source`, labelled by `feedback`, kept for several passes of minibatches.

    What the policy thought when it was collected stays with it (`old_token_logps`): this is what
    makes PPO out of a policy-gradient loss.
    """

    source: Asking
    feedback: Any
    passes: int = 4
    minibatches: int = 1

    def __post_init__(self) -> None:
        self._held: Batch | None = None

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Batch:
        part = step % (self.passes * self.minibatches)
        if part == 0:
            collected = self.feedback.label(self.source.batch(policy, step, rng), rng)
            if "old_token_logps" not in collected.columns:
                with torch.no_grad():
                    old = token_logps(policy, collected.rows)  # (rows, length)
                collected = collected.with_columns(old_token_logps=old)
            self._held = collected
        assert self._held is not None
        groups = self._held.by_group()  # (groups, per_prompt)
        if part % self.minibatches == 0:
            self._order = torch.randperm(len(groups), generator=rng)
        chosen = self._order.chunk(self.minibatches)[part % self.minibatches]
        return self._held.take(groups[chosen].flatten())

    def state_dict(self) -> dict[str, Any]:
        """The held batch; prompts as their index among the source's prompts."""
        if self._held is None:
            return {}
        held = self._held
        rows = [held.rows.ids, held.rows.attention_mask, held.rows.completion_mask]
        return {
            "rows": rows,
            "responses": list(held.responses),
            "groups": held.groups,
            "columns": held.columns,
            "order": self._order,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self._held = None
        if saved:
            index = saved["columns"]["prompt_index"].tolist()
            prompts = tuple(self.source.prompts[i] for i in index)
            rows = Rows(*saved["rows"])
            responses = tuple(saved["responses"])
            self._held = Batch(prompts, responses, rows, saved["groups"], saved["columns"])
            self._order = saved["order"]


def with_reference(data: Batch, reference: Policy, batch_size: int = 256) -> Batch:
    """Add the reference's log-probs once, so that no step has to ask it again."""
    parts = torch.arange(len(data)).split(batch_size)
    with torch.no_grad():
        ref_logps = torch.cat([sequence_logps(reference, data.rows[part]) for part in parts])
    labelled = data.with_columns(ref_logps=ref_logps)
    return replace(labelled, pairs=data.pairs, rankings=data.rankings)
