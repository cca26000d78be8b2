"""054 ln-dpo: means over tokens in place of sums shorten answers; or is it that they move less?

DPO's margin is a sum over tokens: a long answer moves it more, and where annotators like length the
policy learns to be long. LN-DPO takes means, over the reference's as DPO does; SimPO takes means
and no reference. The study trains each over a grid of settings and tests on prompts from elsewhere.

Here seven chosen answers in ten are the longer ones (of the pairs that differ), whatever they are
worth; policies read the pairs once, on five kinds of prompt, and answer three others. Five settings
a method, one learning rate for all. A beta on means does what one L times smaller does on sums of L
tokens, and answers have 11 here, not hundreds: LN-DPO gets DPO's grid times 11, not the sheet's 1
to 3.5; SimPO its corners and centre. The best of m random settings is chosen on either half of the
prompts and paid on the other. The judge is the truth, not a reward model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...evaluation.estimate import Estimate
from ...evaluation.mixture import lead_at_kl
from ...losses import dpo, simpo
from ...losses.modifiers import length_normalised
from ..figure import Lines
from ..paper import Claim, Control, Paper, at_least
from .long_winded import Pairs, Told, best_of, clear, close, equal_kl, grid, long_winded

PAPER = Paper(
    number=54,
    key="ln-dpo",
    title="The Hitchhiker's Guide to Human Alignment with *PO",
    arxiv="2407.15229",
    kind="analysis",
    world="chat",
    model="chat-nano, and a frozen reference (none for SimPO)",
    data="two of the base's own answers to each of 1280 prompts of five kinds; three other kinds",
    feedback="Bradley-Terry labels with a weakness for length",
    algorithm="DPO, DPO of mean log-probs, SimPO; five settings each",
    limit="Tuned, LN-DPO is 0.3 to 1.2 tokens shorter, mostly for staying nearer: at equal KL by "
    "-0.3 to 0.7 (a seed shows 0.25), SimPO by 0.4 to 1.9. Best rewards lie within 7 % (a seed "
    "shows 2). A random setting of LN-DPO earns 0.05 to 0.5 less than DPO's: weak betas run off.",
)
STRENGTHS = (0.5, 0.3, 0.1, 0.05, 0.01)
BETAS = [{"beta": beta} for beta in STRENGTHS]
LN_BETAS = [{"beta": 11 * beta} for beta in STRENGTHS]
MARGINS = [{"beta": 2.5, "gamma": 0.5}, {"beta": 2.5, "gamma": 1.5}, {"beta": 1.75, "gamma": 1.0}]
MARGINS += [{"beta": 1.0, "gamma": 0.5}, {"beta": 1.0, "gamma": 1.5}]
setup = long_winded
ARMS = {
    "dpo": grid(dpo, BETAS),
    "ln_dpo": grid(length_normalised(dpo), LN_BETAS),
    "simpo": grid(simpo, MARGINS),
}


def measure(made: Pairs, arms: Mapping[str, Sequence[Told]]) -> dict[str, Estimate]:
    """Every setting; the best of m; leads over DPO, at the best and at equal KL."""
    found = {"chosen is the longer": made.longer}
    shared = equal_kl(list(arms.values()))
    found["the equal KL"] = Estimate(shared, unit="nats")
    for name, tried in arms.items():
        for m in range(1, 6):
            best = best_of(m, tried, "rewards")
            found[f"reward of the best of {m}, {name}"] = Estimate.mean(best)
        for i, told in enumerate([made.of_base, *tried]):
            found[f"kl, {name}, {i}"] = Estimate(told.kl, unit="nats")
            found[f"reward, {name}, {i}"] = Estimate.mean(told.rewards)
            found[f"length, {name}, {i}"] = Estimate.mean(told.lengths, unit="tokens")
            found[f"chosen gained, {name}, {i}"] = Estimate.mean(told.gained, unit="nats")
    weakest = arms["ln_dpo"][-1].gained - arms["dpo"][-1].gained
    found["chosen gained over DPO's, weakest, ln_dpo"] = Estimate.mean(weakest, unit="nats")
    for name in ("ln_dpo", "simpo"):
        for what in ("rewards", "lengths"):
            for said, m in (("a random setting", 1), ("the best", 5)):
                lead = best_of(m, arms[name], what) - best_of(m, arms["dpo"], what)
                found[f"{what} over DPO's, {said}, {name}"] = Estimate.mean(lead)
            ours, theirs = (
                [(told.kl, getattr(told, what)) for told in [made.of_base, *arms[key]]]
                for key in (name, "dpo")
            )
            found[f"{what} over DPO's, equal KL, {name}"] = lead_at_kl(ours, theirs, shared)
    return found


CLAIMS = [
    Claim(
        "at its best setting LN-DPO answers shorter than DPO",
        paper="LN-DPO's responses are shorter than DPO's, at the same or better quality",
        holds=lambda m: clear(m["lengths over DPO's, the best, ln_dpo"], -1),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "the best settings of the three tie: their true rewards lie within 3 %",
        paper="at their best the methods perform alike",
        holds=lambda m: close([m[f"reward of the best of 5, {name}"] for name in ARMS]),
        across=at_least(4, of=5),
    ),
    Claim(
        "a setting at random earns more in LN-DPO or SimPO than in DPO",
        paper="SimPO is the least sensitive to hyper-parameters, and LN-DPO less than DPO",
        holds=lambda m: any(
            clear(m[f"rewards over DPO's, a random setting, {name}"])
            for name in ("ln_dpo", "simpo")
        ),
        across=at_least(4, of=5),
    ),
    Claim(
        "at equal KL too LN-DPO answers shorter than DPO",
        paper="not in the paper, which compares best runs",
        holds=lambda m: clear(m["lengths over DPO's, equal KL, ln_dpo"], -1),
        across=at_least(4, of=5),
    ),
    Claim(
        "at the weakest beta LN-DPO makes the chosen less likely than DPO does",
        paper="not in the paper; an answer's coefficients sum to beta on means, to beta L on sums",
        holds=lambda m: clear(m["chosen gained over DPO's, weakest, ln_dpo"], -1),
        across=at_least(4, of=5),
    ),
]
CONTROL = Control("ablation", "no means: DPO's loss and grid", arms={"ln_dpo": ARMS["dpo"]})
TITLES = {"dpo": "DPO", "ln_dpo": "LN-DPO", "simpo": "SimPO"}
FIGURE = (
    Lines(
        "Tuned, they come close; untuned, LN-DPO loses",
        "settings tried (m)",
        "reward of the best",
        {
            title: [(m, f"reward of the best of {m}, {name}") for m in range(1, 6)]
            for name, title in TITLES.items()
        },
    ),
    Lines(
        "At equal KL SimPO is shorter, LN-DPO hardly",
        "KL from the base (nats), a dot a setting",
        "tokens an answer",
        {
            title: [(f"kl, {name}, {i}", f"length, {name}, {i}") for i in range(6)]
            for name, title in TITLES.items()
        },
    ),
    Lines(
        "The weak betas of LN-DPO sink the chosen",
        "KL from the base (nats), a dot a setting",
        "nats the chosen gain",
        {
            title: [(f"kl, {name}, {i}", f"chosen gained, {name}, {i}") for i in range(6)]
            for name, title in TITLES.items()
        },
    ),
)
