"""Reading a response back: its slots, its answers, and where they stand. None for nonsense.

The reader is a little kinder than the grammar: a bare answer may be explained ("four because two
and two make it"), and an answer may belong to a question that was not asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from .grammar import ALSO
from .questions import ALL_STEPS, REFUSAL, Arithmetic, Fact, Listing, Question, Recommendation
from .words import (
    CATEGORIES,
    CLOSERS,
    COLOURS,
    FACTS,
    FOODS,
    HEDGE,
    OPENERS,
    PLACES,
    RECOMMEND,
    REGISTERS,
    SMALL_TALK,
    VALUES,
)

Phrases = list[tuple[str, list[str]]]
OPENING: Phrases = [(kind, p.split()) for kind, phrases in OPENERS.items() for p in phrases]
CLOSING: Phrases = [(kind, p.split()) for kind, phrases in CLOSERS.items() for p in phrases]
WRAPPERS: Phrases = [(kind, p.replace("{}", "").split()) for kind, p in REGISTERS.items()]

# Words that begin a sentence, and what may follow them, whatever was asked.
STARTERS: list[Question] = [
    *(Fact(animal, relation) for animal in FACTS for relation in range(3)),
    *(Listing(category, 2) for category in CATEGORIES),
    *(Recommendation(topic) for topic in RECOMMEND),
]
SENTENCES = {question.before: question for question in STARTERS}
ANSWERS = {
    *VALUES,
    *PLACES,
    *FOODS,
    *COLOURS,
    *ALL_STEPS,
    REFUSAL,
    *(thing for things in RECOMMEND.values() for thing in things),
    *(text for texts in SMALL_TALK.values() for text in texts),
}


@dataclass(frozen=True)
class Part:
    """One answer: to which question of the prompt (None: to none of them), and how right.

    start, stop: the answer's place among the response's words.
    """

    question: int | None
    answer: str
    correct: float
    explained: bool
    register: str
    style: str
    start: int
    stop: int


@dataclass(frozen=True)
class Parsed:
    """A well-formed response. `opener` and `closer` are kinds: none, polite, rude or filler."""

    opener: str
    closer: str
    hedge: bool
    parts: tuple[Part, ...]
    words: int


def parse(questions: tuple[Question, ...], response: str) -> Parsed | None:
    """Read a response to these questions; None for nonsense."""
    words = response.split()
    start, stop = 0, len(words)
    opener = closer = "none"
    for kind, phrase in OPENING:
        if words[: len(phrase)] == phrase:
            opener, start = kind, len(phrase)
            break
    for kind, phrase in CLOSING:
        if words[-len(phrase) :] == phrase:
            closer, stop = kind, stop - len(phrase)
            break
    hedge = words[start : start + 2] == HEDGE.split()
    start += 2 * hedge
    parts: list[Part] = []
    for begin, end in _split(words, start, stop):
        taken = {part.question for part in parts}
        free = [i for i in range(len(questions)) if i not in taken]
        part = _part(questions, free, words, begin, end)
        if part is None:
            return None
        parts.append(part)
    if len(parts) > max(2, len(questions)):
        return None
    return Parsed(opener, closer, hedge, tuple(parts), len(words))


def _split(words: list[str], start: int, stop: int) -> list[tuple[int, int]]:
    """The bodies between start and stop, which ", also" separates."""
    comma, also = ALSO.split()
    spans, begin = [], start
    for i in range(start, stop - 1):
        if words[i] == comma and words[i + 1] == also:
            spans.append((begin, i))
            begin = i + 2
    return [*spans, (begin, stop)]


def _part(
    questions: tuple[Question, ...], free: list[int], words: list[str], start: int, stop: int
) -> Part | None:
    """The body words[start:stop] as an answer to one of the free questions, or to another."""
    reason = None
    if "because" in words[start:stop]:
        middle = words.index("because", start, stop)
        reason, stop = " ".join(words[middle + 1 : stop]), middle
    register = "plain"
    for kind, phrase in WRAPPERS:
        if words[start : start + len(phrase)] == phrase:
            register, start = kind, start + len(phrase)
            break

    def fits(question: Question, answer: str) -> bool:
        return reason is None or reason == question.reason(answer)

    text = " ".join(words[start:stop])
    explained = reason is not None
    for i in free:  # a bare answer, or the sentence that was asked for
        question, begins = questions[i], questions[i].before + " "
        sentence = register == "plain" and text.startswith(begins)
        answer = text.removeprefix(begins) if sentence else text
        correct = question.check(answer)
        if correct is not None and fits(question, answer):
            style = "explained" if explained else "sentence" if sentence else "terse"
            first = stop - len(answer.split())
            return Part(i, answer, correct, explained, register, style, first, stop)
    for length in range(2, 7) if register == "plain" else ():  # a sentence on another matter
        other = _sentence(words[start : start + length])
        if other is not None:
            answer = " ".join(words[start + length : stop])
            if other.check(answer) is not None and fits(other, answer):
                first = start + length
                return Part(None, answer, 0.0, explained, register, "sentence", first, stop)
    if reason is None and (text in ANSWERS or Listing("animals", 2).check(text) is not None):
        return Part(None, text, 0.0, False, register, "terse", start, stop)
    return None


def _sentence(words: list[str]) -> Question | None:
    """The question that these words begin to answer."""
    known = SENTENCES.get(" ".join(words))
    if known is not None or not words or words[-1] != "is":
        return known
    for sign in ("plus", "minus", "times"):
        if sign in words:
            at = words.index(sign)
            a, b = " ".join(words[:at]), " ".join(words[at + 1 : -1])
            if a in VALUES and b in VALUES:
                return Arithmetic(VALUES[a], VALUES[b], sign)
    return None
