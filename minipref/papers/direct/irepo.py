"""022 irepo: ask several people, and regress on how many of them agreed.

DPO hears who won. But a pair that nine of nine prefer one way says something else than one that
splits five to four. iREPO takes the log-odds of the votes as the target: the implicit reward of the
pair has to equal it, by squared loss. A pair in doubt is then told to stay, and a clear one has an
end. After each round the policy is the reference, and samples anew.

On the bandit three methods have the same draws, and everything is exact: iREPO, DPO and IPO on the
majority's choice, three betas each. The policy next to KL 0.6 is tempered to just that. Shares are
smoothed, (k + 1/2) / (h + 1): of one vote all targets are log 3 or -log 3, and iREPO is IPO. `chat`
has two rounds of 682 pairs. A pair is one draw of two responses, not the best and worst of many,
so that no pair is picked by the votes that label it. Zermelo's strengths, for more than two, stand
in `minipref/feedback/strengths.py`. LM-Eval and MT-Bench have no twin here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...evaluation.estimate import Estimate
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Measured, Paper, at_least
from . import irepo_on_bandit as bandit
from . import irepo_on_chat as chat
from .irepo_on_bandit import METHODS, VOTERS

PAPER = Paper(
    number=22,
    key="irepo",
    title="iREPO: implicit Reward Pairwise Difference based Empirical Preference Optimization",
    arxiv="2405.15230",
    kind="algorithm",
    world="bandit",
    model="a table of logits; chat-nano; the reference is the policy of the round before",
    data="two responses of the policy itself to each prompt, sampled anew in every round",
    feedback="one, three or nine Bradley-Terry votes a pair, counted and smoothed",
    algorithm="squared loss to the log-odds of the votes, in rounds",
    limit="The headline is the bandit's. On `chat`, after two rounds of 682 pairs, it leads DPO by "
    "0.00, -0.02, 0.11, 0.09 and 0.02 of reward at 0.6 to 0.7 nats, where 0.1 can be seen.",
)


@dataclass(frozen=True)
class Setup:
    """Draws for the bandit; a base and prompts of `chat`."""

    bandit: bandit.Draws
    chat: ChatPairs


def setup(seed: int, scale: float) -> Setup:
    return Setup(bandit.draws(seed, scale), chat.setup(seed, scale))


@dataclass(frozen=True)
class Learned:
    """By the number of votes on the bandit; on `chat` a policy for each learning rate."""

    bandit: dict[int, bandit.Learnt]
    chat: list[Transformer]


def arm(method: str, counted: bool = True) -> Arm:
    """The same method in both worlds."""
    return lambda made: Learned(
        {votes: bandit.learn(made.bandit, method, votes, counted) for votes in VOTERS},
        chat.learn(made.chat, method, counted),
    )


ARMS = {method: arm(method) for method in METHODS}


def measure(made: Setup, arms: Mapping[str, Learned]) -> dict[str, Estimate]:
    """Exact rewards and misses on the bandit; rewards of fresh answers on `chat`."""
    tables = {f"{m}, {n} votes": arms[m].bandit[n] for m in METHODS for n in VOTERS}
    found = bandit.compare(made.bandit, tables)
    return found | chat.compare(made.chat, {method: arms[method].chat for method in METHODS})


def lead(measured: Measured, voters: int, other: str) -> float:
    """How much more iREPO earns, at equal KL on the bandit."""
    ours, theirs = (measured[f"reward, {name}, {voters} votes"].value for name in ("irepo", other))
    return float(ours - theirs)


CLAIMS = [
    Claim(
        "with nine votes a pair iREPO earns 0.02 more than DPO and IPO, at equal KL",
        paper="LM-Eval and MT-Bench above iterative DPO and others, there at no equal KL",
        holds=lambda m: min(lead(m, 9, other) for other in ("dpo", "ipo")) > 0.02,
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "its implicit rewards are the nearest to the true ones",
        paper="the regression error in the bound on the gap to the optimum (theory)",
        holds=lambda m: (
            1.5 * m["miss, irepo, 9 votes"].value
            < min(m[f"miss, {other}, 9 votes"].value for other in ("dpo", "ipo"))
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "with one vote a pair it is IPO, and the lead over DPO is within 0.04",
        paper="not in the paper: shares of one smoothed vote are all alike",
        holds=lambda m: abs(lead(m, 1, "ipo")) < 1e-6 and abs(lead(m, 1, "dpo")) < 0.04,
        across=at_least(4, of=5),
    ),
    Claim(
        "on `chat` two rounds of iREPO with nine votes earn more than DPO's, at equal KL",
        paper="the same tables",
        holds=lambda m: m["chat, lead over dpo"].value > 2 * m["chat, lead over dpo"].se,
        across=at_least(4, of=5),
    ),
]
ALL_FOR_ONE = "votes are not counted: all go to the majority's choice"
CONTROL = Control("ablation", ALL_FOR_ONE, arms={"irepo": arm("irepo", counted=False)})


def by_voters(what: str) -> dict[str, list[tuple[float | str, str]]]:
    """Label -> a point for each number of votes."""
    labels = {"irepo": "iREPO", "dpo": "DPO", "ipo": "IPO"}
    return {labels[m]: [(n, f"{what}, {m}, {n} votes") for n in VOTERS] for m in METHODS}


FIGURE = (
    Lines(
        "Counting votes pays where there are several; grey: all for the majority",
        "votes a pair",
        "reward at KL 0.6",
        by_voters("reward"),
    ),
    Lines(
        "DPO's margins are far from the rewards, iREPO's come near",
        "votes a pair",
        "RMSE of the implicit reward of a pair (nats)",
        by_voters("miss"),
    ),
    Dots(
        "On chat, at equal KL",
        "reward",
        {name: f"chat, reward at equal KL, {name}" for name in METHODS},
    ),
)
