"""109 asft: say how likely each answer of a pair should be: the chosen surely, the rejected never.

ORPO compares the odds of a pair's two answers. ASFT gives each a target of its own: likelihood for
the chosen, unlikelihood for the rejected, on top of SFT. As the rejected answer grows unlikely its
push dies, where DPO's, seen in probabilities, grows without bound.

Two worlds. In the toy of row 106, where only the rejected response is likely at first, DPO sends
the mass to responses that nobody mentioned. ASFT does not, but nor does SFT: the toy shows what the
likelihood is good for. On `chat` a base learns from labelled pairs of its own answers. Lambda is
0.5 in the toy, 1 on `chat`, the same for ORPO. Win rates at equal KL are those of mixtures
(`evaluation/mixture.py`). A base that has never seen an answer might gain more from SFT.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...evaluation.estimate import Estimate
from ...evaluation.mixture import lead_at_kl, win_rate_at_kl
from ...evaluation.win_rate import paired
from ...losses import asft, orpo
from ..figure import Dots, Lines
from ..paper import Claim, Control, Paper, at_least
from . import asft_worlds as worlds
from .asft_worlds import pointwise

PAPER = Paper(
    number=109,
    key="asft",
    title="ASFT: Aligned Supervised Fine-Tuning through Absolute Likelihood",
    arxiv="2409.10571",
    kind="algorithm",
    world="chat",
    model="chat-nano, no reference; an MLP over 10 responses",
    data="two of the base's own answers to each of 2000 prompts; a pair for each of 4 prompts",
    feedback="Bradley-Terry labels at temperature 0.5",
    algorithm="likelihood of the chosen answer and unlikelihood of the rejected, in one stage",
    limit="At seeds 0 to 4 ASFT wins 51.7 to 54.8 % against SFT at equal KL, and 51.8 to 53.9 at "
    "one rate, not 55; 44.3 to 45.4 % against DPO at equal KL (1.7 points can be seen). On pairs "
    "by row 034's people, who share their habits, it won 50 % against SFT at one rate (seed 100).",
)
OVER_DPO, FALLEN = "win rate over dpo, equal KL", "toy, rejected log-prob, "
OTHERS = ("sft", "orpo", "dpo")
setup = worlds.both
WITHOUT = pointwise(asft, 0.0, 0.0)
ARMS = {
    "sft": WITHOUT,
    "asft": pointwise(asft, 0.5, 1.0),
    "orpo": pointwise(orpo, 0.5, 1.0),
    "dpo": worlds.with_dpo,
}


def measure(made: worlds.Setup, arms: Mapping[str, worlds.Learned]) -> dict[str, Estimate]:
    """The toy exactly; on chat, fresh pairs and answers to fresh prompts, at equal KL too."""
    found: dict[str, Estimate] = {}
    tried = {name: worlds.on_chat(made.chat, learned.chat) for name, learned in arms.items()}
    target = min(max(kl for kl, _ in curve) for curve, _ in tried.values())
    found["the equal KL"] = Estimate(target, unit="nats")
    for name, (curve, changes) in tried.items():
        found |= worlds.in_toy(arms[name].toy, made.epochs, name)
        kl, earned = curve[-1]
        found[f"kl, {name}"] = Estimate(kl, unit="nats")
        found[f"reward, {name}"] = Estimate.mean(earned)
        for side, change in worlds.displaced(changes, target).items():
            found[f"change of the {side} at equal KL, {name}"] = change
    ours, _ = tried["asft"]
    for other in OTHERS:
        theirs, _ = tried[other]
        found[f"win rate over {other}"] = paired(ours[-1][1], theirs[-1][1])
        found[f"win rate over {other}, equal KL"] = win_rate_at_kl(ours, theirs, target)
        found[f"lead over {other}, equal KL"] = lead_at_kl(ours, theirs, target)
    return found


CLAIMS = [
    Claim(
        "at equal KL ASFT's answers win against SFT's: the unlikelihood earns something",
        paper="the alignment term helps on MT-Bench, BLEU-4 and ROUGE-L, at no equal KL",
        holds=lambda m: worlds.wins(m["win rate over sft, equal KL"]),
        across=at_least(4, of=5),
        headline=True,
    ),
    Claim(
        "at one learning rate for both, they win more than 55 %",
        paper="the same tables",
        holds=lambda m: m["win rate over sft"].value > 0.55,
        across=at_least(4, of=5),
    ),
    Claim(
        "they win against ORPO's as often as not, to five points",
        paper="ASFT is at least as good as ORPO (the same tables)",
        holds=lambda m: abs(m["win rate over orpo"].value - 0.5) < 0.05,
        across=at_least(5, of=5),
    ),
    Claim(
        "they win against DPO's as often as not, at equal KL",
        paper="ASFT is at least as good as DPO (the same tables)",
        holds=lambda m: m[OVER_DPO].value > 0.5 - 2 * m[OVER_DPO].se,
        across=at_least(4, of=5),
    ),
    Claim(
        "in the toy the mass goes to the chosen response, not to unseen ones as with DPO",
        paper="the gradients in the two probabilities, ASFT's bounded and DPO's not",
        holds=lambda m: (
            m["toy, chosen, asft, 8/8"].value > 0.9
            and m["toy, chosen, dpo, 8/8"].value < 0.4
            and m["toy, unseen, asft"].value < 0.1
            and m[FALLEN + "asft"].value > m[FALLEN + "dpo"].value + 20
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "and SFT does that too: there the unlikelihood moves the rejected by less than a nat",
        paper="not in the paper",
        holds=lambda m: (
            m["toy, chosen, sft, 8/8"].value > m["toy, chosen, asft, 8/8"].value
            and abs(m[FALLEN + "sft"].value - m[FALLEN + "asft"].value) < 1
        ),
        across=at_least(5, of=5),
    ),
]
CONTROL = Control("ablation", "lambda set to 0", arms={"asft": WITHOUT})
FIGURE = (
    Lines(
        "Toy: DPO's chosen response peaks and falls; whatever holds a likelihood rises to 1",
        "epoch of 500",
        "probability of the chosen response",
        {
            name.upper(): [(62.5 * part, f"toy, chosen, {name}, {part}/8") for part in range(9)]
            for name in ARMS
        },
    ),
    Dots(
        "Chat, equal KL: ASFT beats SFT by a little, is just behind ORPO, loses to DPO",
        "win rate of ASFT",
        {f"over {name.upper()}": f"win rate over {name}, equal KL" for name in OTHERS},
        mark=0.5,
    ),
    Dots(
        "and yet DPO is the one that lowers the chosen answers",
        "change of the log-prob (nats a token)",
        {
            f"{side}, {name.upper()}": f"change of the {side} at equal KL, {name}"
            for name in ARMS
            for side in ("chosen", "rejected")
        },
        mark=0.0,
    ),
)
