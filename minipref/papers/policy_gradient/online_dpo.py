"""203 online-dpo: ask for preferences between the answers that the policy gives today.

DPO's pairs are written once, by somebody else. A policy that has moved away from them learns about
answers that it no longer gives. Online, every step draws two answers of the policy as it is, has
them compared, and takes a step of the same loss.

Here as many labels are bought, for the same prompts, with the same loss: offline for pairs of the
base's answers, online for the policy's own. Both run at two learning rates, are looked at on the
way, and are compared at equal KL, answer by answer. What the difference rests on is measured too:
how well the implicit reward of each policy ranks the answers that it gives in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...algorithm.sources import Sampled
from ...data.corpora import CHAT
from ...evaluation.divergence import kl
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import Curve, at_kl, lead_at_kl
from ...evaluation.responses import respond, rewards
from ...model.transformer import Transformer
from ..figure import Dots, Lines
from ..paper import Arm, Claim, Control, Paper, at_least
from . import own_answers
from .own_answers import BATCH, AnsweredBy, Setup, learn, ranked

PAPER = Paper(
    number=203,
    key="online-dpo",
    title="Direct Language Model Alignment from Online AI Feedback",
    arxiv="2402.04792",
    kind="algorithm",
    world="chat",
    model="chat-nano and its frozen reference",
    data="3200 pairs, of the base's answers or of the policy's own",
    feedback="a Bradley-Terry annotator at temperature 0.5, asked as often",
    algorithm="DPO, offline or online",
    limit="",
)
setup = own_answers.setup


def answered_by(who: Callable[[Setup], Transformer | None]) -> Arm:
    return lambda made: learn(made, AnsweredBy(Sampled(CHAT, made.asked, BATCH, 2), who(made)))


OFFLINE = answered_by(lambda made: made.base)
ARMS = {"online": answered_by(lambda made: None), "offline": OFFLINE}


def measure(made: Setup, arms: Mapping[str, list[Transformer]]) -> dict[str, Estimate]:
    """Reward against KL of both, the lead at equal KL, and what their implicit rewards know."""
    before, found = rewards(CHAT, made.own), {}
    curves: dict[str, Curve] = {}
    for name, policies in arms.items():
        points = [(0.0, before)]
        for number, policy in enumerate(policies):
            own = respond(policy, CHAT, made.tested, seed=made.seed)
            points.append((kl(policy, made.base, own).value, rewards(CHAT, own)))
            found[f"kl {number}, {name}"] = Estimate(points[-1][0], unit="nats")
            found[f"reward {number}, {name}"] = Estimate.mean(points[-1][1])
        found[f"own answers ranked right, {name}"] = ranked(made, policies[-1])
        curves[name] = points
    far = min(max(reached for reached, _ in curve) for curve in curves.values())
    found["the equal KL"] = Estimate(far, unit="nats")
    for name, curve in curves.items():
        found[f"reward at equal KL, {name}"] = Estimate.mean(at_kl(curve, far))
    found["lead at equal KL"] = lead_at_kl(curves["online"], curves["offline"], far)
    found["lead at a third of it"] = lead_at_kl(curves["online"], curves["offline"], far / 3)
    return found | {"reward, base": Estimate.mean(before)}


def gap(m: Mapping[str, Estimate]) -> Estimate:
    """By how much online ranks its own answers better."""
    ours, theirs = (m[f"own answers ranked right, {name}"] for name in ("online", "offline"))
    return ours.minus(theirs)


CLAIMS = [
    Claim(
        "at equal labels and equal KL, asking about today's answers earns more (three errors)",
        paper="online DPO above offline DPO, 63 to 64 % of the time (table 2)",
        holds=lambda m: m["lead at equal KL"].value > 3 * m["lead at equal KL"].se,
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "the further away, the larger the lead",
        paper="offline methods over-fit and fall behind as training goes on (figure 3)",
        holds=lambda m: m["lead at equal KL"].value > m["lead at a third of it"].value,
        across=at_least(4, of=5),
    ),
    Claim(
        "what was learnt online ranks the policy's own answers better in the end",
        paper="offline pairs are off the policy's distribution (section 2)",
        holds=lambda m: gap(m).value > 2 * gap(m).se,
        across=at_least(4, of=5),
    ),
]
CONTROL = Control(
    "twin",
    "the answers are the base's, though asked for step by step",
    arms={"online": OFFLINE},
)
NAMES = {"asked online": "online", "pairs of the base": "offline"}
FIGURE = (
    Lines(
        "The same labels buy more where they are about the policy's own answers",
        "KL from the base (nats)",
        "reward",
        {
            title: [(f"kl {i}, {name}", f"reward {i}, {name}") for i in (0, 2, 1, 3)]
            for title, name in NAMES.items()
        },
    ),
    Dots(
        "Far from its pairs, offline DPO no longer knows which of its answers is better",
        "share of own pairs that the implicit reward ranks right",
        {title: f"own answers ranked right, {name}" for title, name in NAMES.items()},
        mark=0.5,
    ),
)
