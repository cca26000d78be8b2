"""Small changes to a response, each with a stated effect on its scores.

    minimal_edit   one slot changes, so that the named scorer changes, and of the others none but
                   those in `EFFECTS`
    paraphrase     other words, the same answers, every score the same
    near_miss      a right answer becomes a wrong one close by: eleven becomes twelve

A response is read back into its answers and slots, changed there, and said again. What the grammar
cannot say (nonsense, and the few things that only the parser accepts) raises ValueError.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from .grammar import Slots, takes_register
from .prompts import WISHES, ChatPrompt
from .questions import REFUSAL, Arithmetic, Listing, Question, Request
from .scorers import brief
from .words import (
    CATEGORIES,
    CLOSERS,
    COLOURS,
    FOODS,
    OPENERS,
    PLACES,
    RECOMMEND,
    REGISTERS,
    SMALL_TALK,
    number,
)
from .world import Chat

# What each edit changes: the scorer it is named after, and those that cannot be kept from moving.
EFFECTS = {
    "correct": ("correct",),
    "polite": ("polite",),
    "brief": ("brief",),
    "explained": ("explained", "brief"),
    "register": ("register", "brief"),
    "harmless": ("harmless", "correct", "brief"),
    "over_refusal": ("over_refusal", "correct", "brief"),
}
NEAR = 3  # the farthest that a near miss of a sum lies from the truth

MANNERS = {"polite": 1, "rude": -1}  # of a phrase's kind; all others 0
OPENER_MANNERS = {p: MANNERS.get(kind, 0) for kind, ps in OPENERS.items() for p in ps} | {"": 0}
CLOSER_MANNERS = {p: MANNERS.get(kind, 0) for kind, ps in CLOSERS.items() for p in ps} | {"": 0}

Said = tuple[list[str], Slots]  # answers, one a question, and the slots around them


def read_back(world: Chat, prompt: ChatPrompt, response: str) -> Said:
    """The answers and slots with which `world.say` says exactly this response.

    Raises ValueError where there are none.
    """
    parsed = world.parse(prompt, response)
    questions = [part.question for part in parsed.parts] if parsed else []
    if parsed and sorted(q for q in questions if q is not None) == [*range(len(prompt.questions))]:
        text, styles = world.lexicon.in_a(response), {part.style for part in parsed.parts}
        openers = [p for p in OPENER_MANNERS if p and text.startswith(f"{p} ")]
        closers = [p for p in CLOSER_MANNERS if p and text.endswith(f" {p}")]
        slots = Slots(
            opener=openers[0] if openers else "",
            closer=closers[0] if closers else "",
            hedge=parsed.hedge,
            style=min(styles),  # "explained" and "sentence" come before "terse"
            register=parsed.parts[0].register,
            reverse=questions[0] != 0,
        )
        answers = {part.question: part.answer for part in parsed.parts}
        said = [answers[i] for i in range(len(prompt.questions))]
        if len(questions) == len(said) and world.say(prompt, said, slots) == response:
            return said, slots
    raise ValueError(f"response: the grammar does not say {response!r} to {prompt.text!r}")


def minimal_edit(
    world: Chat, prompt: ChatPrompt, response: str, scorer: str, dice: random.Random
) -> str:
    """The response with one slot changed, so that `scorer` changes.

    Args:
        scorer: a key of `EFFECTS`, which says what else may change. "correct" and "polite" keep the
            number of words; "correct" turns right into wrong or wrong into right.

    Raises: ValueError where no one slot does it (see `editable`).
    """
    found = _edits(world, prompt, response, scorer)
    if not found:
        others = ", ".join(editable(world, prompt, response))
        raise ValueError(f"scorer: no one slot of {response!r} changes {scorer}; some do {others}")
    return dice.choice(found)


def editable(world: Chat, prompt: ChatPrompt, response: str) -> list[str]:
    """The scorers that a minimal edit of this response can change."""
    return [scorer for scorer in EFFECTS if _edits(world, prompt, response, scorer)]


def paraphrase(world: Chat, prompt: ChatPrompt, response: str, dice: random.Random) -> str:
    """Other words around the same answers; every score stays as it is.

    Raises: ValueError where there are no such words.
    """
    answers, slots = read_back(world, prompt, response)
    manners = OPENER_MANNERS[slots.opener] + CLOSER_MANNERS[slots.closer]
    styles = ["explained"] if slots.style == "explained" else ["sentence", "terse"]
    if slots.reverse:  # bare answers are read in the order of the questions
        styles = [slots.style]
    said = [
        world.say(prompt, answers, replace(slots, opener=o, closer=c, hedge=hedge, style=style))
        for style in styles
        for hedge in (False, True)
        for o in OPENER_MANNERS
        for c in CLOSER_MANNERS
        if OPENER_MANNERS[o] + CLOSER_MANNERS[c] == manners
    ]
    kept = [text for text in said if text != response and brief(text) == brief(response)]
    if not kept:
        raise ValueError(f"response: no other words say {response!r} at the same length")
    return dice.choice(kept)


def near_miss(world: Chat, prompt: ChatPrompt, response: str, dice: random.Random) -> str:
    """A right answer made wrong: a number at most `NEAR` away, a neighbour's fact, one odd thing
    in a list; a request complied with that should not be, or refused that need not be.

    `correct` falls by one question's share. `brief` follows the length; for requests `harmless` or
    `over_refusal` moves as well; nothing else does.

    Raises: ValueError where no answer is right.
    """
    answers, slots = read_back(world, prompt, response)
    wrong = [
        ([*answers[:i], miss, *answers[i + 1 :]], slots)
        for i, question in enumerate(prompt.questions)
        if question.check(answers[i]) == 1.0
        for miss in _wrong(question, answers[i])
    ]
    if not wrong:
        raise ValueError(f"response: no answer is right in {response!r}")
    return world.say(prompt, *dice.choice(wrong))


def _wrong(question: Question, answer: str) -> list[str]:
    """Wrong answers close to this one."""
    match question:
        case Arithmetic(value=value):
            near = [number(v) for v in range(max(0, value - NEAR), min(99, value + NEAR) + 1)]
        case Listing():
            things = answer.split(" and ")
            odd = [
                t for name, some in CATEGORIES.items() if name != question.category for t in some
            ]
            near = [
                " and ".join([*things[:i], thing, *things[i + 1 :]])
                for i in range(len(things))
                for thing in odd
            ]
        case Request():
            near = [REFUSAL, question.step()]
        case _:
            near = [*PLACES, *FOODS, *COLOURS]
            near += [thing for things in RECOMMEND.values() for thing in things]
            near += [text for texts in SMALL_TALK.values() for text in texts]
    return [miss for miss in near if question.check(miss) == 0.0]


def _right(question: Question) -> list[str]:
    """Right answers; of a list, a few."""
    return [question.answer(random.Random(seed), True) for seed in range(8)]


def _edits(world: Chat, prompt: ChatPrompt, response: str, scorer: str) -> list[str]:
    """Every response that a minimal edit can choose from, in a fixed order."""
    if scorer not in EFFECTS:
        raise ValueError(f"scorer: expected one of {', '.join(EFFECTS)}, got {scorer!r}")
    before = world.scores(prompt, response)[scorer]
    said = (world.say(prompt, *new) for new in _changed(world, prompt, response, scorer))
    found = [text for text in said if world.scores(prompt, text)[scorer] != before]
    return list(dict.fromkeys(found))


def _changed(world: Chat, prompt: ChatPrompt, response: str, scorer: str) -> Iterator[Said]:
    """Answers and slots with one of them changed; whether it moves the scorer is seen later."""
    answers, slots = read_back(world, prompt, response)
    match scorer:
        case "polite":
            for slot, phrases in (("opener", OPENER_MANNERS), ("closer", CLOSER_MANNERS)):
                length = len(getattr(slots, slot).split())
                for phrase in phrases:
                    if len(phrase.split()) == length:
                        yield answers, replace(slots, **{slot: phrase})  # type: ignore[arg-type]
        case "brief":
            yield answers, replace(slots, hedge=not slots.hedge)
        case "explained":
            if len(answers) == 1:
                other = "sentence" if slots.style == "explained" else "explained"
                yield answers, replace(slots, style=other)
        case "register":
            if takes_register(prompt.questions[0], answers[0]):
                wished = WISHES[prompt.wish].get("register", "plain") if prompt.wish else "plain"
                for name in ("plain", *REGISTERS) if slots.register == wished else (wished,):
                    yield answers, replace(slots, register=name)
        case _:  # correct, harmless, over_refusal: another answer
            for i, question in enumerate(prompt.questions):
                was = question.check(answers[i])
                for answer in _wrong(question, answers[i]) if was else _right(question):
                    same = len(answer.split()) == len(answers[i].split())
                    request = isinstance(question, Request)  # what it is answered may do harm
                    if (same and not request) if scorer == "correct" else request:
                        yield [*answers[:i], answer, *answers[i + 1 :]], slots
