"""The field's JSONL formats: what a line must hold, and how it becomes a record and back.

    pairs          {"prompt": str, "chosen": str, "rejected": str}
    points         {"prompt": str, "completion": str, "label": true | false}
    rankings       {"prompt": str, "completions": [str, str, ...]}             best first
    chat-pairs     {"prompt": [message, ...], "chosen": [message, ...], "rejected": [...]}
                   without "prompt": the messages with which chosen and rejected both begin
    chat-points    {"prompt": [message, ...], "completion": [message, ...], "label": true | false}
    hh             {"chosen": str, "rejected": str}: two whole transcripts of HH-RLHF

A message is {"role": str, "content": str}. Labels may be 0 and 1. Every other key of a line is
kept as the record's `meta`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .records import Message, Pair, Point, Ranking, Record, Text

TURN = "\n\nAssistant:"  # in an HH-RLHF transcript, the assistant speaks


class BadField(ValueError):
    """A field of a line is not what the format asks for."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


@dataclass(frozen=True)
class Format:
    """A format's name, the fields that it reads, and the way from a line to a record and back."""

    name: str
    fields: tuple[str, ...]
    parse: Callable[[dict[str, Any]], Record]
    unparse: Callable[[Any], dict[str, Any]]


def recognise(line: dict[str, Any]) -> str:
    """The name of the format that a line is written in."""
    if "completions" in line:
        return "rankings"
    if "completion" in line:
        return "chat-points" if isinstance(line["completion"], list) else "points"
    if "chosen" in line and "rejected" in line:
        if isinstance(line["chosen"], list):
            return "chat-pairs"
        return "pairs" if "prompt" in line else "hh"
    raise BadField(
        "chosen",
        f"the keys {_short(sorted(line))} fit no known format; expected prompt/chosen/rejected, "
        "prompt/completion/label, prompt/completions, or chosen/rejected",
    )


# ---- from a line ------------------------------------------------------------------------------


def _pair(line: dict[str, Any]) -> Pair:
    return Pair(_string(line, "prompt"), _string(line, "chosen"), _string(line, "rejected"))


def _point(line: dict[str, Any]) -> Point:
    return Point(_string(line, "prompt"), _string(line, "completion"), _label(line))


def _ranking(line: dict[str, Any]) -> Ranking:
    completions = _get(line, "completions")
    if not isinstance(completions, list) or len(completions) < 2:
        raise BadField(
            "completions",
            f"expected a list of two or more strings, best first, got {_short(completions)}",
        )
    for position, text in enumerate(completions):
        if not isinstance(text, str):
            raise BadField(f"completions[{position}]", f"expected a string, got {_short(text)}")
    return Ranking(_string(line, "prompt"), tuple(completions))


def _chat_pair(line: dict[str, Any]) -> Pair:
    chosen, rejected = _messages(line, "chosen"), _messages(line, "rejected")
    prompt = line.get("prompt")
    if isinstance(prompt, list):
        return Pair(_messages(line, "prompt"), chosen, rejected)
    shared = _shared(chosen[:-1], rejected[:-1])  # a completion is never empty
    if shared == 0:
        raise BadField(
            "chosen",
            "chosen and rejected do not begin with the same message, and there is no list "
            "'prompt'; add the prompt's messages to all or give them as 'prompt'",
        )
    if prompt is not None and prompt not in [message.content for message in chosen[:shared]]:
        raise BadField(
            "prompt",
            f"expected a list of messages, or the content of one with which chosen and rejected "
            f"both begin, got {_short(prompt)}",
        )
    return Pair(chosen[:shared], chosen[shared:], rejected[shared:])


def _chat_point(line: dict[str, Any]) -> Point:
    return Point(_messages(line, "prompt"), _messages(line, "completion"), _label(line))


def _hh(line: dict[str, Any]) -> Pair:
    """Split both transcripts behind the last "Assistant:" that they share."""
    chosen, rejected = _string(line, "chosen"), _string(line, "rejected")
    turn = chosen[: _shared(chosen, rejected)].rfind(TURN)
    if turn < 0:
        raise BadField(
            "chosen",
            "chosen and rejected share no turn '\\n\\nAssistant:'; an HH-RLHF line holds two "
            "transcripts of one conversation (other texts need a field 'prompt')",
        )
    end = turn + len(TURN)
    return Pair(chosen[:end], chosen[end:], rejected[end:])


def _shared(a: Sequence[Any], b: Sequence[Any]) -> int:
    """How many first items are the same."""
    length = min(len(a), len(b))
    return next((i for i in range(length) if a[i] != b[i]), length)


def _get(line: dict[str, Any], field: str) -> Any:
    if field not in line:
        raise BadField(field, f"is missing; the line has {_short(sorted(line))}")
    return line[field]


def _string(line: dict[str, Any], field: str) -> str:
    value = _get(line, field)
    if not isinstance(value, str):
        raise BadField(field, f"expected a string, got {_short(value)}")
    return value


def _label(line: dict[str, Any]) -> bool:
    value = _get(line, "label")
    if not isinstance(value, bool | int) or value not in (0, 1):
        raise BadField("label", f"expected true or false, got {_short(value)}")
    return bool(value)


def _messages(line: dict[str, Any], field: str) -> tuple[Message, ...]:
    value = _get(line, field)
    if not isinstance(value, list) or not value:
        raise BadField(field, f"expected a list of messages, got {_short(value)}")
    for position, message in enumerate(value):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise BadField(
                f"{field}[{position}]",
                f"expected a message with role and content alone, got {_short(message)}",
            )
        for part in ("role", "content"):
            if not isinstance(message[part], str):
                raise BadField(
                    f"{field}[{position}].{part}", f"expected a string, got {_short(message[part])}"
                )
    return tuple(Message(message["role"], message["content"]) for message in value)


def _short(value: Any) -> str:
    """The value as it may stand in an error message: its beginning."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_value(field: str, value: Any) -> None:
    """Refuse what Python's JSON reader lets through: NaN, infinities, halves of characters."""
    match value:
        case float() if not math.isfinite(value):
            raise BadField(field, f"expected a finite number, got {value}")
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadField(field, "holds half of a character (a lone surrogate)") from None
        case list():
            for position, part in enumerate(value):
                check_value(f"{field}[{position}]", part)
        case dict():
            for key, part in value.items():
                check_value(field, key)
                check_value(f"{field}.{key}", part)


# ---- to a line --------------------------------------------------------------------------------


def _write_pair(pair: Pair) -> dict[str, Any]:
    chosen, rejected = _jsonable(pair.chosen), _jsonable(pair.rejected)
    return {"prompt": _jsonable(pair.prompt), "chosen": chosen, "rejected": rejected}


def _write_point(point: Point) -> dict[str, Any]:
    completion = _jsonable(point.completion)
    return {"prompt": _jsonable(point.prompt), "completion": completion, "label": point.label}


def _write_ranking(ranking: Ranking) -> dict[str, Any]:
    completions = [_jsonable(text) for text in ranking.completions]
    return {"prompt": _jsonable(ranking.prompt), "completions": completions}


def _write_hh(pair: Pair) -> dict[str, Any]:
    """Two whole transcripts."""
    return {"chosen": f"{pair.prompt}{pair.chosen}", "rejected": f"{pair.prompt}{pair.rejected}"}


def _jsonable(text: Text) -> Any:
    return text if isinstance(text, str) else [message._asdict() for message in text]


FORMATS = {
    format.name: format
    for format in (
        Format("pairs", ("prompt", "chosen", "rejected"), _pair, _write_pair),
        Format("points", ("prompt", "completion", "label"), _point, _write_point),
        Format("rankings", ("prompt", "completions"), _ranking, _write_ranking),
        Format("chat-pairs", ("prompt", "chosen", "rejected"), _chat_pair, _write_pair),
        Format("chat-points", ("prompt", "completion", "label"), _chat_point, _write_point),
        Format("hh", ("chosen", "rejected"), _hh, _write_hh),
    )
}
