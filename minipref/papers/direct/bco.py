"""020 bco: thumbs up or down train a classifier, and the classifier is the policy.

DPO needs two responses to a prompt. BCO takes single ones: tell good from bad by a classifier whose
logit is the implicit reward beta log(pi / ref). Its loss bounds DPO's from above, most tightly with
the logit's zero at the rewards' mean (the shift delta). If good and bad responses answer different
prompts, whatever goes with the prompt looks good or bad: UDM weighs bad ones by
p(good | x) / p(bad | x), as a statistician would who fears Simpson's paradox.

Thumbs-up are 90 % from topic A, thumbs-down 90 % from B. On a bandit (`bco_topics.py`) good manners
are liked everywhere but were used on B: without weights they are unlearnt. Where both topics have
the same manners, there and on `chat` (`bco_on_chat.py`), weights hardly matter at equal KL; after
equal steps they do, for without them the policy runs away on B. `chat` has the same pairs for BCO,
DPO, KTO, BCO without a shift; the bound is exact (`bco_on_bandit.py`). Beta is 0.1 (TRL).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ...algorithm.direct.binary_classifier import BinaryClassifier
from ...evaluation.estimate import Estimate
from ..figure import Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import bco_arms
from . import bco_on_bandit as exact
from . import bco_on_chat as chat
from . import bco_topics as topics
from .bco_arms import Learned, pairs, registered, thumbs
from .bco_on_bandit import BETA
from .bco_topics import LEANS, USUAL

PAPER = Paper(
    number=20,
    key="bco",
    title="Binary Classifier Optimization for Large Language Model Alignment",
    arxiv="2404.04656",
    kind="algorithm",
    world="bandit",
    model="a log-linear policy of five features; a table of logits; chat-nano",
    data="two topics, each response by its probability; 1600 pairs that people wrote, on `chat`",
    feedback="thumbs up and down, from Bradley-Terry labels",
    algorithm="a classifier whose logit is the shifted implicit reward, bad ones density-weighted",
    limit="On `chat` UDM's lead on B is -0.06 to 0.16 at equal KL (0.1 could be seen), 0.3 to 1.1 "
    "after equal steps, when without it B has run away to 2 to 4 nats. TRL's floor of 0.5 under "
    "the weights keeps a part of the bias. BCO with its shift wins 49.2 to 49.9 % against itself "
    "without, on `chat`: there rewards part by 0.1, and a shift of them has little to do.",
)
setup, measure = bco_arms.setup, bco_arms.measure
ARMS: dict[str, Arm] = {
    "bco": pairs(lambda base: BinaryClassifier(BETA), exact.shifted),
    "dpo": pairs(partial(registered, "dpo"), exact.preferring),
    "no shift": pairs(partial(registered, "pointwise_dpo"), exact.unshifted),  # delta is 0
    "kto": pairs(partial(registered, "kto")),
    "udm": thumbs(topics.classified, matched=True),
    "no udm": thumbs(topics.alike, matched=False),
    "exact ratio": lambda made: Learned(topics=topics.learn(made.topics, topics.exactly)),
}


def earned(m: Mapping[str, Estimate], name: str) -> float:
    return m[f"bandit, reward on B, {name}, {USUAL:g}"].value


def manners(m: Mapping[str, Estimate], name: str) -> float:
    return m[f"bandit, manners, {name}, {USUAL:g}"].value


def wins(m: Mapping[str, Estimate], other: str) -> Estimate:
    return m[f"pairs, win rate over {other}"]


def above_dpo(m: Mapping[str, Estimate], name: str) -> float:
    return m[f"exact, DPO's loss, {name}"].value - m["exact, DPO's loss, dpo"].value


CLAIMS = [
    Claim(
        "topics with manners of their own: at equal KL UDM earns 0.1 more on the topic of the bad",
        paper="BCO above DPO and KTO on real binary data (section 5), where prompts differ",
        holds=lambda m: earned(m, "udm") > earned(m, "no udm") + 0.1,
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "without weights manners that all like are learnt as bad; UDM mends more than half",
        paper="why the prompts of good and bad have to be matched (section 4)",
        holds=lambda m: (
            manners(m, "no udm") < 0
            and 2 * abs(manners(m, "udm") - manners(m, "exact ratio"))
            < manners(m, "exact ratio") - manners(m, "no udm")
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "on `chat`, after the same steps, UDM earns more on B; at equal KL a third of it at most",
        paper="gains on real binary data (section 5), at no equal KL",
        holds=lambda m: (
            m["B, lead after the same steps"].value > 2 * m["B, lead after the same steps"].se
            and m["B, lead at equal KL"].value < m["B, lead after the same steps"].value / 3
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "on `chat`'s pairs BCO wins 45 to 55 % over DPO and over KTO, at equal KL",
        paper="paired data: on par with DPO and KTO (section 5)",
        holds=lambda m: all(0.45 < wins(m, other).value < 0.55 for other in ("dpo", "kto")),
        across=at_least(4, of=5),
    ),
    Claim(
        "there BCO is not behind itself without the shift, by two standard errors",
        paper="the shift helps (section 3)",
        holds=lambda m: wins(m, "no shift").value + 2 * wins(m, "no shift").se > 0.5,
        across=at_least(4, of=5),
    ),
    Claim(
        "on the bandit, without it, DPO's loss ends three times as far above its minimum",
        paper="the bound on DPO's loss, and the shift (Theorem and section 3)",
        holds=lambda m: above_dpo(m, "bco") < above_dpo(m, "no shift") / 3,
        across=at_least(5, of=5),
    ),
]
CONTROL = Control("ablation", "every weight is 1", arms={"udm": thumbs(topics.alike, False)})
FIGURE = (
    Lines(
        "BCO bounds DPO's loss, most tightly at the mean",
        "delta, from the mean of a pair's rewards",
        "BCO's loss less DPO's (nats)",
        {
            f"margin {m:g}": [(x, f"gap of a pair, margin {m:g}, {x:+}") for x in exact.OFFSETS]
            for m in exact.MARGINS
        },
    ),
    Lines(
        "Good manners, common in bad topic B, look bad without UDM",
        "how far responses leaned to manners on B, away on A",
        "what is thought of manners (cosine)",
        {
            name: [(lean, f"bandit, manners, {name}, {lean:g}") for lean in LEANS]
            for name in ("exact ratio", "udm", "no udm")
        },
        mark=0.0,
    ),
    Lines(
        "Where manners are alike UDM keeps the policy from running away, no more",
        "KL on B's prompts (nats)",
        "true reward on B's prompts",
        {k: [(f"B, kl {i}, {k}", f"B, reward {i}, {k}") for i in range(4)] for k in chat.MATCHED},
    ),
)
