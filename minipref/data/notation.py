"""Numbers from 0 to 99 as tokens: in English words, or digit by digit."""

from __future__ import annotations

from collections.abc import Sequence

# fmt: off
SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
    "seventeen", "eighteen", "nineteen",
]
# fmt: on
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
DIGITS = list("0123456789")


class Notation:
    """A way to write each number from 0 to 99 in one or two words, and to read it back."""

    def __init__(self, words: Sequence[str], texts: Sequence[str]) -> None:
        self.words = tuple(words)
        self._texts = tuple(texts)
        self._numbers = {tuple(text.split()): number for number, text in enumerate(texts)}

    def write(self, number: int) -> str:
        if not 0 <= number < len(self._texts):
            raise ValueError(f"number: expected 0 to {len(self._texts) - 1}, got {number}")
        return self._texts[number]

    def read(self, words: Sequence[str]) -> int | None:
        """The number that exactly these words write; None if they write none."""
        return self._numbers.get(tuple(words))


def _in_words(number: int) -> str:
    if number < 20:
        return SMALL[number]
    tens, unit = divmod(number, 10)
    return TENS[tens - 2] + (f" {SMALL[unit]}" if unit else "")


NOTATIONS = {
    "words": Notation([*SMALL, *TENS], [_in_words(number) for number in range(100)]),
    "digits": Notation(DIGITS, [" ".join(str(number)) for number in range(100)]),
}
