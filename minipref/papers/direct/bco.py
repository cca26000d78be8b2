"""020 bco: thumbs up or down train a classifier, and the classifier is the policy.

DPO needs two responses to a prompt. BCO takes single ones: tell good from bad by a classifier whose
logit is the implicit reward beta log(pi / ref). Its loss bounds DPO's from above, most tightly with
the logit's zero at the rewards' mean (the shift delta). If good and bad responses answer different
prompts, the classifier could go by the prompt: UDM weighs bad ones by p(good | x) / p(bad | x).
Three parts. On the bandit every expectation is a sum: the bound against delta, and which loss ends
in DPO's minimum (`bco_on_bandit.py`). On `chat`, the same pairs for BCO, DPO, KTO and BCO without a
shift; then one thumb a prompt, 90 % of the thumbs-up on topic A (sums and lists), 90 % of those
down on topic B, with and without UDM (`bco_on_chat.py`). Reward and KL are then of B's prompts, and
copies along each run are compared at equal KL. Beta is 0.1, as in TRL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor

from ...algorithm.direct.binary_classifier import BinaryClassifier
from ...algorithm.objective import Objective
from ...evaluation.estimate import Estimate
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import bco_on_bandit as exact
from . import bco_on_chat as chat
from .bco_on_chat import BETA

PAPER = Paper(
    number=20,
    key="bco",
    title="Binary Classifier Optimization for Large Language Model Alignment",
    arxiv="2404.04656",
    kind="algorithm",
    world="chat",
    model="chat-nano; a table of logits on the bandit",
    data="1600 pairs of the base's own answers, and one of each pair, topics apart",
    feedback="thumbs up and down, from Bradley-Terry labels at temperature 0.5",
    algorithm="a classifier whose logit is the shifted implicit reward, bad ones density-weighted",
    calibrated_on=(100,),
)


class Setup(NamedTuple):
    exact: exact.Exact
    chat: chat.Thumbs


def setup(seed: int, scale: float) -> Setup:
    return Setup(exact.every_pair(seed, scale), chat.thumbs(seed, scale))


def on_bandit(loss: Callable[[exact.Exact, Tensor], Tensor]) -> Arm:
    return lambda made: exact.learn(made.exact, loss)


def pairs(loss: str) -> Arm:
    """A registered loss on the pairs' responses."""
    objective = partial(Objective.of, loss, beta=BETA)
    return lambda made: chat.on_pairs(lambda base: objective(reference=base), made.chat)


def thumbs(matched: bool) -> Arm:
    return lambda made: chat.on_thumbs(matched, made.chat)


EXACT = {"bco": exact.shifted, "no shift": exact.unshifted, "dpo": exact.preferring}
ARMS = {
    **{f"{name}, exact": on_bandit(loss) for name, loss in EXACT.items()},
    "bco": lambda made: chat.on_pairs(lambda base: BinaryClassifier(BETA), made.chat),
    "dpo": pairs("dpo"),
    "kto": pairs("kto"),
    "no shift": pairs("pointwise_dpo"),  # BCO with delta = 0
    "udm": thumbs(True),
    "no udm": thumbs(False),
}


def measure(made: Setup, arms: Mapping[str, Any]) -> dict[str, Estimate]:
    """On the bandit exactly; on `chat` by fresh answers, those to B's prompts where topics part."""
    tables = {name: arms[f"{name}, exact"] for name in EXACT}
    return exact.compare(made.exact, tables) | chat.compare(made.chat, arms)


LEAD = "lead on B after the same steps"
CLAIMS = [
    Claim(
        "thumbs from different topics: after the same steps UDM earns more on the topic of the bad",
        paper="BCO above DPO and KTO on real binary data (section 5), where prompts differ",
        holds=lambda m: m[LEAD].value > 2 * m[LEAD].se,
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "what it buys is staying near: at equal KL less than a fifth of the lead is left",
        paper="not in the paper",
        holds=lambda m: m["lead on B at equal KL"].value < 0.2 * m[LEAD].value,
        across=at_least(4, of=5),
    ),
    Claim(
        "without UDM the classifier reads the topic: implicit rewards part there, not in the pairs",
        paper="why the prompts of good and bad have to be matched (section 4)",
        holds=lambda m: (
            m["gap between topics, no udm"].value > 2 * m["gap between pairs, no udm"].value
            and abs(m["gap between topics, udm"].value) < m["gap between pairs, udm"].value
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "on pairs BCO wins 45 to 55 % against DPO and KTO, and against itself without a shift",
        paper="paired data: on par with DPO and KTO (section 5)",
        holds=lambda m: all(0.45 < m[f"win rate over {k}"].value < 0.55 for k in chat.OTHERS),
        across=at_least(4, of=5),
    ),
    Claim(
        "the shift leads to DPO's minimum: without it DPO's loss stays ten times as far above",
        paper="the bound on DPO's loss, and the shift that tightens it (Theorem and section 3)",
        holds=lambda m: (
            m["DPO's loss, bco"].value - m["DPO's loss, dpo"].value
            < 0.1 * (m["DPO's loss, no shift"].value - m["DPO's loss, dpo"].value)
        ),
        across=at_least(5, of=5),
    ),
]
CONTROL = Control("ablation", "every weight is 1", arms={"udm": thumbs(False)})
FIGURE = (
    Lines(
        "BCO bounds DPO's loss, most tightly at the rewards' mean, tighter as the margin grows",
        "delta, from the mean of a pair's rewards",
        "BCO's loss less DPO's (nats)",
        {
            f"margin {m:g}": [(x, f"gap of a pair, margin {m:g}, {x:+}") for x in exact.OFFSETS]
            for m in exact.MARGINS
        },
    ),
    Lines(
        "Topic B has the bad answers: without weights the policy runs away",
        "KL on B's prompts (nats)",
        "true reward on B's prompts",
        {k: [(f"kl {i}, {k}", f"reward {i}, {k}") for i in range(4)] for k in ("udm", "no udm")},
    ),
    Dots(
        "because its classifier reads the topic, not the answer",
        "gap of implicit rewards on fresh pairs",
        {f"{k}: {gap}": f"gap between {gap}, {k}" for k in ("udm", "no udm") for gap in chat.GAPS},
        mark=0.0,
    ),
)
