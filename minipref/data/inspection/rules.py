"""How often a rule that reads nothing picks the winner, with its standard error.

The rule of a feature says: the side with more of it wins. Sides that are equal count half, as a
coin would have it. Records are taken as independent: where prompts repeat, errors are larger.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

MOST_PAIRS = 50_000  # of first words, a half
HALVES = 2


class Score(NamedTuple):
    """How good a rule is.

    accuracy  share of comparisons that it gets right, undecided ones counted half
    se        standard error of that. It is computed as if one more comparison had been won and one
              more lost (after Agresti and Coull, 1998), so that three of three do not look certain
    decided   share of comparisons that it decides
    z         how far the accuracy is from 0.5, in the standard errors that a coin would have
    """

    accuracy: float
    se: float
    decided: float
    z: float


NOTHING = Score(0.5, 0.5, 0.0, 0.0)  # known of a rule that was never tried


@dataclass
class Contest:
    """Comparisons that a rule has won, lost, or could not decide."""

    won: int = 0
    lost: int = 0
    tied: int = 0

    def add(self, winner: float, loser: float, times: int = 1) -> None:
        """So much of the feature had the side that won, and so much the other."""
        if winner > loser:
            self.won += times
        elif winner < loser:
            self.lost += times
        else:
            self.tied += times

    def score(self) -> Score:
        """The rule on pairs; `z` is that of the sign test."""
        decided = self.won + self.lost
        count = decided + self.tied
        if not count:
            return NOTHING
        padded = (self.won + 1 + self.tied / 2) / (count + 2)
        variance = (self.won + 1 + self.tied / 4) / (count + 2) - padded**2
        return Score(
            (self.won + self.tied / 2) / count,
            math.sqrt(variance / (count + 2)),
            decided / count,
            (self.won - self.lost) / math.sqrt(decided) if decided else 0.0,
        )


def placements(winners: Mapping[Any, int], losers: Mapping[Any, int]) -> Score:
    """The rule on points, whose sides are not of one prompt: every winner against every loser.

    The accuracy is the area under the ROC curve. Its error is DeLong's (1988, Eq. 5): a value's
    placement is the share of the other side that it beats; one of 0 and one of 1 are added to each
    side. `z` is that of Mann and Whitney's test, ties corrected.
    """
    n, m = sum(winners.values()), sum(losers.values())
    if not n or not m:
        return NOTHING
    beaten = over = under = equal = cubes = 0.0
    below_w = below_l = 0
    for value in sorted({*winners, *losers}):
        w, l = winners.get(value, 0), losers.get(value, 0)  # noqa: E741
        beats = (below_l + l / 2) / m  # share of the losers that this value beats
        loses = 1 - (below_w + w / 2) / n  # share of the winners that beat it
        beaten += w * beats
        over += w * beats**2
        under += l * loses**2
        equal += w * l
        cubes += (w + l) ** 3 - (w + l)
        below_w, below_l = below_w + w, below_l + l
    area = beaten / n
    variance = sum(
        ((squares + 1) / (count + 2) - ((area * count + 1) / (count + 2)) ** 2) / (count + 2)
        for squares, count in ((over, n), (under, m))
    )
    coin = (n + m + 1 - cubes / ((n + m) * (n + m - 1))) / (12 * n * m)
    z = (area - 0.5) / math.sqrt(coin) if coin > 1e-12 else 0.0
    return Score(area, math.sqrt(variance), 1 - equal / (n * m), z)


Words = tuple[str | None, str | None]  # that begin the winner and the loser


class Tally(Counter[Words]):
    """Counts of the first so many different pairs; later ones are only counted in `left_out`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.left_out = most, 0

    def add(self, words: Words) -> None:
        if words in self or len(self) < self.most:
            self[words] += 1
        else:
            self.left_out += 1


class FirstWords:
    """The rule of the first word: its odds in one half of the prompts, tried on the other half.

    Both halves take both parts. A prompt and all that repeats it are in one half, so that nothing
    is tried on what it was fitted on.
    """

    def __init__(self, most: int = MOST_PAIRS) -> None:
        self.halves = [Tally(most) for _ in range(HALVES)]

    def add(self, prompt_key: int, winner: str | None, loser: str | None) -> None:
        """First words of both sides; a point has only one of them."""
        self.halves[prompt_key % HALVES].add((winner, loser))

    def contest(self) -> Contest:
        """The rule on pairs."""
        contest = Contest()
        for half, other in (self.halves, self.halves[::-1]):
            odds = word_odds(other)
            for (winner, loser), times in half.items():
                contest.add(odds.get(winner or "", 1.0), odds.get(loser or "", 1.0), times)
            contest.tied += half.left_out
        return contest

    def scores(self) -> tuple[Counter[float], Counter[float]]:
        """The rule on points: the odds that the words of winners and of losers have."""
        winners: Counter[float] = Counter()
        losers: Counter[float] = Counter()
        for half, other in (self.halves, self.halves[::-1]):
            odds = word_odds(other)
            for (winner, loser), times in half.items():
                word, side = (loser, losers) if winner is None else (winner, winners)
                side[odds.get(word or "", 1.0)] += times
        return winners, losers

    def most_frequent(self, count: int) -> list[tuple[str, int, int]]:
        """The words that begin the most answers, with how many of each side."""
        winners, losers = by_side(half.items() for half in self.halves)
        both = winners + losers
        ranked = sorted(both, key=lambda word: (-both[word], word))[:count]
        return [(word, winners[word], losers[word]) for word in ranked]


def by_side(halves: Iterable[Iterable[tuple[Words, int]]]) -> tuple[Counter[str], Counter[str]]:
    """How often each word begins a winner and a loser."""
    winners: Counter[str] = Counter()
    losers: Counter[str] = Counter()
    for half in halves:
        for (winner, loser), times in half:
            if winner is not None:
                winners[winner] += times
            if loser is not None:
                losers[loser] += times
    return winners, losers


def word_odds(half: Tally) -> dict[str, float]:
    """By word, winners to losers that begin with it, one added to each; 1 is no sign of either.

    Where winners and losers are not equally many, as points need not be, they are made so first.
    """
    winners, losers = by_side([half.items()])
    balance = losers.total() / winners.total() if winners and losers else 1.0
    return {
        word: (winners[word] * balance + 1) / (losers[word] + 1) for word in {**winners, **losers}
    }
