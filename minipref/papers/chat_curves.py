"""What policies of a row on `chat` earn against KL, answer by answer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..data.corpora import CHAT
from ..evaluation.responses import rewards
from ..model.policy import Policy
from .chat_pairs import ChatPairs, answers, divergence


def reward_curve(made: ChatPairs, policies: Sequence[Policy]) -> list[tuple[float, Tensor]]:
    """KL and the reward of every answer (prompts,), of the base and of every policy.

    `evaluation/mixture.py` reads between two of them; of means alone, `frontier` does.
    """
    curve = [(0.0, rewards(CHAT, made.own))]
    for policy in policies:
        own = answers(made, policy)
        curve.append((divergence(made, policy, own).value, rewards(CHAT, own)))
    return curve
