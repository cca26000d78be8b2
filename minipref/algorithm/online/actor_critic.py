"""PPO as RLHF has it: every token is an action, and a critic says what was to be expected.

    critic = ValueHead(copy.deepcopy(policy), width)
    asked = Assessed(Sampled(CHAT, prompts), Rewards(CHAT.reward), critic, Frozen(policy))
    source, objective = Replay(asked, AsStored()), ActorCritic(critic)
    warm_up(policy, source, objective, 60)
    step = GradientStep(nn.ModuleList([policy, critic]), 1e-3)
    align(policy, source, AsStored(), objective, steps, step=step)

Where responses are collected the critic assesses them too, so that advantages stay what they were
for all passes over them; the objective then trains policy and critic side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...data.batch import Batch
from ...data.rows import Rows
from ...losses import value_clip
from ...losses.advantages import gae, token_rewards, whiten
from ...model.fit import Metrics
from ...model.heads import ValueHead
from ...model.logprobs import token_logps
from ...model.policy import Policy
from ..align import AsStored, GradientStep, align
from ..objective import Objective, Quantities
from ..sources import Asking, Source


def expected(critic: ValueHead, rows: Rows) -> Tensor:
    """What the critic expects before each token of a response: (rows, length), elsewhere 0.

    The critic is read after a token, so that its values move up by one.
    """
    values = critic(rows)  # (rows, length)
    before = torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], 1)
    return before.where(rows.completion_mask, 0.0)


@dataclass
class Assessed:
    """The rows of `source` with what each token earned beyond what the critic expected just then.

    source          draws responses
    feedback        gives columns["rewards"], of whole responses
    critic          trained elsewhere, by `ActorCritic`
    reference       frozen; the KL is taken from it
    kl              price of a nat, paid token by token; 0.05 as in TRL
    gamma, lambda_  see `losses.advantages.gae`
    whitened        advantages of mean 0 and variance 1 over the batch's tokens
    """

    source: Asking
    feedback: Any
    critic: ValueHead
    reference: Policy
    kl: float = 0.05
    gamma: float = 1.0
    lambda_: float = 0.95
    whitened: bool = True

    @property
    def prompts(self) -> list[Any]:
        return self.source.prompts

    def batch(self, policy: Policy, step: int, rng: torch.Generator) -> Batch:
        """With columns token_advantages, returns, old_values, old_token_logps (rows, length).

        columns["ref_logps"] (rows,) is there too, so that the objective can report the KL.
        """
        drawn = self.feedback.label(self.source.batch(policy, step, rng), rng)
        rows, mask = drawn.rows, drawn.rows.completion_mask
        with torch.no_grad():
            logps, ref_logps = token_logps(policy, rows), token_logps(self.reference, rows)
            values = expected(self.critic, rows)  # (rows, length)
        earned = token_rewards(drawn.columns["rewards"], logps, ref_logps, mask, kl=self.kl)
        advantages, returns = gae(earned, values, mask, gamma=self.gamma, lambda_=self.lambda_)
        return drawn.with_columns(
            token_advantages=whiten(advantages, mask) if self.whitened else advantages,
            returns=returns,
            old_values=values,
            old_token_logps=logps,
            ref_logps=ref_logps.sum(1),
        )


class ActorCritic:
    """The objective of PPO: its clipped policy gradient, and the critic's clipped errors.

    Args:
        critic: whose parameters have to be in the step's hands beside the policy's.
        clip: of the ratio of probabilities, 0.2 as in the paper.
        value_clip: how far a value may move in the passes over a batch, in the reward's unit; 0.2
            as in TRL, for rewards of about one.
        weight: of the critic's loss; 0.1 as in TRL, which matters where the two share a trunk.
    """

    def __init__(
        self, critic: ValueHead, *, clip: float = 0.2, value_clip: float = 0.2, weight: float = 0.1
    ):
        self.critic, self.value_clip, self.weight = critic, value_clip, weight
        self.actor = Objective.of("ppo_clip", clip=clip)

    def __call__(self, policy: Policy, batch: Batch) -> tuple[Tensor, Metrics]:
        loss, metrics = self.actor(policy, batch)
        known = Quantities(policy, None, batch)
        errors = value_clip(
            expected(self.critic, batch.rows),  # (rows, length)
            known.row("old_values"),
            known.row("returns"),
            known.row("mask"),
            clip=self.value_clip,
        ).mean()
        return loss + self.weight * errors, metrics | {"loss/value": float(errors.detach())}

    def state_dict(self) -> dict[str, Any]:
        return dict(self.critic.state_dict())

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.critic.load_state_dict(saved)


def warm_up(
    policy: Any,
    source: Source,
    objective: ActorCritic,
    steps: int,
    *,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> None:
    """Train the critic alone, on what the policy does before it learns.

    A critic that begins at zero takes every token near the end for a cause of the reward: the first
    steps then teach the policy to be brief. What is spent here is paid back there.
    """
    step = GradientStep(objective.critic, learning_rate, steps)
    align(policy, source, AsStored(), objective, steps, seed=seed, step=step)
    policy.zero_grad(set_to_none=True)
