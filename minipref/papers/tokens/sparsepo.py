"""117 sparsepo: let a mask find the tokens that a preference is about, and train on those alone.

DPO pushes every token of a chosen answer up, though people may have liked just one. SparsePO weighs
each token's log-ratio (and its KL) by a mask, a small ReLU head on the frozen reference's states
that is trained with the policy; an L1 penalty sends it to zero wherever weight buys nothing. MaPO
reads the mask off the reference's activations instead.

Here two answers differ at random in everything, and one opens politely, the other rudely: that
alone is preferred (10 % of the labels are flipped). The key token is the first word, where the two
part; all others are spurious (`openers.py`). Measured on fresh answers: how well the mask tells the
key token from the rest, and how much of the rest is exactly zero. Politeness and all else are
compared at equal KL from the base. Common masks only, without the paper's dropout and weight decay.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...algorithm.direct.token_masks import LearntMasks, Masks, dpo, mapo, tdpo
from ...evaluation.auc import auc
from ...evaluation.estimate import Estimate
from ...evaluation.matched import Point, reward_at_kl
from ...evaluation.responses import true_reward
from ..chat_pairs import ChatPairs, answers, divergence
from ..figure import Dots
from ..paper import Arm, Claim, Control, Paper, at_least
from .openers import MANNERS, REST, Tuned, pairs, tune, weights_on

PAPER = Paper(
    number=117,
    key="sparsepo",
    title="SparsePO: Controlling Preference Alignment of LLMs via Sparse Token Masks",
    arxiv="2410.05102",
    kind="algorithm",
    world="chat",
    model="chat-nano, and a mask head on the states of the frozen reference",
    data="1500 pairs of answers, one with a polite opener and one with a rude one",
    feedback="Bradley-Terry labels by politeness alone, 10 % of them flipped",
    algorithm="TDPO1 with a learnt, L1-penalised weight for every token",
    limit="The mask is found, the frontier gains nothing: at 0.5 nats SparsePO's politeness is "
    "0.588, 0.599 and 0.591 at seeds 100 to 102, DPO's 0.631, 0.603 and 0.602; a seed can show "
    "0.012. Drift on the chosen side raises the margin, and probably costs the KL. Whether MaPO's "
    "mask finds the key token depends on the base: AUC 0.01, 0.92, 0.24. Independent masks and a "
    "grid of lambda are still to be run.",
)
RATES = (4e-4, 1.2e-3)
setup = pairs


def fixed(masks: Masks) -> Arm:
    """Masks that nobody learns, at every learning rate."""
    return lambda made: [tune(made, rate, masks, 0.0) for rate in RATES]


def learnt(sparsity: float) -> Arm:
    """SparsePO, at every learning rate."""
    return lambda made: [tune(made, rate, LearntMasks(made.base), sparsity) for rate in RATES]


ARMS = {
    "dpo": fixed(dpo),
    "tdpo": fixed(tdpo),
    "mapo": fixed(mapo),
    "sparsepo": learnt(0.01),
}


def measure(made: ChatPairs, arms: Mapping[str, list[Tuned]]) -> dict[str, Estimate]:
    """The masks of the larger rate on fresh answers; politeness and the rest at equal KL."""
    found: dict[str, Estimate] = {}
    polite: dict[str, list[Point]] = {}
    rest: dict[str, list[Point]] = {}
    for name in ("mapo", "sparsepo"):
        weights, key = weights_on(made, arms[name][-1].masks or mapo)
        found[f"AUC of the key token, {name}"] = Estimate(auc(weights, key))
        found[f"zeros off the key token, {name}"] = Estimate.mean((weights[~key] == 0).double())
        found[f"zeros on the key token, {name}"] = Estimate.mean((weights[key] == 0).double())
    for name, tuned in arms.items():
        own = [answers(made, each.policy) for each in tuned]
        kls = [divergence(made, each.policy, batch) for each, batch in zip(tuned, own, strict=True)]
        found[f"kl, {name}"] = kls[-1]
        for world, curves in ((MANNERS, polite), (REST, rest)):
            earned = [true_reward(world, batch) for batch in (made.own, *own)]
            curves[name] = list(zip([0.0, *(kl.value for kl in kls)], earned, strict=True))
    target = min(max(kl for kl, _ in curve) for curve in polite.values())
    for name in arms:
        found[f"politeness at equal KL, {name}"] = reward_at_kl(polite[name], target)
        found[f"the rest at equal KL, {name}"] = reward_at_kl(rest[name], target)
    return found


CLAIMS = [
    Claim(
        "the learnt mask finds the key token, and more than a third of the others are exactly zero",
        paper="sparse masks keep the tokens that matter (section 5, heat maps in the appendix)",
        holds=lambda m: (
            m["AUC of the key token, sparsepo"].value > 0.75
            and m["zeros off the key token, sparsepo"].value > 1 / 3
            and m["zeros on the key token, sparsepo"].value < 0.1
        ),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "at equal KL its answers are no less polite than DPO's",
        paper="reward against KL (section 4), masks allow more KL for the same reward",
        holds=lambda m: (
            m["politeness at equal KL, sparsepo"].value
            >= m["politeness at equal KL, dpo"].value - 0.005
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "MaPO's mask, which no preference has touched, finds the key token too",
        paper="MaPO is close to SparsePO on most tasks (Table 1)",
        holds=lambda m: m["AUC of the key token, mapo"].value > 0.75,
        across=at_least(4, of=5),
    ),
]
CONTROL = Control("ablation", "no L1 penalty: lambda = 0", arms={"sparsepo": learnt(0.0)})
FIGURE = (
    Dots(
        "The learnt mask finds the word that decides, and the penalty empties the rest",
        "share (in the control: no penalty)",
        {
            "AUC, SparsePO": "AUC of the key token, sparsepo",
            "AUC, MaPO": "AUC of the key token, mapo",
            "zeros elsewhere, SparsePO": "zeros off the key token, sparsepo",
            "zeros elsewhere, MaPO": "zeros off the key token, mapo",
        },
    ),
    Dots(
        "At equal KL the masks buy no politeness",
        "politeness",
        {
            "SparsePO": "politeness at equal KL, sparsepo",
            "MaPO": "politeness at equal KL, mapo",
            "TDPO1": "politeness at equal KL, tdpo",
            "DPO": "politeness at equal KL, dpo",
        },
    ),
)
