"""docs/losses.md: every loss, what others call it, which becomes which, and what has another name.

Nothing on that page is typed: it is written from the registry, the docstrings, the table of
reductions, `losses/conventions`, `losses/elsewhere` and the comparisons with TRL that are executed
(`evaluation/peers`). `python -m minipref.course.pages` writes it, and docs/syllabus.md too; tests
hold the files to it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..evaluation.diagnosis import GLOSSARY, RULES
from ..evaluation.peers import PEERS
from ..evaluation.peers.comparison import Comparison
from ..losses import modifiers
from ..losses.conventions import CLASHES, FLAGS, READ
from ..losses.elsewhere import ALIASES, ELSEWHERE, GROUPS
from ..losses.reductions import REDUCTIONS, Reduction
from ..losses.registry import REGISTRY, Entry
from ..resources import ROOT
from . import syllabus

PAGE = "docs/losses.md"
METRICS_PAGE = "docs/metrics.md"
KINDS = {
    "pairwise": "Pairs: a chosen and a rejected response",
    "pointwise": "Points: single responses",
    "listwise": "Lists: several responses to a prompt",
    "tokenwise": "Tokens",
    "policy_gradient": "Policy gradients",
    "reward": "Reward models",
    "diffusion": "Diffusion models",
}
MODIFIERS: tuple[Callable[..., Any], ...] = (
    modifiers.smoothed,
    modifiers.robust,
    modifiers.length_normalised,
    modifiers.desensitised,
    modifiers.weighted,
    modifiers.with_nll,
    modifiers.with_divergence,
    modifiers.wpo_weights,
    modifiers.group_robust_weights,
    modifiers.mixed_reference,
)
Rows = Iterable[tuple[str, ...]]


def write(root: Path = ROOT) -> None:
    (root / PAGE).write_text(losses_page(), encoding="utf-8")
    (root / METRICS_PAGE).write_text(metrics_page(), encoding="utf-8")
    (root / syllabus.PAGE).write_text(syllabus.syllabus_page(), encoding="utf-8")


def losses_page() -> str:
    """The whole page."""
    lines = [
        "# The losses: names and conventions",
        "",
        f"{len(REGISTRY)} losses are registered. {len(ALIASES)} more names of the field stand for",
        f"one of them, and {len(ELSEWHERE)} for a loss on other data, a modifier or no loss: they",
        "are listed below with what to take. `minipref show NAME` prints a loss as a file that",
        "runs by itself; `--from-logits` adds the way from a model's logits.",
        "",
        "Log-probs are a response's sum, its mean or a token's; *reference* says that a reference",
        "policy is needed, *on-policy* that the responses have to be the policy's own. What other",
        "libraries call a loss stands under each kind: their settings, with their defaults; where",
        "their convention is not ours; and with what both are the same number. Where the last two",
        "are empty they are the same as they stand. TRL's lines are executed: tests compare values",
        "and gradients with TRL's own code. The others were read, except where a line says not.",
        "",
        *contents(),
    ]
    for kind, title in KINDS.items():
        lines += ["", f"## {title}", "", *table(LOSSES, loss_rows(kind))]
        lines += ["", "### What others call them", "", *table(OTHERS, other_rows(of_kind(kind)))]
    lines += ["", "## Modifiers", "", "Each takes a loss and gives a loss; they compose.", ""]
    lines += table(("modifier", "what it does", "source"), map(described, MODIFIERS))
    modified = [name for name in (*FLAGS, *PEERS["trl"].names()) if name not in REGISTRY]
    lines += ["", *table(OTHERS, other_rows(dict.fromkeys(modified)))]
    lines += ["", "## Which becomes which", "", "Every line is tested, in value and gradient.", ""]
    lines += table(("loss", "is", "when", "up to"), map(reduction_row, REDUCTIONS))
    lines += ["", "## Same name, other meaning", "", *clashes()]
    lines += ["", "## Other names", "", *other_names()]
    for title, entries in GROUPS.items():
        rows = ((e.name, e.what, code(*e.targets()), linked(e.where)) for e in entries)
        lines += ["", f"## {title}", "", *table(("name", "what it is", "take", "where"), rows)]
    lines += ["", "## What was read", "", *(f"- {name}: {what}" for name, what in READ.items())]
    return "\n".join(lines) + "\n"


LOSSES = ("loss", "what it is", "source", "log-probs", "defaults")
OTHERS = ("loss", "library", "settings", "differs", "equal with")


def contents() -> list[str]:
    """Links to the sections."""
    rest = ["Modifiers", "Which becomes which", "Same name, other meaning", "Other names"]
    titles = (*KINDS.values(), *rest, *GROUPS, "What was read")
    return [f"- [{title}](#{anchor(title)})" for title in titles]


def anchor(title: str) -> str:
    """A heading as the part of a link after #."""
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


def of_kind(kind: str) -> list[str]:
    return sorted(name for name, entry in REGISTRY.items() if entry.family == kind)


def loss_rows(kind: str) -> Iterator[tuple[str, ...]]:
    for name in of_kind(kind):
        entry = REGISTRY[name]
        title, source = read(entry.source)
        yield code(name), title, linked(source), log_probs(entry), settings(entry.hyperparameters)


def read(function: Callable[..., Any]) -> tuple[str, str]:
    """A docstring's first sentence and its source."""
    text = inspect.getdoc(function) or ""
    found = re.search(r"^Source: (.*)", text, flags=re.DOTALL | re.MULTILINE)
    return text.splitlines()[0], " ".join(found[1].split()) if found else ""


def log_probs(entry: Entry) -> str:
    needs = ["reference"] * entry.reference + ["on-policy"] * entry.on_policy
    return ", ".join([*([] if entry.logps == "none" else [entry.logps]), *needs])


def other_rows(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """What TRL and the other libraries have of these losses, a line each."""
    trl = PEERS["trl"]
    for name in names:
        for comparison in trl.of(name):
            chosen = {"": f"`{comparison.trainer}`", **comparison.fixed}
            yield code(name), trl.name, settings(chosen), comparison.difference, equal(comparison)
        if name in trl.absent:
            yield code(name), trl.name, "", trl.absent[name], "none"
        for flag in FLAGS.get(name, ()):
            differs = flag.differs if flag.checked else f"{flag.differs} (not read)".strip()
            yield code(name), flag.library, settings(flag.settings), differs, flag.equal


def equal(comparison: Comparison) -> str:
    """The settings that make a comparison equal, where they are not those of the same name."""
    given = [f"{ours} = {plain(value)}" for ours, value in comparison.given.items()]
    renamed = [f"{key} = {ours}" for key, ours in comparison.mapped.items() if key != ours]
    return ", ".join(given + renamed)


def described(function: Callable[..., Any]) -> tuple[str, str, str]:
    title, source = read(function)
    return code(function.__name__), title, linked(source)


def reduction_row(line: Reduction) -> tuple[str, str, str, str]:
    scale = [] if line.scale == "1" else [f"times {code(line.scale)}"]
    offset = [] if line.offset == "0" else [f"plus {code(line.offset)}"]
    return code(line.loss), code(line.becomes), line.when, " ".join(scale + offset)


def clashes() -> list[str]:
    rows = (
        ("" if at else clash.name, meaning, code(ours) if ours else "")
        for clash in CLASHES
        for at, (meaning, ours) in enumerate(clash.meanings)
    )
    return table(("name", "may mean", "here"), rows)


def other_names() -> list[str]:
    return table(("name", "loss"), ((name, code(ours)) for name, ours in ALIASES.items()))


def table(titles: tuple[str, ...], rows: Rows) -> list[str]:
    """A table of Markdown; nothing where there are no rows."""
    body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    if not body:
        return ["None that we know of."]
    lines = [list(titles), ["---"] * len(titles), *body]
    return [f"| {' | '.join(line)} |" for line in lines]


def code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


def settings(numbers: Mapping[str, Any]) -> str:
    """`beta` 0.1, `loss_type` sigmoid: names as code, values as they are."""
    return ", ".join(f"{code(k)} {plain(v)}" if k else str(v) for k, v in numbers.items())


def plain(value: Any) -> str:
    """A number or a name as a reader writes it."""
    if isinstance(value, list):
        return " + ".join(map(plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def linked(source: str) -> str:
    """Every arXiv id as a link."""
    return re.sub(r"(?:arXiv )?\b(\d{4}\.\d{5})\b", r"[arXiv \1](https://arxiv.org/abs/\1)", source)


def metrics_page() -> str:
    """docs/metrics.md: what trainers log, and what `minipref diagnose` reads in it."""
    lines = [
        "# The metrics: what trainers log, and what to read in it",
        "",
        "`minipref diagnose RUN` reads a history (ours, or TRL's `trainer_state.json`), asks every",
        "rule below, and says what it sees with the run's own numbers. Both tables are written",
        "from what it uses (`minipref/evaluation/diagnosis`). A name that is empty is not logged",
        "there; names of TRL are those of release 1.16.",
    ]
    for title, metrics in GLOSSARY.items():
        rows = (
            (
                code(m.name) if m.name else "",
                code(m.trl) if m.trl else "",
                m.unit,
                m.what,
                m.healthy,
            )
            for m in metrics
        )
        names = ("here", "in TRL", "unit", "what it is", "what it should do")
        lines += ["", f"## {title}", "", *table(names, rows)]
    lines += ["", "## The rules", ""]
    for rule in RULES.values():
        needs = f" Needs {code(*rule.needs)}." if rule.needs else ""
        lines += [
            f"**{rule.title[0].upper()}{rule.title[1:]}** ({code(rule.name)}). {rule.why}",
            "",
        ]
        lines += [f"What to do: {rule.cure} See {rule.see}.{needs}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    write()
