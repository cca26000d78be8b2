"""Records: one line of a preference data set, as a point, a pair or a ranking.

A text is a plain string, or a conversation: a tuple of messages with roles. Whatever else a line
held (scores, identifiers) stays with the record as `meta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Message(NamedTuple):
    """One turn of a conversation; the role is "system", "user", "assistant", ..."""

    role: str
    content: str


Text = str | tuple[Message, ...]


@dataclass(frozen=True)
class Point:
    """A completion that somebody found desirable (label True) or undesirable (label False)."""

    prompt: Text
    completion: Text
    label: bool
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two completions of a prompt, one of them preferred."""

    prompt: Text
    chosen: Text
    rejected: Text
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ranking:
    """Two or more completions of a prompt, best first."""

    prompt: Text
    completions: tuple[Text, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)


Record = Point | Pair | Ranking


def plain(text: Text) -> str:
    """A conversation as an HH-RLHF transcript; a string as it is."""
    if isinstance(text, str):
        return text
    speakers = {"user": "Human", "assistant": "Assistant"}
    return "".join(
        f"\n\n{speakers.get(message.role, message.role.capitalize())}: {message.content}"
        for message in text
    )


def points(pair: Pair) -> tuple[Point, Point]:
    """A pair as two points: the chosen desirable, the rejected undesirable."""
    return (
        Point(pair.prompt, pair.chosen, True, pair.meta),
        Point(pair.prompt, pair.rejected, False, pair.meta),
    )
