"""039 todo: "neither is better" is an answer too, and it says that two rewards are close.

DPO has no use for a tie. Leave ties out, and only the clear-cut verdicts remain: the learnt gaps
grow too large. Toss a coin, and half of every tie speaks against the truth: they shrink. TODO puts
Rao and Kupper's model into DPO: a win counts if it is clear by more than alpha, and a tie draws the
two rewards together.

On the bandit an annotator of that model gives 50 to 1600 verdicts a prompt, a quarter of them ties,
and all arms get the same ones. Exact: how far learnt differences of reward lie from the true ones,
how well held-out decided pairs are ordered, and reward at equal KL. On `chat` a reader calls a
third of the pairs equal; answers are compared at equal KL. Alpha is the annotator's own here: what
a wrong one costs, this row does not show. Pairs are called right at a margin above 0 for all arms
(the paper's rule asks TODO for more than alpha).

The bandit's half stands in `todo_on_bandit.py`, the other in `todo_on_chat.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...evaluation.estimate import Estimate
from ...model.transformer import Transformer
from ..chat_pairs import ChatPairs
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least
from . import todo_on_bandit as bandit
from . import todo_on_chat as chat

PAPER = Paper(
    number=39,
    key="todo",
    title="TODO: Enhancing LLM Alignment with Ternary Preferences",
    arxiv="2411.02442",
    kind="preference model",
    world="bandit",
    model="a table of logits, its reference uniform; chat-nano",
    data="50 to 1600 comparisons to each of 200 prompts; 2000 pairs of the base's own answers",
    feedback="better, worse or equal, by the model of Rao and Kupper",
    algorithm="DPO with a margin for wins, and a likelihood for ties",
    limit="On `chat`, at 0.7 to 1.0 nats, its answers win 49 to 51 % against those of DPO on "
    "decided pairs, and 49 to 52 % against tossed ties, where a seed can show 1.4 points. What "
    "the tie's likelihood buys is rewards in the right unit, and hardly a better policy: on the "
    "bandit it earns 0.001 to 0.003 more at equal KL (seeds 100 to 104).",
)


Setup = tuple[bandit.Verdicts, ChatPairs]
# log pi (sizes, prompts, responses) on the bandit; on `chat` a policy for each rate.
Learned = tuple[Tensor, list[Transformer]]


def setup(seed: int, scale: float) -> Setup:
    """Three verdicts in both worlds."""
    return bandit.verdicts(seed, scale), chat.ternary_pairs(seed, scale)


def arm(ties: str, margin: bool = False) -> Arm:
    """The same use of ties in both worlds."""
    return lambda made: (
        bandit.learn(made[0], ties, bandit.ALPHA if margin else 0.0),
        chat.learn(made[1], ties, chat.BAND if margin else 0.0),
    )


ARMS = {"todo": arm("kept", margin=True), "drop": arm("dropped"), "coin": arm("tossed")}


def measure(made: Setup, arms: Mapping[str, Learned]) -> dict[str, Estimate]:
    """Exact on the bandit; on fresh prompts of `chat`."""
    tables = {name: table for name, (table, _) in arms.items()}
    policies = {name: tuned for name, (_, tuned) in arms.items()}
    return bandit.compare(made[0], tables) | chat.compare(made[1], policies)


def clear(found: Estimate, above: float = 0.0) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "of equally many verdicts TODO learns rewards closer to the truth than DPO, with its ties "
        "left out or tossed",
        paper="ties carry what a binary model cannot hold (section 3); property of the likelihood",
        holds=lambda m: all(
            clear(m[f"squared error saved at 400, {other}"]) for other in ("drop", "coin")
        ),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "leaving ties out overstates differences of reward, tossing a coin understates them",
        paper="not in the paper; the minimisers of the two losses",
        holds=lambda m: (
            clear(m["slope, drop"], 1.1) and m["slope, coin"].value + 2 * m["slope, coin"].se < 1
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "it orders held-out decided pairs better than DPO with tossed ties does",
        paper="accuracy on non-tied test pairs and RewardBench (figures of section 5)",
        holds=lambda m: clear(m["accuracy gained at 100, coin"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "and better than DPO with its ties left out",
        paper="the same figures: this is the paper's comparison",
        holds=lambda m: clear(m["accuracy gained at 100, drop"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "on `chat`, at equal KL, its answers win more than 52 % against DPO's on decided pairs",
        paper="MT-Bench against DPO, Mistral-7B and Llama-3-8B (section 5), at no equal KL",
        holds=lambda m: m["chat, win rate over drop"].value > 0.52,
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "ablation",
    "the tie's likelihood is left out; alpha stays",
    arms={"todo": arm("dropped", margin=True)},
)
FIGURE = (
    *bandit.LINES,
    Dots(
        "On chat, at equal KL, TODO wins as often as DPO does",
        "win rate of TODO",
        {"ties left out": "chat, win rate over drop", "ties tossed": "chat, win rate over coin"},
        mark=0.5,
    ),
)
