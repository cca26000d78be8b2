"""Row 036 in its three places: worlds without and with resemblance, and a pool of `chat`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...evaluation.estimate import Estimate
from ..chat_pairs import ChatPairs
from ..paper import Arm
from . import active_on_bandit as bandit
from . import active_on_chat as chat


@dataclass(frozen=True)
class Setup:
    """Many prompts, few prompts, prompts that are alike, and a pool of `chat`."""

    unrelated: bandit.Duels
    few: bandit.Duels
    smooth: bandit.Duels
    chat: ChatPairs


@dataclass(frozen=True)
class Learned:
    """What was asked and reached; None where a rule has no counterpart, or is not of interest."""

    unrelated: bandit.Asked
    few: bandit.Asked | None
    smooth: bandit.Asked | None
    chat: chat.Learned | None


def setup(seed: int, scale: float) -> Setup:
    return Setup(
        bandit.unrelated(seed, scale),
        bandit.few(seed, scale),
        bandit.smooth(seed, scale),
        chat.pool(seed, scale),
    )


def arm(where: bandit.Worth, what: bandit.Worth, worth: chat.Worth | None = None) -> Arm:
    """Which prompt is asked about, with which response; on `chat` which pair, where all is run."""

    def learn(made: Setup) -> Learned:
        unrelated = bandit.learn(made.unrelated, where, what)
        if worth is None:
            return Learned(unrelated, None, None, None)
        return Learned(
            unrelated,
            bandit.learn(made.few, where, what, bandit.proven(made.few)),
            bandit.learn(made.smooth, where, what),
            chat.learn(made.chat, worth),
        )

    return learn


def measure(made: Setup, arms: Mapping[str, Learned]) -> dict[str, Estimate]:
    """Exact regret on the bandit, reward at equal KL on `chat`."""
    return {
        **bandit.compare({name: learned.unrelated for name, learned in arms.items()}),
        **bandit.compare_proven(
            made.few, {name: learned.few for name, learned in arms.items() if learned.few}
        ),
        **bandit.compare_smooth(
            {name: learned.smooth for name, learned in arms.items() if learned.smooth}
        ),
        **chat.compare(
            made.chat, {name: learned.chat for name, learned in arms.items() if learned.chat}
        ),
    }
