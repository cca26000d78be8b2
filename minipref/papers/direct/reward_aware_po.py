"""072 reward-aware-po: make the reward that the policy implies match the one that was scored.

A pair's label says who won, a score by how much. RPO takes the policy's implicit reward difference
a = beta * (difference of log-ratios) and the scored one b, and makes a distance of the two small:
the square, or either KL of the verdicts sigmoid(a) and sigmoid(b). With a constant b it is DPO,
cDPO or IPO; on own samples, the leave-one-out square is RLOO.

On a bandit every distance has the optimum pi_ref exp(eta r / beta), exactly. On `chat`, pairs of
the base's own answers are scored by the true reward, or labelled, 30 % flipped. Then reward models,
linear in the base's states, of 3000 and 500 labels score stored pairs, or the policy's own answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ...evaluation.estimate import Estimate
from ..figure import Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import reward_aware_on_bandit as bandit
from . import reward_aware_on_chat as chat

PAPER = Paper(
    number=72,
    key="reward-aware-po",
    title="Reward-aware Preference Optimization: "
    "A Unified Mathematical Framework for Model Alignment",
    arxiv="2502.00203",
    kind="algorithm",
    world="chat",
    model="chat-nano and its frozen reference; a table of logits",
    data="1500 pairs of the base's own answers; or the policy's own, two to a prompt",
    feedback="true rewards, small reward models, or labels of which 30 % are flipped",
    algorithm="a distance between implicit and explicit reward differences",
)
RPO, ETA = "rpo_reward_aware", chat.ETA


@dataclass(frozen=True)
class Setup:
    """Both worlds."""

    chat: chat.Setup
    bandit: tuple[Tensor, Tensor]


def setup(seed: int, scale: float) -> Setup:
    return Setup(chat.setup(seed, scale), bandit.bandit(seed))


def offline(scores: str, distance: str) -> Arm:
    return lambda made: chat.offline(made.chat, RPO, scores, eta=ETA, distance=distance)


def online(loss: str, judge: str) -> Arm:
    return lambda made: chat.online(made.chat, loss, judge)


TRUE = {"rpo_bwd": "backward_kl", "rpo_sq": "square", "rpo_fwd": "forward_kl"}
ARMS: dict[str, Arm] = {
    "dpo": lambda made: chat.offline(made.chat, "dpo"),
    "ipo": offline("half", "square"),
    **{name: offline("true", distance) for name, distance in TRUE.items()},
    "rpo_bwd, good": offline("good", "backward_kl"),
    "online rpo_bwd, good": online(RPO, "good"),
    "online rpo_bwd, weak": online(RPO, "weak"),
    "online rloo, good": online("rloo", "good"),
    "online rloo, weak": online("rloo", "weak"),
}
MATCHES = (
    *(("rpo_bwd", "dpo"), ("rpo_bwd", "ipo"), ("rpo_bwd", "rpo_sq"), ("rpo_bwd", "rpo_fwd")),
    *(("online rpo_bwd, good", "rpo_bwd, good"), ("online rpo_bwd, good", "online rpo_bwd, weak")),
    *(("online rloo, good", "online rloo, weak"), ("online rpo_bwd, good", "online rloo, good")),
)


def measure(made: Setup, arms: Mapping[str, chat.Run]) -> dict[str, Estimate]:
    """How far the bandit's minimisers are from the optimum; chat's rewards at equal KL."""
    losses = (*bandit.DISTANCES, "list", "leave one out")
    minimisers = {loss: bandit.minimiser(made.bandit, loss) for loss in losses}
    return bandit.distances(made.bandit, minimisers) | chat.compare(made.chat, arms, MATCHES)


def lead(m: Mapping[str, Estimate], ours: str, theirs: str) -> float:
    """At equal KL, in standard errors."""
    found = m[f"lead at equal KL, {ours} over {theirs}"]
    return found.value / found.se


CLAIMS = [
    Claim(
        "true scores earn more than labels of which 30 % are flipped, at equal KL",
        paper="explicit rewards help over hard labels (the study's offline grid)",
        holds=lambda m: lead(m, "rpo_bwd", "dpo") > 2,
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "every distance has the optimum pi_ref exp(eta r / beta), and on `chat` they are alike",
        paper="the framework's minimiser; the objectives of the grid are close",
        holds=lambda m: (
            all(m[f"bandit, distance from the optimum, {d}"].value < 1e-5 for d in bandit.DISTANCES)
            and all(abs(lead(m, "rpo_bwd", other)) < 3 for other in ("rpo_sq", "rpo_fwd"))
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "with the same reward model, own answers earn more than stored pairs, at equal KL",
        paper="online above offline where the reward model is good",
        holds=lambda m: lead(m, "online rpo_bwd, good", "rpo_bwd, good") > 2,
        across=at_least(4, of=5),
    ),
    Claim(
        "online, a reward model of 500 labels is worse than one of 3000, under both losses",
        paper="the reward model's quality decides online",
        holds=lambda m: all(
            lead(m, f"online {loss}, good", f"online {loss}, weak") > 2
            for loss in ("rpo_bwd", "rloo")
        ),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "labels",
    "the true scores are shuffled over the answers",
    arms={"rpo_bwd": offline("shuffled", "backward_kl")},
)
FIGURE = (
    Lines(
        "A score says more than a label: reward against KL on the same pairs",
        "KL from the base (nats)",
        "reward",
        {"true scores": chat.path("rpo_bwd"), "labels, DPO": chat.path("dpo")}
        | {"labels, IPO": chat.path("ipo")},
    ),
    Lines(
        "Own answers and more labels for the reward model",
        "KL from the base (nats)",
        "reward",
        {
            "own answers, 3000": chat.path("online rpo_bwd, good"),
            "own answers, 500": chat.path("online rpo_bwd, weak"),
            "stored pairs, 3000": chat.path("rpo_bwd, good"),
        },
    ),
)
