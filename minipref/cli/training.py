"""``minipref train``: preference learning on a file of your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from minipref.algorithm.own_data.corpus import Corpus
    from minipref.evaluation.own_data.findings import Findings

TINY = (3e-3, 3e-4)  # learning rates: from nothing, and of a policy that can speak
LARGE = (2e-5, 1e-6)


def train(
    data: Annotated[
        Path, typer.Option(metavar="FILE", help="JSON lines: pairs, points or rankings.")
    ],
    loss: Annotated[str, typer.Option(metavar="NAME", help="A loss that `losses` lists.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder the run goes to.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in DIR, to the same bits.")
    ] = False,
    steps: Annotated[int, typer.Option(help="Steps on the loss.", min=0)] = 300,
    supervised_steps: Annotated[
        int, typer.Option(help="Steps on the liked responses, before.", min=0)
    ] = 1000,
    batch_size: Annotated[int, typer.Option(help="Records a step.", min=1)] = 16,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of the loss: 3e-4, or 1e-6 with --model.")
    ] = None,
    supervised_learning_rate: Annotated[
        float | None, typer.Option(help="Before it: 3e-3, or 2e-5 with --model.")
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Of the loss, such as beta=0.2."),
    ] = None,
    max_length: Annotated[
        int,
        typer.Option(help="Tokens (bytes) of a prompt's end and of a response, half each."),
    ] = 256,
    held_out: Annotated[float, typer.Option(help="Share of prompts kept for the test.")] = 0.1,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad lines out and count them.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Every random draw follows from it.", min=0)] = 0,
    model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A Hugging Face causal LM and its tokenizer, on disk."),
    ] = None,
    save_every: Annotated[int, typer.Option(help="Steps between checkpoints.", min=1)] = 25,
) -> None:
    """Teach a tiny model, or your own, the preferences in your file, and say what came of it.

    First the liked responses are imitated, then the loss is minimised, with that model frozen as
    the reference where it needs one. Prompts are held out, and report.md says how often their
    preferences are foreseen, beside rules that need no model, with samples before and after.

    [bold]minipref train --data pairs.jsonl --loss dpo --out run[/bold]
    [bold]minipref train --data points.jsonl.gz --loss kto --set beta=0.2 --out run[/bold]
    [bold]minipref train --data pairs.jsonl --loss ipo --model my-llama --out run[/bold]
    [bold]torchrun --nproc-per-node 2 -m minipref train ...[/bold]

    A killed run goes on with --resume: the same command, and the result has the same bits. DIR gets
    plan.json, history.json, the model and report.md. With torchrun each process computes its share
    of every batch.
    """
    from minipref.algorithm.own_data.parallel import is_first, processes, together
    from minipref.algorithm.own_data.plan import Plan
    from minipref.cli.checking import number
    from minipref.evaluation.own_data.experiment import experiment

    usual = TINY if model is None else LARGE
    plan = Plan(
        data=data.name,
        data_sha256="",
        loss=loss,
        hyperparameters=dict(number(text) for text in fixed or []),
        seed=seed,
        steps=steps,
        supervised_steps=supervised_steps,
        batch_size=batch_size,
        supervised_learning_rate=(
            usual[0] if supervised_learning_rate is None else supervised_learning_rate
        ),
        learning_rate=usual[1] if learning_rate is None else learning_rate,
        max_length=max_length,
        held_out=held_out,
        skip_bad=skip_bad,
        processes=processes(),
    )
    with together():
        first = is_first()
        found = experiment(
            plan,
            data,
            out,
            model=model,
            resume=resume,
            every=save_every,
            tell=print if first else lambda news: None,
            progress=True,
        )
    if found is not None:
        told(*found, out)


def told(corpus: Corpus, found: Findings, out: Path) -> None:
    """What a user wants to know first; the rest is in the report."""
    from rich.console import Console
    from rich.table import Table

    console, counts = Console(highlight=False), corpus.counts
    console.print(
        f"\ncut to fit: {counts.prompts_cut:,} prompts and {counts.responses_cut:,} responses of "
        f"{counts.texts:,}\n"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("ranked by", "held-out accuracy", "standard error"):
        table.add_column(title)
    for who, accuracy in found.accuracy.items():
        table.add_row(who, f"{accuracy.value:.3f}", f"{accuracy.se:.3f}")
    console.print(table)
    console.print(f"\n{out / 'report.md'} says what this means.", soft_wrap=True)
