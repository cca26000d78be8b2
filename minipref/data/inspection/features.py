"""What can be seen of an answer without reading it, a number each.

They are crude on purpose. If one of them tells winners from losers, so will a reward model, and
nobody has to have meant it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

REFUSALS = (
    *("i can't", "i cannot", "i can not", "i won't", "i will not", "i'm not able", "i am not able"),
    *("i'm unable", "i am unable", "i'm sorry", "i am sorry", "sorry, ", "i apologi"),
    *("as an ai", "i don't feel comfortable", "i'm not comfortable", "i'd rather not"),
    *("i don't think i should", "i shouldn't", "i must decline", "not appropriate"),
)  # English alone; the curly apostrophe counts as the straight one
LISTED = re.compile(r"(?:^|\n)(?:#+|[-*•]|\d+[.)]) ")
CLOSING = tuple(".!?…。！？\"'”’)]}`*:;")  # with which a finished answer may end
WORD = re.compile(r"[\w'’]+|\S")
LONGEST_WORD = 20  # characters: some languages write without spaces


class Feature(NamedTuple):
    """A number that any answer has, and what to say wins where more or less of it does."""

    more: str
    less: str
    of: Callable[[str], int]


def refuses(text: str) -> bool:
    """Whether it holds a phrase with which assistants refuse."""
    plain = text.lower().replace("’", "'")
    for phrase in REFUSALS:  # noqa: SIM110  (this runs on every answer; `any` is half as fast)
        if phrase in plain:
            return True
    return False


def marked_up(text: str) -> bool:
    """Whether it holds code, bold type, a list or a heading in Markdown."""
    return "**" in text or "```" in text or LISTED.search(text) is not None


def unfinished(text: str) -> bool:
    """Whether it stops without a closing sign: cut off by somebody's limit, mostly."""
    return not text.rstrip().endswith(CLOSING)


def first_word(text: str) -> str:
    """The first word or sign, in lower case; empty where there is none."""
    found = WORD.search(text)
    return found[0][:LONGEST_WORD].lower().replace("’", "'") if found else ""


FEATURES = (
    Feature("longer", "shorter", lambda text: len(text.encode())),
    Feature("more lines", "fewer lines", lambda text: text.strip().count("\n")),
    Feature("a refusal", "no refusal", refuses),
    Feature("a question mark", "no question mark", lambda text: "?" in text),
    Feature("markup", "no markup", marked_up),
    Feature("no closing sign", "a closing sign", unfinished),
    Feature("a sign beyond ASCII", "nothing but ASCII", lambda text: not text.isascii()),
    Feature("white space first", "no white space first", lambda text: text[:1].isspace()),
    Feature("white space last", "no white space last", lambda text: text[-1:].isspace()),
)
LENGTH = FEATURES[0]
