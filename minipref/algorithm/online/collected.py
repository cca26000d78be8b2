"""Offline PPO: responses, rewards and log-probs that another policy has left behind.

Online, `Replay` collects them anew every few steps; offline they were collected once. The loss is
`ppo_clip` both times, and its clip keeps the policy near whoever collected.
"""

from __future__ import annotations

import torch

from ...data.batch import Batch
from ...losses.advantages import group_advantages
from ...model.logprobs import token_logps
from ...model.policy import Policy


def collected(data: Batch, collector: Policy, batch_size: int = 256) -> Batch:
    """`data` with what PPO needs to know of every response, whatever batch it ends up in.

    Adds columns["old_token_logps"] (rows, length), nats, under the policy that collected, and
    columns["advantages"] (rows,): better than the other stored responses to the prompt, in their
    deviations. The mean reward of the stored responses stands for the critic's value.

    Raises ValueError without columns["rewards"].
    """
    if "rewards" not in data.columns:
        raise ValueError("data: expected columns['rewards']; let Rewards(world.reward) label it")
    parts = torch.arange(len(data)).split(batch_size)
    old = torch.zeros(data.rows.ids.shape)
    with torch.no_grad():
        for part in parts:
            rows = data.rows[part]
            old[part, : rows.ids.shape[1]] = token_logps(collector, rows)
    advantages = group_advantages(data.columns["rewards"], data.groups)
    return data.with_columns(old_token_logps=old, advantages=advantages)
