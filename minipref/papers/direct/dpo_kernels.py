"""092 dpo-kernels: let the margin know how near each response is to its prompt.

DPO compares two responses by log-ratios alone. DPO Kernels adds how alike the embeddings of prompt
and response are, by an RBF, polynomial, spectral or Mahalanobis kernel or a learnt mixture (HMK).
This row is a reconstruction. The paper's template is a kernel *of* the log-ratio, less a
divergence. Taken literally that is no loss for preferences: an RBF is even, and swapping chosen and
rejected changes nothing (the arm "literal"). Here gamma (log k(x, y+) - log k(x, y-)) stands inside
DPO's margin (`losses.dpo_kernels`), without a divergence. Gamma is in spreads of that term.

Two readers label the same pairs, half of whose answers are to another question: one goes by the
topic, one by manners. A pair is right where the whole margin, the kernel's part included, orders it
by the reader's score. Embeddings are mean word vectors of the base, frozen: the term is an offset
to the pair (as in ODPO), has no gradient, and only tells the policy what it need not learn. All
arms try two settings: gammas that validation labels choose from, for DPO learning rates, of which
it gets the better one by the test pairs. No real encoder, and none of the paper's metrics.
"""

from __future__ import annotations

from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import kernels_judged as judge
from . import kernels_on_chat as chat
from .kernels_on_chat import GAMMAS, RATE, Learned, Setup

PAPER = Paper(
    number=92,
    key="dpo-kernels",
    title="DPO Kernels: A Semantically-Aware, Kernel-Enhanced, and Divergence-Rich Paradigm for "
    "Direct Preference Optimization",
    arxiv="2501.03271",
    kind="algorithm family",
    world="chat",
    model="chat-nano, and a frozen bag-of-words encoder of its own",
    data="1280 pairs of people's answers, half of which are to another question",
    feedback="Bradley-Terry labels at temperature 0.5, by the topic or by manners",
    algorithm="DPO with a kernel of prompt and response in the margin",
    limit="Leads of 3.0 to 5.0 points at seeds 0 to 4 (1.8 can be seen). The policy alone gains "
    "nothing, -0.4 to -1.3 points. Base log-probs order 97 % of these pairs by the topic, the RBF "
    "alone 78 to 81 %: DPO's margin is measured from the base, and so loses what the base knew. "
    "Other divergences, three scorers and the choice of a kernel by statistics are to be written.",
)
setup, measure = chat.readers, judge.compare


def kernel(name: str, reader: str = "topic", *, own: bool = False, mixed_up: bool = False) -> Arm:
    """One policy for each gamma."""

    def arm(made: Setup) -> list[Learned]:
        read = chat.shuffled(made.of(reader)) if mixed_up else made.of(reader)
        return [chat.learn(read, name, gamma, own=own) for gamma in GAMMAS]

    return arm


def dpo(reader: str) -> Arm:
    """One policy for each learning rate, the first that of all others."""
    rates = (RATE, RATE / 2)
    return lambda made: [chat.learn(made.of(reader), "rbf", 0.0, rate) for rate in rates]


ARMS = {
    "dpo, topic": dpo("topic"),
    "dpo, manners": dpo("manners"),
    "rbf, topic": kernel("rbf"),
    "rbf, manners": kernel("rbf", "manners"),
    **{name: kernel(name) for name in judge.KERNELS[:4]},
    "own states": kernel("rbf", own=True),
    "literal": lambda made: chat.literal(made.topic),
}


def clear(found: Estimate) -> bool:
    """Above nothing by two standard errors?"""
    return found.value > 2 * found.se


CLAIMS = [
    Claim(
        "with a kernel in the margin more held-out pairs are right where the reader goes by the "
        "topic, and not where by manners",
        paper="the hybrid loss gains 9.2 % on average over twelve data sets",
        holds=lambda m: clear(m["lead of rbf, topic"]) and not clear(m["lead of rbf, manners"]),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "the gain is the kernel's: added to DPO's margin after training, the term is worth as much",
        paper="not in the paper; a frozen term has no gradient",
        holds=lambda m: (
            clear(m["lead of adding it later, topic"])
            and not clear(m["lead of training with it over adding it later, topic"])
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "at equal KL the policy's own answers are no more often on the topic than DPO's",
        paper="not in the paper, which reports accuracies and judges at no equal KL",
        holds=lambda m: not clear(m["lead of rbf's own answers at equal KL"]),
        across=at_least(4, of=5),
    ),
    Claim(
        "an RBF of the log-ratio learns the same from labels and from swapped labels",
        paper="the template, taken literally; property of an even kernel",
        holds=lambda m: m["literal, labels from swapped labels, share of the change"].value < 0.01,
        across=at_least(5, of=5),
    ),
]
CONTROL = Control(
    "ablation",
    "prompts' embeddings shuffled: the kernel compares a response with another prompt",
    arms={"rbf, topic": kernel("rbf", mixed_up=True)},
)
LATER = "accuracy, added later"
FIGURE = (
    Lines(
        "Nearness helps who reads for the topic, and misleads who reads for manners",
        "gamma, spreads of the kernel's term (nats)",
        "share of fresh pairs that are right",
        {f"{x}, added later": [(g, f"{LATER} {g}, {x}") for g in judge.LATER] for x in chat.SCORES}
        | {
            f"{x}, trained with": [(0.0, f"{LATER} 0.0, {x}")]
            + [(g, f"accuracy, trained with {g}, {x}") for g in GAMMAS]
            for x in chat.SCORES
        },
    ),
    Dots(
        "Topic: RBF, polynomial, spectral and their mixture gain alike, Mahalanobis less",
        "more fresh pairs right than by DPO (points)",
        {name: f"lead of {name}, topic" for name in ("rbf", *judge.KERNELS)},
        mark=0.0,
    ),
    Dots(
        "The term gains, also if added later; the policy learns no more",
        "more than DPO (points)",
        {
            "pairs, policy + term": "lead of rbf, topic",
            "pairs, DPO + term": "lead of adding it later, topic",
            "pairs, policy alone": "lead of the policy's part, topic",
            "own answers, equal KL": "lead of rbf's own answers at equal KL",
        },
        mark=0.0,
    ),
)
