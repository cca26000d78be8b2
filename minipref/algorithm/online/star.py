"""STaR: who fails is told the answer, explains it, and then has to know it without being told.

Zelikman et al. 2022, arXiv 2203.14465. Each round starts again from the base model, and trains by
`sft` on what this source gives: right responses, and for prompts that got none, right ones written
with a hint. The hint is taken out of the prompt that is trained on ("rationalisation").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ...data.batch import Batch
from ...model.policy import Policy
from ..sources import Sampled, sample


@dataclass
class Rationalised:
    """Right responses of the policy, written with a hint where it found none by itself.

    source  draws responses to prompts of its world
    right   (prompt, response) -> is it right?
    hint    prompt -> the same prompt with the answer given away, for the same world
    """

    source: Sampled
    right: Callable[[Any, str], bool]
    hint: Callable[[Any], Any]

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Batch:
        """The right rows, with columns["hinted"] (rows,) bool.

        Raises ValueError where there are none, not even with hints.
        """
        alone = self.source.batch(policy, step, rng)
        kept = [(group, False, x, y) for group, x, y in self._right(alone, alone.prompts)]
        solved = {group for group, *_ in kept}
        failed = {int(g): x for g, x in zip(alone.groups, alone.prompts, strict=True)}
        failed = {group: prompt for group, prompt in failed.items() if group not in solved}
        if failed:
            numbers, asked = list(failed), list(failed.values())
            told = [self.hint(prompt) for prompt in asked]
            each, index = self.source.per_prompt, torch.arange(len(told))
            again = sample(policy, self.source.world, told, index, each, rng)
            prompts = [prompt for prompt in asked for _ in range(each)]
            kept += [(numbers[i], True, x, y) for i, x, y in self._right(again, prompts)]
        if not kept:
            raise ValueError("none of the responses is right, with a hint or without; draw more")
        groups, hinted, right_prompts, responses = zip(*kept, strict=True)
        world = self.source.world
        found = Batch.of(world, list(right_prompts), list(responses), torch.tensor(groups))
        return found.with_columns(hinted=torch.tensor(hinted))

    def _right(self, batch: Batch, prompts: Any) -> list[tuple[int, Any, str]]:
        """(group, prompt, response) of the responses that are right for these prompts."""
        rows = zip(batch.groups.tolist(), prompts, batch.responses, strict=True)
        return [(group, x, y) for group, x, y in rows if self.right(x, y)]
