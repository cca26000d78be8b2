"""The grammar: a response is a few latent choices, and words for them.

    response = opener? hedge? body (", also" body)* closer?
    body     = (register or sentence or nothing) answer ("because" reason)?

Every slot has a known probability, so that a corpus is a sample from a distribution that can be
written down, and every response can be read back into its slots (`parse.py`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from .questions import INSTEAD, REFUSAL, Question
from .words import CLOSERS, HEDGE, OPENERS, REGISTERS

ALSO = ", also"

STYLES = {"terse": 0.35, "sentence": 0.40, "explained": 0.25}
OPENER_KINDS = {"none": 0.40, "polite": 0.20, "rude": 0.10, "filler": 0.30}
CLOSER_KINDS = {"none": 0.50, "polite": 0.20, "rude": 0.10, "filler": 0.20}
REGISTER_KINDS = {"plain": 0.60, "formal": 0.10, "vivid": 0.10, "second": 0.10, "list": 0.10}
HEDGED = 0.2


@dataclass(frozen=True)
class Slots:
    """The choices behind a response, apart from its answers.

    opener, closer  a phrase of `words.OPENERS` or `words.CLOSERS`, "" for none
    hedge           does it begin with "i think"?
    style           "terse", "sentence" or "explained"
    register        "plain" or a key of `words.REGISTERS`
    reverse         are the parts answered in reverse order?
    """

    opener: str = ""
    closer: str = ""
    hedge: bool = False
    style: str = "sentence"
    register: str = "plain"
    reverse: bool = False


def draw_slots(dice: random.Random, parts: int = 1) -> Slots:
    """Draw every slot from its distribution; long answers to two questions go unexplained."""

    def pick(weights: dict[str, float]) -> str:
        return dice.choices(list(weights), list(weights.values()))[0]

    def phrase(kind: str, phrases: dict[str, tuple[str, ...]]) -> str:
        return dice.choice(phrases[kind]) if kind != "none" else ""

    style = pick(STYLES)
    return Slots(
        opener=phrase(pick(OPENER_KINDS), OPENERS),
        closer=phrase(pick(CLOSER_KINDS), CLOSERS),
        hedge=dice.random() < HEDGED,
        style="sentence" if parts > 1 and style == "explained" else style,
        register=pick(REGISTER_KINDS),
        reverse=parts > 1 and dice.random() < 0.2,
    )


def body(question: Question, answer: str, slots: Slots) -> str:
    """The words for one answer."""
    if not takes_register(question, answer):
        slots = replace(slots, register="plain")
    if slots.register != "plain":
        words = REGISTERS[slots.register].format(answer)
    elif slots.style == "terse" or bare(answer):
        words = answer
    else:
        words = f"{question.before} {answer}"
    return f"{words} because {question.reason(answer)}" if slots.style == "explained" else words


def bare(answer: str) -> bool:
    """A refusal or an alternative is a sentence already."""
    return answer == REFUSAL or answer.startswith(INSTEAD)


def takes_register(question: Question, answer: str) -> bool:
    """Chat and advice are said plainly."""
    return question.kind not in ("talk", "unsafe")


def render(questions: tuple[Question, ...], answers: list[str], slots: Slots) -> str:
    """The response with these answers, one a question, and these slots."""
    if len(answers) != len(questions):
        raise ValueError(f"answers: expected {len(questions)}, one a question, got {answers}")
    parts = [body(q, answer, slots) for q, answer in zip(questions, answers, strict=True)]
    if slots.reverse:
        parts.reverse()
    hedge = HEDGE if slots.hedge else ""
    words = [slots.opener, hedge, f" {ALSO} ".join(parts), slots.closer]
    return " ".join(" ".join(word for word in words if word).split())
