"""102 diffusion-dpo: prefer images without knowing how likely they are.

DPO needs the log-probability of a response, and a diffusion model has none to give. It has an
error: how wrong it is about the noise in a noised image. Minus that error bounds the likelihood, so
Diffusion-DPO puts the error, relative to a frozen copy's, where DPO has the log-ratio. Both images
of a pair get the same noise at the same random time; the rest of the draw then cancels.

Here an image is a point of the plane, the model knows a ring of eight modes, and people prefer
points to the right. The rival is fine-tuning on the preferred points (SFT), at equal steps and at
equal KL of the whole denoising path. The reward is a straight line here and the pairs are the
base's own points; neither the captions nor the eye of the real thing are in it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.direct.diffusion import DiffusionDPO, ErrorLoss, NoisedPairs, sft
from ...data.diffusion import Ring
from ...data.streams import stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.matched import reward_at_kl
from ...evaluation.win_rate import paired
from ...losses import diffusion_dpo
from ...model.denoiser import Denoiser, path_kl, paths, sample
from ...model.denoiser_base import load_denoiser
from ..figure import Dots, Lines
from ..paper import Claim, Control, Paper, at_least

PAPER = Paper(
    number=102,
    key="diffusion-dpo",
    title="Diffusion Model Alignment Using Direct Preference Optimization",
    arxiv="2311.12908",
    kind="algorithm",
    world="diffusion",
    model="a DDPM of 50 steps over points of the plane, and its frozen copy",
    data="4000 pairs of the base's own points",
    feedback="Bradley-Terry labels of the true reward, scale 4",
    algorithm="DPO on differences of denoising errors at a shared time and noise",
)
WORLD = Ring()
PAIRS, STEPS, RATE, POINTS = 4000, 400, 3e-4, 3000
BETAS = (400, 100, 50, 20, 5)
LEASH = ["base", *(f"dpo {beta}" for beta in BETAS)]  # the weaker, the further
WEAKER = list(pairwise(LEASH[1:]))


@dataclass(frozen=True)
class Setup:
    """A base that knows the ring, and labelled pairs of its points."""

    base: Denoiser
    pairs: NoisedPairs
    seed: int
    scale: float


def setup(seed: int, scale: float) -> Setup:
    base, scale = load_denoiser(seed % 3), min(scale, 1.0)
    first, second = sample(base, round(scale * 2 * PAIRS), stream(seed, "102/points")).chunk(2)
    pairs = NoisedPairs(*WORLD.label(first, second, stream(seed, "102/labels")))
    return Setup(base, pairs, seed, scale)


def tuned(made: Setup, *, beta: float | None, loss: ErrorLoss = diffusion_dpo) -> Denoiser:
    """Diffusion-DPO at this beta; fine-tuning on the chosen points for None."""
    policy = copy.deepcopy(made.base)
    objective = sft if beta is None else DiffusionDPO(policy, beta=beta, loss=loss)
    steps, step = round(made.scale * STEPS), GradientStep(policy, RATE)
    align(policy, made.pairs, AsStored(), objective, steps, seed=made.seed, step=step)
    count(settings=1)
    return policy


def winners_only(chosen: Tensor, rejected: Tensor, *refs: Tensor, beta: float) -> Tensor:
    """The loss with a rejected side that never changes."""
    return diffusion_dpo(chosen, refs[1], *refs, beta=beta)


ARMS = {"sft": partial(tuned, beta=None)} | {
    f"dpo {beta}": partial(tuned, beta=beta) for beta in BETAS
}


def measure(made: Setup, arms: Mapping[str, Denoiser]) -> dict[str, Estimate]:
    """On fresh points of each model, drawn independently; KL of the paths they came along."""
    found, rewards = {}, {}
    for name, policy in ({"base": made.base} | dict(arms)).items():
        walked = paths(policy, round(made.scale * POINTS), stream(made.seed, f"102/{name}"))
        kls = path_kl(policy, made.base, walked[:, :500])
        rewards[name] = WORLD.reward(walked[-1])
        found[f"reward, {name}"] = Estimate.mean(rewards[name])
        found[f"in a mode, {name}"] = Estimate.mean(WORLD.in_mode(walked[-1]).double())
        found[f"kl, {name}"] = Estimate.mean(kls, unit="nats a path")
    for other in ("base", "sft"):
        found[f"win rate over {other}"] = paired(rewards["dpo 20"], rewards[other])
    curve = [(found[f"kl, {name}"].value, found[f"reward, {name}"]) for name in LEASH]
    found["reward at SFT's KL"] = reward_at_kl(curve, found["kl, sft"].value)
    return found


CLAIMS = [
    Claim(
        "Diffusion-DPO beats the base and fine-tuning on the winners, and stays on the ring",
        paper="DPO-SDXL preferred to SDXL by 70 % (PartiPrompts) and 65 % (HPSv2), beyond SFT",
        holds=lambda m: (
            m["win rate over sft"].value > 0.6
            and m["win rate over base"].value > 0.7
            and m["in a mode, dpo 20"].value > m["in a mode, base"].value - 0.03
        ),
        across=at_least(5, of=5),
        headline=True,
    ),
    Claim(
        "beta is the leash: the weaker, the more reward, until the points leave the ring",
        paper="beta as the KL penalty; 2000 to 5000 is its useful range for Stable Diffusion",
        holds=lambda m: (
            all(m[f"reward, {a}"].value + 0.05 < m[f"reward, {b}"].value for a, b in WEAKER)
            and m["in a mode, dpo 5"].value < m["in a mode, base"].value - 0.05
        ),
        across=at_least(5, of=5),
    ),
    Claim(
        "DPO's lead is distance: at the KL where SFT stops it earns no more than SFT",
        paper="not in the paper",
        holds=lambda m: m["reward at SFT's KL"].value < m["reward, sft"].value,
        across=at_least(4, of=5),
    ),
]
without = partial(tuned, beta=20, loss=winners_only)
CONTROL = Control("ablation", "the loser's errors left out", arms={"dpo 20": without})
FIGURE = (
    Lines(
        "SFT stops where the winners are; a weaker leash takes DPO further",
        "KL from the base (nats a path)",
        "true reward",
        {"DPO": [(f"kl, {x}", f"reward, {x}") for x in LEASH], "SFT": [("kl, sft", "reward, sft")]},
    ),
    Dots("Too weak a leash leaves the ring", "in a mode", {x: f"in a mode, {x}" for x in ARMS}),
)
