"""How likely a policy is to reason right, without sampling: all right solutions can be listed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..data.reason import Reason
from ..data.rows import Rows
from ..model.logprobs import sequence_logps
from ..model.policy import Policy

ROWS = 512


@torch.no_grad()
def solved(policy: Policy, world: Reason, prompts: list[Any]) -> Tensor:
    """P(a well-formed response that is right in every step), for every prompt: (prompts,) float64.

    Exact at temperature 1. Right answers behind wrong steps do not count.
    """
    listed = [world.solutions(prompt) for prompt in prompts]
    rows = Rows.of(
        [
            world.encode_prompt(prompt)
            for prompt, texts in zip(prompts, listed, strict=True)
            for _ in texts
        ],
        [world.encode_response(text) for texts in listed for text in texts],
    )
    parts = torch.arange(len(rows)).split(ROWS)
    logps = torch.cat([sequence_logps(policy, rows[part]) for part in parts]).double()
    return logps.exp().view(len(prompts), -1).sum(1)
