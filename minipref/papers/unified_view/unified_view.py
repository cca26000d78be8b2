"""001 unified-view: one loop runs every method; only source, feedback and coefficient change.

The survey writes all preference learning as one gradient, in which a method is a number in front
of each response's grad log pi, and as one loop (Algorithm 1), in which online and offline differ
by where responses come from. Here `align` is that loop. Eight of the survey's working examples
train on an exact bandit with four objectives between them, and the same objects serve online and
offline; the coefficients of its table are compared with autograd.

ICDPO, the ninth, trains nothing: on `chat` it keeps the sample that gains most when something
stands before the prompt. Our bases are too small to learn from demonstrations in the context, so
a wish ("say why :") stands for them; what demonstrations do is measured beside it. Rewards are not
compared across methods: each has its own budget of feedback, and here they only have to rise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...algorithm.decoding.icdpo import contrast, pick
from ...algorithm.sources import sample
from ...data.chat.prompts import KINDS, with_demonstrations, with_wish
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.responses import rewards
from ...model.bases import load_base
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import working_examples
from .coefficients import GAPS, PAIRWISE, TABLE, disagreement, push
from .working_examples import EXAMPLES, Setup, arm, first_step

PAPER = Paper(
    number=1,
    key="unified-view",
    title="Towards a Unified View of Preference Learning for Large Language Models: A Survey",
    arxiv="2409.02795",
    kind="survey",
    world="bandit",
    model="a table of logits, uniform at first; chat-instruct for ICDPO",
    data="512 stored responses (offline), or the policy's own (online)",
    feedback="exact rewards, right answers, the best of four, Bradley-Terry labels",
    algorithm="Algorithm 1 with SFT, RFT, RAFT, ReMax, PPO and DPO; ICDPO without training",
    limit="ICDPO is shown with a wish in the context: with demonstrations there, which our small "
    "bases do not learn from, its pick is worse than a random one.",
)


def icdpo(made: Setup) -> dict[str, Tensor]:
    """Rewards (prompts, 8) of samples, and of the one that each context would keep (prompts,)."""
    base, draw = load_base("chat-instruct", made.seed % 3), dice(made.seed, "001/chat")
    asked = CHAT.prompts(made.asked, draw, KINDS[:-1])
    each = torch.arange(made.asked)
    batch = sample(base, CHAT, asked, each, 8, stream(made.seed, "001/samples"))
    found = {"samples": rewards(CHAT, batch).view(-1, 8)}
    contexts: dict[str, list[Any]] = {
        "a wish": [with_wish(prompt, "say why") for prompt in asked],
        "demonstrations": [with_demonstrations(draw, prompt, 2) for prompt in asked],
    }
    for name, prompts in contexts.items():
        shown = [CHAT.encode_prompt(prompt) for prompt in prompts for _ in range(8)]
        kept = pick(contrast(base, shown, batch.rows), batch.groups)
        found[name] = found["samples"].flatten()[kept]
    count(settings=1)
    return found


setup = working_examples.setup
ARMS: dict[str, Arm] = {name: arm(name) for name in EXAMPLES} | {"icdpo": icdpo}


def measure(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """True rewards of trained policies (exact) less the start's; ICDPO's less a random pick's."""
    begin = made.world.expected_reward(made.start.probabilities())
    found = {}
    for name in EXAMPLES:
        policy = arms[name].probabilities()
        found[f"gain, {name}"] = Estimate(made.world.expected_reward(policy) - begin)
        found[f"kl, {name}"] = Estimate(made.world.kl(policy), unit="nats")
    random = arms["icdpo"]["samples"].mean(1)  # (prompts,)
    for context in ("a wish", "demonstrations"):
        found[f"gain, icdpo with {context}"] = Estimate.mean(arms["icdpo"][context] - random)
    for name in TABLE:
        error = disagreement(name, stream(made.seed, f"001/table/{name}"))
        found[f"table's error, {name}"] = Estimate(error)
    found["online less offline, PPO's first gradient"] = Estimate(first_step(made))
    return found | {
        f"{name} at {gap}": Estimate(push(name, gap)) for name in PAIRWISE for gap in GAPS
    }


CLAIMS = [
    Claim(
        "all eight trained examples earn 0.2 more than they began with, and ICDPO's pick beats a "
        "random one by more than 2 standard errors",
        paper="the working examples all fit Algorithm 1 (Figs. 3 and 4); no figures given",
        holds=lambda m: (
            all(m[f"gain, {name}"].value > 0.2 for name in EXAMPLES)
            and m["gain, icdpo with a wish"].value > 2 * m["gain, icdpo with a wish"].se
        ),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "the gradient coefficients of all fourteen losses are those of the table",
        paper="Eq. 1, and coefficients derived from the losses of Table 1",
        holds=lambda m: all(m[f"table's error, {name}"].value < 1e-9 for name in TABLE),
        across=at_least(5, of=5),
    ),
    Claim(
        "on the same batch PPO's first step is the same online and offline",
        paper="the algorithm does not depend on online or offline (section 3)",
        holds=lambda m: m["online less offline, PPO's first gradient"].value < 1e-6,
        across=at_least(5, of=5),
    ),
]
CONTROL = Control(
    "labels",
    "the feedback is taken out: rewards, answers and labels are drawn at random",
    arms={name: arm(name, noise=True) for name in EXAMPLES},
)
FIGURE = (
    Dots(
        "Every example learns from its feedback, and from nothing else",
        "true reward gained",
        {name: f"gain, {name}" for name in EXAMPLES}
        | {"ICDPO": "gain, icdpo with a wish", "with examples": "gain, icdpo with demonstrations"},
        mark=0.0,
    ),
    Lines(
        "Only IPO pulls a pair back that is far enough apart",
        "log-ratio of the chosen less the rejected (nats)",
        "coefficient of the chosen",
        {name: [(gap, f"{name} at {gap}") for gap in GAPS] for name in PAIRWISE},
        mark=0.0,
    ),
)
