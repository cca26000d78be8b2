"""The tour: one tiny policy, one annotator, three ways to learn from its preferences."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ..algorithm.align import AsStored, GradientStep, align
from ..algorithm.objective import Objective
from ..algorithm.sources import Stored, sample, with_reference
from ..data.batch import Batch
from ..data.corpora import CHAT
from ..data.streams import dice, stream
from ..evaluation.best_of_n import expected_best, frontier, kl_bound
from ..evaluation.divergence import kl
from ..evaluation.estimate import Estimate
from ..evaluation.responses import length, respond, rewards, score_means, true_reward
from ..evaluation.win_rate import win_rate
from ..feedback.annotators import bt
from ..feedback.points import Points
from ..model.bases import load_base, train_base
from ..model.fit import Metrics, Probe
from ..model.logprobs import sequence_logps
from ..model.transformer import Transformer
from .changes import marked
from .pictures.tour import Way
from .pictures.tour import tour as picture

BASE = "chat-small"
PROMPTS, PER_PROMPT, BATCH, STEPS = 5000, 2, 64, 150
EVALUATED, CANDIDATES, SHOWN = 1024, 16, 5
ANNOTATOR = bt(CHAT.reward, temperature=0.2)


@dataclass(frozen=True)
class Method:
    """A loss and its settings, chosen on seeds 100 and 101."""

    name: str
    loss: str
    learning_rate: float
    points: bool = False  # does it learn from single answers, good or bad, and not from pairs?
    hyperparameters: dict[str, float] = field(default_factory=dict)


METHODS = (
    Method("DPO", "dpo", 5e-4, hyperparameters={"beta": 1.0}),
    Method("SimPO", "simpo", 2e-4, hyperparameters={"beta": 2.0, "gamma": 1.0}),
    Method("KTO", "kto", 3e-4, points=True, hyperparameters={"beta": 1.0}),
)


def tour(*, seed: int = 0, from_scratch: bool = False, figure: Path = Path("tour.png")) -> None:
    """Align a policy with DPO, SimPO and KTO, and show what changed.

    Args:
        seed: every random draw follows from it.
        from_scratch: train the base policy instead of loading it (two minutes).
        figure: where the picture goes; written first when DPO is done.
    """
    console = Console(highlight=False)
    torch.set_num_threads(1)  # tiny models: a second thread waits more than it helps
    console.rule("1  A policy")
    if from_scratch:
        base, _ = train_base(BASE, seed, progress="reading the corpus")
    else:
        base = load_base(BASE)
    size = sum(parameter.numel() for parameter in base.parameters())
    console.print(
        f"A transformer of {size:,} parameters that has read short questions and answers. It is "
        "polite half of the time and right two times in three.\n"
    )

    console.rule("2  Preferences")
    with console.status(f"{PROMPTS} prompts, {PER_PROMPT} responses each ..."):
        prompts = CHAT.prompts(PROMPTS, dice(seed, "tour/prompts"))
        rng = stream(seed, "tour/responses")
        responses = sample(base, CHAT, prompts, torch.arange(PROMPTS), PER_PROMPT, rng)
        pairs = ANNOTATOR.label(responses, stream(seed, "tour/labels"))
        points = Points(ANNOTATOR).label(responses, stream(seed, "tour/labels"))
        evaluated = CHAT.prompts(EVALUATED, dice(seed, "tour/evaluation"))
        before = respond(base, CHAT, evaluated, seed=seed)
        candidates = respond(
            base, CHAT, evaluated[: EVALUATED // 2], per_prompt=CANDIDATES, seed=seed + 1
        )
        pool = rewards(CHAT, candidates).view(-1, CANDIDATES)  # (prompts, candidates)
    show_pairs(console, pairs)

    console.rule("3  Three ways to learn from them")
    paths: dict[str, Way] = {}
    histories: dict[str, list[Metrics]] = {}
    answers: dict[str, Batch] = {}
    for method in METHODS:
        data = with_reference(points if method.points else pairs, base)
        watch = Watch(base, pairs, evaluated, seed)
        policy = train(method, base, data, watch, seed)
        paths[method.name], histories[method.name] = watch.path, watch.history
        answers[method.name] = respond(policy, CHAT, evaluated, seed=seed)
        draw(paths, frontier(pool), histories, figure)
        console.print(f"   picture: {figure}")
    console.print()

    console.rule("4  What changed")
    show_changes(console, before, answers["DPO"])
    show_table(console, before, answers, paths, pool)
    console.print(
        f"\nThe picture is {figure}: reward against KL, and how the log-probs of the chosen "
        "responses moved while the rejected ones fell.\n"
        "Next: [bold]make lab[/bold] opens the course at notebook 00; "
        "[bold]minipref show dpo[/bold] prints the loss to copy."
    )


def draw(
    paths: dict[str, Way],
    best_of_n: list[tuple[float, float]],
    histories: dict[str, list[Metrics]],
    file: Path,
) -> None:
    """Write the picture of what is known so far."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fig = picture(paths, best_of_n, histories)
    fig.savefig(file, dpi=150)
    plt.close(fig)


class Watch:
    """What is measured while a policy learns."""

    def __init__(self, base: Transformer, pairs: Batch, prompts: list[Any], seed: int):
        self.base, self.prompts, self.seed = base, prompts[: EVALUATED // 2], seed
        self.pairs = pairs.take_pairs(torch.arange(256))
        self.history: list[Metrics] = []
        self.path: list[tuple[Estimate, Estimate]] = []

    def log_probs(self, policy: Transformer, step: int) -> Metrics:
        """Mean log-probs of 256 training pairs."""
        with torch.no_grad():
            chosen, rejected = sequence_logps(policy, self.pairs.rows).chunk(2)
        seen = {"chosen": float(chosen.mean()), "rejected": float(rejected.mean())}
        self.history.append({"step": step} | seen)
        return seen

    def progress(self, policy: Transformer) -> Metrics:
        """KL and true reward of fresh responses."""
        batch = respond(policy, CHAT, self.prompts, seed=self.seed)
        self.path.append((kl(policy, self.base, batch), true_reward(CHAT, batch)))
        return {}

    def probes(self, policy: Transformer, step: GradientStep) -> tuple[Probe, ...]:
        """Both, as `align` takes them."""
        return (
            Probe(lambda: self.log_probs(policy, step.taken), every=10),
            Probe(lambda: self.progress(policy), every=50),
        )


def train(method: Method, base: Transformer, data: Batch, watch: Watch, seed: int) -> Transformer:
    """The policy that a method makes of the base."""
    policy = copy.deepcopy(base)
    reference = base if method.points else None  # KTO asks it for more than the stored log-probs
    step = GradientStep(policy, method.learning_rate, STEPS)
    align(
        policy,
        Stored(data, 2 * BATCH if method.points else BATCH, bucket=8),
        AsStored(),
        Objective.of(method.loss, reference=reference, **method.hyperparameters),
        STEPS,
        seed=seed,
        step=step,
        probes=watch.probes(policy, step),
        progress=f"{method.name:6s}",
    )
    return policy


def show_pairs(console: Console, pairs: Batch) -> None:
    """A few prompts with the answer that was preferred, and the one that was not."""
    assert pairs.pairs is not None
    console.print(
        f"{len(pairs.pairs)} pairs, labelled by an annotator who mostly prefers the better answer."
    )
    for chosen, rejected in pairs.pairs[:3].tolist():
        console.print(f"\n  [dim]{CHAT.read(pairs.prompts[chosen])}[/dim]")
        console.print(f"    preferred  {pairs.responses[chosen]}")
        console.print(f"    over       {pairs.responses[rejected]}")
    console.print()


def show_changes(console: Console, before: Batch, after: Batch) -> None:
    """Prompts whose answer changed for the better or the worse, one a kind."""
    kinds: set[str] = set()
    for prompt, old, new in zip(before.prompts, before.responses, after.responses, strict=True):
        if len(kinds) == SHOWN or old == new or prompt.kind in kinds:
            continue
        kinds.add(prompt.kind)
        left, right = marked(old, new)
        console.print(f"  [dim]{CHAT.read(prompt)}[/dim]")
        console.print("    before  ", left, f"  [dim]{CHAT.reward(prompt, old):.1f}[/dim]")
        console.print("    DPO     ", right, f"  [dim]{CHAT.reward(prompt, new):.1f}[/dim]\n")


def show_table(
    console: Console,
    before: Batch,
    answers: dict[str, Batch],
    paths: dict[str, Way],
    pool: Tensor,
) -> None:
    """Every policy's reward and what it cost, with standard errors."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("", "true reward", "win rate", "KL (nats)", "length (tokens)", "well-formed (%)"):
        table.add_column(title, justify="left" if not title else "right")

    def row(name: str, batch: Batch, wins: str, nats: str) -> None:
        formed = score_means(CHAT, batch)["well_formed"]
        percent = f"{100 * formed.value:.1f} ± {100 * formed.se:.1f}"
        tokens = length(batch)
        size = f"{tokens.value:.1f} ± {tokens.se:.1f}"
        table.add_row(name, str(true_reward(CHAT, batch)), wins, nats, size, percent)

    row("base", before, "", "0")
    for name, batch in answers.items():
        row(name, batch, str(win_rate(CHAT, batch, before)), str(paths[name][-1][0]).split(" n")[0])
    best = expected_best(pool, CANDIDATES)
    table.add_row(f"best of {CANDIDATES}", str(best), "", f"{kl_bound(CANDIDATES):.2f}", "", "")
    console.print(table)
