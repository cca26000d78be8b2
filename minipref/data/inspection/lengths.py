"""How long the texts are, and what a limit on tokens cuts off.

Lengths are in tokens of the byte vocabulary, which are UTF-8 bytes; English has about four to a
token of a large subword vocabulary. A row is <bos> prompt <sep> answer <eos>, and of a row that is
longer than the limit the end is cut, as TRL's DPOTrainer does (`truncation_mode="keep_start"`).

Counts of exact lengths take constant memory in practice: d different lengths need a file of at
least d^2 / 2 bytes, so that a gigabyte has fewer than 45 000 of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

MARKS = 3  # <bos>, <sep> and <eos> of a row
STEPS = 100


def quantiles(lengths: Mapping[int, int]) -> list[int]:
    """The lengths that 0 %, 1 %, ... 100 % of the texts do not exceed, the first the shortest.

    Raises: ValueError where there is no text.
    """
    total = sum(lengths.values())
    if not total:
        raise ValueError("lengths: expected some, got none")
    found: list[int] = []
    seen = 0
    for length in sorted(lengths):
        seen += lengths[length]
        while len(found) <= STEPS and len(found) * total <= seen * STEPS:
            found.append(length)
    return found


def row_length(prompt: bytes, answer: bytes) -> int:
    """Tokens of a row."""
    return len(prompt) + len(answer) + MARKS


@dataclass
class Truncation:
    """What a limit of `max_length` tokens a row does to each record.

    cut        by answer, the records whose answer loses its end
    cut_alike  pairs in which both do
    swallowed  records whose prompt leaves no room for a single token of an answer
    identical  pairs that differ, and no longer do once they are cut
    lost       tokens cut from answers
    tokens     tokens of answers, <eos> included
    """

    max_length: int

    def __post_init__(self) -> None:
        if self.max_length < 1:
            raise ValueError(f"max_length: expected at least 1, got {self.max_length}")
        self.cut: Counter[str] = Counter()
        self.cut_alike = self.swallowed = self.identical = self.lost = self.tokens = 0

    def add(self, prompt: bytes, answers: Mapping[str, bytes]) -> None:
        """Count one record, whose answers go by their side's name."""
        room = max(self.max_length - (MARKS - 1) - len(prompt), 0)  # for an answer and its <eos>
        over = [side for side, answer in answers.items() if len(answer) + 1 > room]
        self.cut.update(over)
        self.cut_alike += len(over) == 2
        self.swallowed += room == 0
        for answer in answers.values():
            self.lost += max(len(answer) + 1 - room, 0)
            self.tokens += len(answer) + 1
        whole = set(answers.values())
        self.identical += len(whole) == 2 and len({answer[:room] for answer in whole}) == 1
