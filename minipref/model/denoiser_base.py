"""The base denoiser: what the ring's own points have taught it, shipped with its recipe.

    denoiser = load_denoiser(seed=0)

Three seeds stand in `datasets/denoisers` in half precision; `python -m
minipref.model.denoiser_base` trains them again, 12 seconds each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from ..data.diffusion import Ring
from ..data.streams import stream
from ..resources import ROOT
from .checkpoint import load, save
from .denoiser import Denoiser, errors
from .fit import Metrics, State, fit

SEEDS = (0, 1, 2)
STEPS, BATCH, LEARNING_RATE = 4500, 256, 5e-3


def load_denoiser(seed: int = 0) -> Denoiser:
    """A shipped base, in float32, ready to be sampled from or tuned.

    Raises: ValueError for a seed that is not shipped.
    """
    if seed not in SEEDS:
        raise ValueError(f"seed: expected one of {', '.join(map(str, SEEDS))}, got {seed}")
    denoiser = Denoiser()
    weights = load(path_of(seed))["weights"]
    denoiser.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return denoiser


def path_of(seed: int) -> Path:
    return ROOT / "datasets" / "denoisers" / f"ring-{seed}.safetensors"


def pretrain(seed: int, steps: int = STEPS, progress: str | None = None) -> Denoiser:
    """Adam on the error at a random time, with a learning rate that falls linearly to nothing.

    Fewer or smaller steps leave samples between the modes, which reward cannot tell apart.
    """
    world, denoiser = Ring(), Denoiser(generator=stream(seed, "denoiser/weights"))
    optimizer = torch.optim.Adam(denoiser.parameters(), LEARNING_RATE, fused=True)

    def update(state: State) -> Metrics:
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - state.step / steps)
        rng = state.stream("denoiser/points")
        x0 = world.points(BATCH, rng)
        t = torch.randint(len(denoiser.schedule), (BATCH,), generator=rng)
        loss = errors(denoiser, x0, t, torch.randn(BATCH, 2, generator=rng)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}

    state = State(seed, {"denoiser": denoiser, "optimizer": optimizer})
    fit(state, update, steps, progress=progress)
    return denoiser


def main(seeds: list[str]) -> None:
    """Train the bases of these seeds, all shipped ones by default, and write them."""
    torch.set_num_threads(1)
    for seed in map(int, seeds or SEEDS):
        denoiser = pretrain(seed, progress=f"ring-{seed}")
        save(path_of(seed), {"weights": {n: w.half() for n, w in denoiser.state_dict().items()}})


if __name__ == "__main__":
    main(sys.argv[1:])
