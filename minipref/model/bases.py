"""The base policies: small models that have read a world's corpus, shipped with their recipe.

    policy = load_base("chat-small", seed=0)

Each stands in `datasets/bases` as NAME-SEED.safetensors in half precision. `python -m
minipref.model.bases` (`make bases`) trains what is missing or older than its recipe; `large` ones
are not shipped and are trained into the cache when they are first asked for.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import random
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from ..data import corpora
from ..data.rows import Rows
from ..data.streams import dice, stream
from ..resources import ROOT, cache_dir
from .checkpoint import load, save
from .fit import Metrics, State, fit
from .logprobs import token_logps
from .transformer import Config, Transformer

Lines = Callable[[int, random.Random], list[corpora.Line]]


@dataclass(frozen=True)
class Base:
    """A recipe: which lines a model of which size reads for how long.

    batch: lines a step; learning_rate: its peak, reached after 50 steps, then falling to 2 %;
    seeds: those that are shipped.
    """

    about: str
    lines: Lines
    vocabulary: int
    width: int
    layers: int
    heads: int
    steps: int
    learning_rate: float
    batch: int = 64
    shipped: bool = True
    seeds: tuple[int, ...] = (0, 1, 2)

    @property
    def config(self) -> Config:
        return Config(self.vocabulary, self.width, self.layers, self.heads)

    def digest(self) -> str:
        """A fingerprint of the recipe and of the lines it reads: the first 500 stand for all."""
        lines = self.lines(500, dice(0, "bases/digest"))
        text = f"{self.config} {self.steps} {self.learning_rate} {self.batch} {lines}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


ONE, TWO = corpora.CHAT.vocabulary_size, corpora.TWO_LANGUAGES.vocabulary_size
APART, STEPS = corpora.APART.vocabulary_size, corpora.REASON.vocabulary_size
FACTS = corpora.RETRIEVE.vocabulary_size

BASES: dict[str, Base] = {
    "chat-nano": Base("chat, the default of rows", corpora.chat, ONE, 32, 2, 2, 2500, 1e-2),
    "chat-small": Base("chat, for tour and notebooks", corpora.chat, ONE, 64, 2, 4, 2500, 5e-3),
    "chat-instruct": Base("obeys a wish", corpora.instruct, ONE, 64, 2, 4, 3000, 5e-3),
    "chat-two-language": Base(
        "two languages, 40 % mixed", corpora.two_languages, TWO, 64, 2, 4, 3000, 5e-3
    ),
    "chat-two-language-apart": Base(
        "two languages, none mixed", corpora.two_languages_apart, TWO, 64, 2, 4, 3000, 5e-3
    ),
    "reader": Base("reads notes", corpora.reader, ONE, 64, 4, 4, 3000, 3e-3),
    "reason": Base("sums in steps", corpora.reason, STEPS, 64, 2, 4, 2000, 5e-3),
    "retrieve": Base(
        "facts by heart, and reads", corpora.retrieve, FACTS, 64, 4, 4, 4000, 3e-3, seeds=(0,)
    ),
    "judge": Base("compares two answers", corpora.judge, ONE, 64, 2, 4, 5000, 3e-3),
    "chat-large": Base(
        "chat, for scaling rows", corpora.chat, ONE, 96, 4, 6, 3000, 3e-3, shipped=False
    ),
}


def load_base(name: str, seed: int = 0) -> Transformer:
    """A base policy in float32, ready to be sampled from or tuned.

    Raises:
        ValueError: there is no recipe of that name; the message gives the nearest ones.
        FileNotFoundError: it is not shipped and was not trained yet; the message says how.
    """
    base = get(name)
    for path in (shipped_path(name, seed), cached_path(name, seed)):
        if path.exists():
            saved = load(path)
            policy = Transformer(base.config)
            policy.load_state_dict({key: w.float() for key, w in saved["weights"].items()})
            return policy
    raise FileNotFoundError(
        f"{name} of seed {seed} is not shipped; "
        f"`python -m minipref.model.bases --only {name} --seeds {seed} --cache` trains it"
    )


def get(name: str) -> Base:
    """The recipe of that name."""
    if name not in BASES:
        near = difflib.get_close_matches(name, BASES, n=3, cutoff=0.3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(BASES)}"
        raise ValueError(f"there is no base policy called {name!r}; {hint}")
    return BASES[name]


def shipped_path(name: str, seed: int) -> Path:
    return ROOT / "datasets" / "bases" / f"{name}-{seed}.safetensors"


def cached_path(name: str, seed: int) -> Path:
    return cache_dir() / "bases" / f"{get(name).digest()}-{name}-{seed}.safetensors"


def train_base(name: str, seed: int, progress: str | None = None) -> tuple[Transformer, State]:
    """Train a base by its recipe: AdamW on the mean negative log-likelihood of response tokens."""
    base = get(name)
    lines = base.lines(base.steps * base.batch, dice(seed, f"bases/{name}/corpus"))
    policy = Transformer(base.config, stream(seed, f"bases/{name}/weights"))
    optimizer = torch.optim.AdamW(
        policy.parameters(), base.learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )

    def update(state: State) -> Metrics:
        warm, left = (state.step + 1) / 50, 1 - state.step / base.steps
        for group in optimizer.param_groups:
            group["lr"] = base.learning_rate * min(1.0, warm) * max(0.02, left)
        start = state.step * base.batch
        asked, answered = zip(*lines[start : start + base.batch], strict=True)
        rows = Rows.of(asked, answered)
        loss = -token_logps(policy, rows).sum() / rows.completion_mask.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        return {"loss": loss.item()}

    state = State(seed, {"policy": policy, "optimizer": optimizer})
    return policy, fit(state, update, base.steps, progress=progress)


def build(name: str, seed: int, path: Path, progress: str | None = None) -> dict[str, Any]:
    """Train a base and write it to `path`, in half precision; returns what it took."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one core a base: several are trained side by side
    start = time.perf_counter()
    policy, state = train_base(name, seed, progress)
    torch.set_num_threads(threads)
    facts = {
        "name": name,
        "seed": seed,
        "parameters": sum(parameter.numel() for parameter in policy.parameters()),
        "loss": round(statistics.fmean(entry["loss"] for entry in state.history[-100:]), 4),
        "seconds": round(time.perf_counter() - start),
        "recipe": get(name).digest(),
    }
    weights = {key: weight.half() for key, weight in policy.state_dict().items()}
    save(path, {"weights": weights, "facts": facts})
    return facts


def is_current(name: str, path: Path) -> bool:
    """Does the file stand there, and was it made by today's recipe?"""
    return path.exists() and load(path)["facts"]["recipe"] == get(name).digest()


def main(arguments: list[str] | None = None) -> None:
    """The command behind `make bases`."""
    parser = argparse.ArgumentParser(
        prog="minipref.model.bases", description="Train the base policies that are not up to date."
    )
    parser.add_argument("--only", nargs="*", help="names; all shipped ones by default")
    parser.add_argument("--seeds", nargs="*", type=int, help="those of the recipe by default")
    parser.add_argument("--jobs", type=int, default=2, help="bases trained side by side")
    parser.add_argument("--force", action="store_true", help="train again what is up to date")
    parser.add_argument("--cache", action="store_true", help="into the cache, not the checkout")
    options = parser.parse_args(arguments)
    names = options.only or [name for name, base in BASES.items() if base.shipped]
    place = cached_path if options.cache else shipped_path
    wanted = [
        (name, seed, place(name, seed))
        for name in names
        for seed in options.seeds or get(name).seeds
    ]
    due = [job for job in wanted if options.force or not is_current(job[0], job[2])]
    with ProcessPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(build, *job) for job in due]
        for job in track(as_completed(jobs), "base policies", total=len(jobs)):
            facts = job.result()
            print(f"{facts['name']}-{facts['seed']}: loss {facts['loss']}, {facts['seconds']} s")
    print(f"{len(due)} trained, {len(wanted) - len(due)} up to date")


if __name__ == "__main__":
    main()
