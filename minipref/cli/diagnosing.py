"""``minipref diagnose``: what a run's history says is the matter, in words and with its numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from ..evaluation.diagnosis import Diagnosis, Finding, History


def diagnose(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A history: history.json, TRL's trainer_state.json, a checkpoint of minipref, or "
            "the folder of a run.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False,
) -> None:
    """Say what is the matter with a training run, why, and what to do.

    Reads what the run has logged and asks some sixteen rules about it: a loss pinned at 0.6931, a
    reference that moves, dropout, lengths learnt in place of taste, groups without variance, a
    policy that runs away ... Some findings are no fault: chosen responses that become less likely
    under DPO are how that loss works.

    [bold]minipref diagnose out/[/bold]
    [bold]minipref diagnose checkpoint-500/trainer_state.json --json[/bold]

    Log every step (TRL: logging_steps=1), the first above all: what is seen before the first
    update tells most. docs/metrics.md explains every metric and rule.

    Exit code 0 when nothing is wrong, 1 when a fault was found, 2 when there is nothing to read.
    """
    from ..evaluation.diagnosis import diagnose as ask
    from ..evaluation.diagnosis import read

    history = read(run)
    found = ask(history)
    if as_json:
        print(json.dumps(plain(history, found), indent=1))
    else:
        told(history, found)
    raise typer.Exit(1 if any(finding.rule.fault for finding in found.findings) else 0)


def plain(history: History, found: Diagnosis) -> dict[str, object]:
    """What other programs get."""
    return {
        "writer": history.writer,
        "steps": history.steps,
        "findings": [finding.plain() for finding in found.findings],
        "silent": found.silent,
        "blind": found.blind,
    }


def told(history: History, found: Diagnosis) -> None:
    """The diagnosis for people."""
    from rich.console import Console

    from ..evaluation.diagnosis import METRICS, RULES

    out = Console(highlight=False)
    known = sum(name in METRICS for name in history.curves)
    out.print(
        f"{history.steps} steps, {known} known metrics of {len(history.curves)} "
        f"({'TRL' if history.writer == 'trl' else 'minipref'})\n"
    )
    for finding in found.findings:
        show(out, finding)
    if not found.findings:
        out.print("[green]✓[/green] nothing found that these rules know\n")
    out.print(f"{len(found.silent)} rules looked and saw nothing.")
    for name, missing in found.blind.items():
        if len(missing) < len(RULES[name].needs):  # all of them: it is about another kind of run
            out.print(f"[dim]{name} could not look: no {', '.join(missing)}[/dim]")


def show(out: Console, finding: Finding) -> None:
    """One finding: what, the evidence, why, what to do."""
    from rich.markup import escape
    from rich.padding import Padding

    rule = finding.rule
    mark = "[red]✗[/red]" if rule.fault else "[yellow]i[/yellow]"
    out.print(f"{mark} [bold]{escape(rule.title)}[/bold]  [dim]{rule.name}[/dim]")
    for title, said in (
        ("seen", finding.evidence),
        ("why", rule.why),
        ("do", rule.cure),
        ("see", rule.see),
    ):
        out.print(Padding(f"[bold]{title}:[/bold] {escape(said)}", (0, 0, 0, 4)))
    out.print()
