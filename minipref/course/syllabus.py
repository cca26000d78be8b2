"""docs/syllabus.md: the notebooks in order, with what they ask for, take and give.

Titles, exercises and figures are counted in the notebooks' sources; goals and what has to come
before stand here. Minutes are an estimate from what a notebook holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import exercises
from .census import Census, census
from .notebooks import Notebook, read_source, sources

PAGE = "docs/syllabus.md"
MINUTES = {  # what each takes somebody who does it all for the first time
    "100 words": 0.75,
    "10 lines of code": 0.75,
    "derivation": 3,
    "figure": 2,
    "prediction": 1,
    "exercise": 8,
}


@dataclass(frozen=True)
class Plan:
    """What a notebook builds on (numbers of notebooks before it), and what you can do after it."""

    after: tuple[str, ...]
    goals: tuple[str, ...]


PLANS = {
    "00": Plan(
        (),
        (
            "Name the four choices that make a method: model, data, feedback, algorithm.",
            "Say what a policy pays for a reward, in nats of KL, and read a reward-KL frontier.",
            "Compare two policies by a paired win rate, with its standard error.",
        ),
    ),
    "01": Plan(
        ("00",),
        (
            "Compute a response's log-prob from logits: shift, gather, mask, sum.",
            "Say what a mask or a shift that is off by one does to loss and samples.",
            "Choose between sum and mean, and say what each does to long answers.",
            "Estimate KL from samples by k1, k2 and k3, and say which is biased.",
        ),
    ),
    "02": Plan(
        ("01",),
        (
            "Derive Bradley and Terry's probabilities from noise, and their loss's gradient.",
            "Say what comparisons leave open: a constant, a unit, and who never lost.",
            "Write the probability of a ranking, and name preferences that no number explains.",
        ),
    ),
    "03": Plan(
        ("01",),
        (
            "Derive the best policy under a price on KL, and read a reward off a policy.",
            "Compute best-of-n as a policy, with its KL and its win rate.",
            "Read a frontier of reward against KL, and compare methods on it.",
        ),
    ),
    "04": Plan(
        ("01",),
        (
            "Derive DPO from the optimum under a KL penalty, and say where the partition sum goes.",
            "Read a policy's implicit reward, and say up to what it is known.",
            "Give the gradient coefficients of DPO and IPO, and when each lets go of the leash.",
            "Diagnose a loss that stays at log 2.",
        ),
    ),
    "05": Plan(
        ("04",),
        (
            "Explain why DPO may lower the chosen log-prob without any bug.",
            "Tell apart what the loss, shared weights and Adam each add to it.",
            "Say in which of four kinds of data it is worst, on- or off-policy.",
            "Apply two cures, and say what they cost.",
        ),
    ),
    "06": Plan(
        ("04", "05"),
        (
            "Read a loss off its two push curves and its field of arrows.",
            "Work out ORPO's gradient by hand.",
            "Say which losses become one another, and in which limit.",
            "Choose a loss for given data, with a reason that can be checked.",
        ),
    ),
    "07": Plan(
        ("05", "06"),
        (
            "Read the curves of a run: loss, margins, chosen and rejected log-probs, KL.",
            "Tell what a loss does by design from what a bug does.",
            "Name the next measurement for a run that looks broken.",
        ),
    ),
    "11": Plan(
        ("04",),
        (
            "Say whose reward DPO learns when people disagree, and when the minority loses.",
            "Fit rewards for groups and for single people by low rank.",
            "Place a new user from a handful of labels.",
            "Say what cannot be known from labels without names.",
        ),
    ),
    "12": Plan(
        ("04",),
        (
            "Write the aligned policy as a product of a base and a guide.",
            "Say why guiding token by token by the reward itself is not exact, and what is.",
            "Give the KL and the cost of best-of-n.",
            "Compare choosing, steering and rewriting at equal KL.",
        ),
    ),
    "13": Plan(
        ("01",),
        (
            "Count the bytes that a kernel must move, and the least time that takes.",
            "Merge two softmax states, and write log-sum-exp in one pass.",
            "Find a missing barrier, and say why a passing test does not show that there is none.",
            "Say why the backward pass need not store the probabilities.",
        ),
    ),
    "14": Plan(
        ("00", "05"),
        (
            "Say what picking the best of many settings does to a reported result.",
            "Write a claim with a margin, a control that makes it fail, and a number of seeds.",
            "Express known methods by their gradient coefficients.",
            "Judge a stored result, and reproduce it.",
        ),
    ),
    "15": Plan(
        ("04",),
        (
            "Say what a thumb, a pair and a ranking each teach for an answer read.",
            "Show that a classifier of good and bad bounds DPO, and where it is tightest.",
            "Write Plackett-Luce, and say what PRO and IRPO add to it.",
        ),
    ),
    "16": Plan(
        ("04",),
        (
            "Work out where DPO's margin rests under flips, dropped ties and tossed ones.",
            "Put a model of the slip into the loss, and say what it costs not to know its rate.",
            "Say what labels across prompts know that others do not.",
            "Explain why a doubly robust estimate needs only one of two models.",
        ),
    ),
    "17": Plan(
        ("05",),
        (
            "Say which words of an answer a step of DPO moves, and why.",
            "Predict displacement before training, and ask what else the score knows.",
            "Say what decides how fast a behaviour is learnt.",
            "Read SFT, f-SFT and DPO by how long they go on pulling.",
        ),
    ),
}


def syllabus_page(folder: Path | None = None) -> str:
    """The whole page.

    Raises: ValueError: a notebook without a plan, or one whose plan needs a later one.
    """
    lessons = {path.stem: read_source(path) for path in sources(folder)}
    for stem in lessons:
        if stem[:2] not in PLANS:
            raise ValueError(f"{stem}: syllabus.PLANS does not say what it is for")
        if any(before >= stem[:2] for before in PLANS[stem[:2]].after):
            raise ValueError(f"{stem}: what has to come before it comes after it")
    total = sum(minutes(notebook) for notebook in lessons.values()) / 60
    lines = [
        "# Syllabus",
        "",
        f"{len(lessons)} notebooks, about {total:.0f} hours. Each asks one question and answers it",
        "with something that runs. A student needs Python, tensors and autograd in PyTorch, the",
        "chain rule, and expectations. A laptop is enough.",
        "",
        "| notebook | minutes | exercises | figures | after |",
        "|---|---:|---:|---:|---|",
        *(row(stem, notebook) for stem, notebook in lessons.items()),
        "",
        "Minutes are an estimate of a first reading in which every exercise is solved:",
        f"{rates()}.",
        "Nobody was timed.",
        "",
        "`minipref course student OUT` writes the notebooks with exercises to solve,",
        "`minipref course bug --seed N` a bug to find, `minipref course figures OUT` the figures",
        "for slides. [A class repository](class/README.md) grades by itself.",
    ]
    for stem, notebook in lessons.items():
        lines += ["", f"## {title(notebook)}", "", "Afterwards you can:", ""]
        lines += [f"- {goal[0].lower()}{goal[1:]}" for goal in PLANS[stem[:2]].goals]
        lines += ["", f"Sections: {'; '.join(sections(notebook))}"]
    return "\n".join(lines) + "\n"


def row(stem: str, notebook: Notebook) -> str:
    """A notebook's line of the table."""
    counted = census(notebook)
    cells = (
        f"[{title(notebook)}](../notebooks/{stem}.ipynb)",
        str(minutes(notebook)),
        str(len(exercises.checks(notebook))),
        str(counted.figures),
        ", ".join(PLANS[stem[:2]].after),
    )
    return f"| {' | '.join(cells)} |"


def minutes(notebook: Notebook) -> int:
    """How long a notebook takes, to the next five minutes."""
    counted = census(notebook)
    spent = sum(MINUTES[name] * number for name, number in holdings(notebook, counted))
    return 5 * round(spent / 5)


def holdings(notebook: Notebook, counted: Census) -> Iterator[tuple[str, float]]:
    """How much of what `MINUTES` counts a notebook has."""
    yield "100 words", counted.words / 100
    yield "10 lines of code", sum(counted.code_lines) / 10
    yield "derivation", counted.tags["derivation"]
    yield "figure", counted.figures
    yield "prediction", counted.tags["predict"]
    yield "exercise", len(exercises.checks(notebook))


def rates() -> str:
    """`MINUTES` in words: "0.75 for 100 words, 3 for a derivation"."""
    return ", ".join(
        f"{number:g} for {name if name[0].isdigit() else article(name)}"
        for name, number in MINUTES.items()
    )


def article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def title(notebook: Notebook) -> str:
    """The first heading: "05 · Why does the chosen answer become less likely?"."""
    return str(notebook.cells[0].source.splitlines()[0].removeprefix("# "))


def sections(notebook: Notebook) -> list[str]:
    """The headings below the title, but for the last one, which all of them have."""
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    lines = [line for text in prose for line in text.splitlines() if line.startswith("## ")]
    return [line.removeprefix("## ") for line in lines if "cannot tell you" not in line]
