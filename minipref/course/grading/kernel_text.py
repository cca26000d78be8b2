"""A kernel's text as an answer: it is compiled where the check runs, so its words are few.

Exercises that mend a kernel hand its text to the emulator, which compiles it as C++. What a text
could do there beside its sums it would have to call by name; so every word has to stand in a
kernel or a cell of ours, or be a letter. Text that brings in other files or strings is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from ...resources import resource

FORBIDDEN = {"asm", "include", "reinterpret_cast", "goto", "define", "pragma"}
MARKS = ("#", '"', "'", "\\", "??", "%:", "::", "[[")


def strange_words(text: Any, cells: Sequence[str]) -> list[str]:
    """Words and marks of a text that neither our kernels nor these cells use, sorted.

    What is no text has none.
    """
    if not isinstance(text, str):
        return []
    mine = without_comments(text)
    known = shipped() | words(" ".join(cells)) - FORBIDDEN
    strange = {word for word in words(mine) - known if len(word) > 1}
    return sorted(strange | {mark for mark in MARKS if mark in mine})


@cache
def shipped() -> frozenset[str]:
    """The words of the kernels that we ship."""
    folder = resource("kernels")
    files = [*folder.glob("*.cu*"), *folder.glob("ladder/*.cu*")]
    texts = (without_comments(file.read_text("utf-8")) for file in files)
    return frozenset(set().union(*map(words, texts)) - FORBIDDEN)


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d]\w*", text))


def without_comments(text: str) -> str:
    """The text without what stands behind //; a line that ends in a backslash stays as it is."""
    return re.sub(r"//[^\n\\]*$", "", text, flags=re.MULTILINE)
