"""046 sdpo: do not use your data all at once, and let the reference follow.

DPO trains a policy to tell chosen from rejected better than a reference does. sDPO reads the pairs
in chunks, and after each chunk the policy itself becomes the reference: the bar rises. The paper
finds better models. But a reference that follows is also a longer leash. On the bandit, where each
step can be trained to its end, T steps are exactly DPO at beta / T, in whatever order the chunks
come. So the honest rival is DPO on all pairs with beta / 4, and the honest place is equal KL.

On `chat` all arms read 3072 pairs once, in equally many steps. The paper's chunks are data sets;
here they are kinds of prompt, those first on whose pairs the base is right most often. Beta is 1,
not 0.1, where one pass over so few pairs hardly pulls at the leash. The row cannot show the H4
benchmarks, nor a model that starts from another one's weights as its reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import sdpo_on_bandit as bandit
from . import sdpo_on_chat as chat
from .sdpo_on_chat import BETA, CHUNKS

PAPER = Paper(
    number=46,
    key="sdpo",
    title="sDPO: Don't Use Your Data All at Once",
    arxiv="2403.19270",
    kind="algorithm",
    world="chat",
    model="chat-nano; the reference is the policy of the step before; a table of logits",
    data="two of the base's own answers to each of 3072 prompts, in chunks, easy kinds first",
    feedback="Bradley-Terry labels at temperature 0.5",
    algorithm="DPO chunk by chunk",
    limit="At equal KL (0.5 to 0.9 nats) sDPO leads DPO by -0.05, 0.07, 0.21, -0.05 and 0.03 of "
    "reward at seeds 0 to 4, where 0.10 can be seen, and with the better of two rates for each it "
    "wins 49 to 56 %. Against beta / 4 it wins 50 to 52 %, against a random order 49 to 52 %: what "
    "it gains is a longer leash. Our kinds of prompt differ less in ease (53 to 68 %) than "
    "the paper's two data sets.",
)


@dataclass(frozen=True)
class Setup:
    """Pairs on `chat`; a table of logits on the bandit."""

    chat: chat.Pairs
    bandit: bandit.Table


def setup(seed: int, scale: float) -> Setup:
    return Setup(chat.ordered_pairs(seed, scale), bandit.table(seed))


def arm(order: str, chunks: int, beta: float = BETA, moving: bool = True) -> Arm:
    return lambda made: chat.learn(made.chat, order, chunks, beta, moving)


CHAT_ARMS: dict[str, Arm] = {
    "dpo": arm("mixed", 1),
    "dpo, beta / 4": arm("mixed", 1, BETA / CHUNKS),
    "sdpo, 2 chunks": arm("easy first", 2),
    "sdpo": arm("easy first", CHUNKS),
    "sdpo, random order": arm("mixed", CHUNKS),
}
ARMS = CHAT_ARMS | {"bandit": lambda made: bandit.both_orders(made.bandit)}


def measure(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """Fresh pairs and prompts of `chat`, and the largest error of a log-prob on the bandit."""
    found = chat.compare(made.chat, {name: arms[name] for name in CHAT_ARMS})
    found |= chat.bar(made.chat, arms["sdpo"][0])
    return found | {"bandit, largest error": bandit.error(made.bandit, arms["bandit"])}


def clear(found: Estimate, above: float = 0.0) -> bool:
    """Is it above that by two standard errors?"""
    return found.value > above + 2 * found.se


CLAIMS = [
    Claim(
        "at DPO's beta and learning rate, sDPO in four chunks wins more than 52 % against it",
        paper="H4 average of 74.31 against 72.7 for DPO on all data (Table 1)",
        holds=lambda m: m["win rate over dpo, sdpo, same rate"].value > 0.52,
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "the bar rises: gamma of the reference grows from each chunk to the next",
        paper="mean gamma of the reference before and after the first step (section 4)",
        holds=lambda m: all(clear(m[f"rise of gamma, chunk {t}"]) for t in range(1, CHUNKS + 1)),
        across=at_least(5, of=5),
    ),
    Claim(
        "it is the leash: against DPO with a quarter of beta, sDPO wins no more than 52 %",
        paper="not in the paper: implicit rewards telescope",
        holds=lambda m: m["win rate of sdpo over dpo, beta / 4, same rate"].value < 0.52,
        across=at_least(4, of=5),
    ),
    Claim(
        "at equal KL from the base sDPO leads DPO clearly",
        paper="not in the paper, which compares at equal beta",
        holds=lambda m: clear(m["lead at equal KL, sdpo"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "easy chunks first win against chunks in random order",
        paper="data sets in the order of the base's reward accuracy (section 3)",
        holds=lambda m: clear(m["win rate of sdpo over sdpo, random order, same rate"], 0.5),
        across=at_least(4, of=5),
    ),
    Claim(
        "on the bandit T steps are DPO at one looser beta, in either order of the chunks",
        paper="not in the paper: the same argument, exact",
        holds=lambda m: m["bandit, largest error"].value < 1e-6,
        across=at_least(5, of=5),
    ),
]
HELD = {
    "sdpo": arm("easy first", CHUNKS, moving=False),
    "bandit": lambda made: bandit.both_orders(made.bandit, moving=False),
}
CONTROL = Control("ablation", "the reference stays the base", HELD)
OVER = ("sdpo, 2 chunks", "sdpo", "sdpo, random order", "dpo, beta / 4")
FIGURE = (
    Dots(
        "At one beta and rate sDPO beats DPO, and so does DPO with a quarter of beta",
        "win rate over DPO",
        {name: f"win rate over dpo, {name}, same rate" for name in OVER},
        mark=0.5,
    ),
    Dots(
        "At equal KL no lead is left that all seeds show",
        "lead over DPO (reward)",
        {name: f"lead at equal KL, {name}" for name in OVER},
        mark=0.0,
    ),
    Lines(
        "The bar rises with every chunk; grey: the reference stays the base",
        "chunks read",
        "gamma of the policy (nats)",
        {"sdpo": [(t, f"gamma, {t} chunks") for t in range(CHUNKS + 1)]},
    ),
)
