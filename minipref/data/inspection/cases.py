"""A record as the inspection looks at it: a prompt, and answers from the best to the worst."""

from __future__ import annotations

from dataclasses import dataclass

from ..records import Pair, Point, Record, Text, plain

HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"  # turns in a transcript


@dataclass(frozen=True, slots=True)
class Case:
    """The texts of one record.

    kind     "pairs", "points" or "rankings"
    answers  chosen and rejected; a ranking's completions, best first; a point's only one
    turns    by answer, what others than the assistant say in it: mostly nothing
    label    of a point
    """

    kind: str
    prompt: str
    answers: tuple[str, ...]
    turns: tuple[tuple[str, ...], ...]
    label: bool | None = None


def case_of(record: Record) -> Case:
    """What the inspection looks at of any record."""
    match record:
        case Pair():
            kind = "pairs"
            completions: tuple[Text, ...] = (record.chosen, record.rejected)
        case Point():
            kind, completions = "points", (record.completion,)
        case _:
            kind, completions = "rankings", record.completions
    return Case(
        kind,
        plain(record.prompt),
        tuple(map(said, completions)),
        tuple(map(turns_of_others, completions)),
        record.label if isinstance(record, Point) else None,
    )


def said(completion: Text) -> str:
    """A completion's text; of a conversation with one message, its content without the role."""
    if not isinstance(completion, str) and len(completion) == 1:
        return completion[0].content
    return plain(completion)


def turns_of_others(completion: Text) -> tuple[str, ...]:
    """What somebody else says after the answer has begun: two sides then answer two questions."""
    if not isinstance(completion, str):
        return tuple(each.content for each in completion if each.role != "assistant")
    if HUMAN not in completion:
        return ()
    return tuple(turn.split(ASSISTANT)[0] for turn in completion.split(HUMAN)[1:])
