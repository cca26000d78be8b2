"""One reading: every accumulator sees each record once, and tells plain values at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..records import Record
from .cases import Case, case_of
from .faults import Faults
from .features import FEATURES, LENGTH, first_word
from .lengths import Truncation, quantiles, row_length
from .rules import Contest, FirstWords, Score, placements
from .sightings import Keys, Repeats, pair_key, point_key, repeats, text_key

SIDES = {
    "pairs": ("chosen", "rejected"),
    "points": ("desirable", "undesirable"),
    "rankings": ("best", "worst"),
}
WORDS = 12  # first words to tell
Plain = dict[str, Any]


def inspect(records: Iterable[Record], *, max_length: int | None = None) -> Plain:
    """What records say, as plain values: what `Inspection.plain` returns."""
    inspection = Inspection(max_length)
    for record in records:
        inspection.add(record)
    return inspection.plain()


class Inspection:
    """What is known of the records seen so far; they are of one kind.

    A ranking is read as its best completion against its worst.

    Args:
        max_length: tokens a row, to see what such a limit cuts off.
    """

    def __init__(self, max_length: int | None = None) -> None:
        self.truncation = Truncation(max_length) if max_length is not None else None
        self.kind: str | None = None
        self.count = 0
        self.records, self.prompts = Keys(), Keys()
        self.faults = Faults()
        self.first_words = FirstWords()
        self.contests = [Contest() for _ in FEATURES]
        # By side and feature, how often each value came: exact lengths among them.
        self.values: list[list[Counter[int]]] = [[Counter() for _ in FEATURES] for _ in range(2)]
        self.prompt_lengths: Counter[int] = Counter()
        self.row_lengths: Counter[int] = Counter()

    def add(self, record: Record) -> None:
        """Take one more record into account.

        Raises: ValueError for a record of another kind than those before.
        """
        seen = case_of(record)
        if self.kind not in (None, seen.kind):
            raise ValueError(f"records: expected {self.kind} alone, got one of {seen.kind}")
        self.kind = seen.kind
        self.count += 1
        self.faults.add(self.count, seen)
        key = text_key(seen.prompt)
        self.prompts.add(key)
        if seen.label is None:
            self._compare(seen, key)
        else:
            self._note(seen, key, seen.label)
        self._measure(seen)

    def _compare(self, seen: Case, prompt_key: int) -> None:
        """A pair, or a ranking's ends."""
        best, worst = seen.answers[0], seen.answers[-1]
        self.records.add(pair_key(seen.prompt, best, worst))
        self.first_words.add(prompt_key, first_word(best), first_word(worst))
        for place, feature in enumerate(FEATURES):
            more, less = int(feature.of(best)), int(feature.of(worst))
            self.contests[place].add(more, less)
            self.values[0][place][more] += 1
            self.values[1][place][less] += 1

    def _note(self, seen: Case, prompt_key: int, label: bool) -> None:
        """A point."""
        (answer,) = seen.answers
        word = first_word(answer)
        self.records.add(point_key(seen.prompt, answer, label))
        self.first_words.add(prompt_key, *((word, None) if label else (None, word)))
        for values, feature in zip(self.values[not label], FEATURES, strict=True):
            values[int(feature.of(answer))] += 1

    def _measure(self, seen: Case) -> None:
        """Lengths, and what the limit cuts off; of a ranking, its ends."""
        prompt = seen.prompt.encode()
        sides = SIDES[seen.kind]
        names = sides if seen.label is None else (sides[not seen.label],)
        ends = seen.answers[:1] + seen.answers[1:][-1:]
        answers = {side: answer.encode() for side, answer in zip(names, ends, strict=True)}
        self.prompt_lengths[len(prompt)] += 1
        self.row_lengths[max(row_length(prompt, answer) for answer in answers.values())] += 1
        if self.truncation is not None:
            self.truncation.add(prompt, answers)

    # ---- as plain values ------------------------------------------------------------------

    def plain(self) -> Plain:
        """Everything that was found, ready for JSON.

        Raises: ValueError where no record was seen.
        """
        if self.kind is None:
            raise ValueError("there is no record to inspect")
        sides = SIDES[self.kind]
        lengths = {"prompt": self.prompt_lengths}
        place = FEATURES.index(LENGTH)
        lengths |= {side: self.values[i][place] for i, side in enumerate(sides)}
        lengths["longest row"] = self.row_lengths
        return {
            "kind": self.kind,
            "records": self.count,
            "sides": list(sides),
            "by_side": [sum(values[place].values()) for values in self.values],
            "repeats": {
                "records": told(repeats(self.records)),
                "prompts": told(repeats(self.prompts)),
            },
            "faults": {
                name: {"records": count, "first": self.faults.first[name]}
                for name, count in self.faults.counts.items()
            },
            "lengths": {name: quantiles(counts) for name, counts in lengths.items() if counts},
            "truncation": self._truncated(),
            "rules": [*self._rules(), self._first_word_rule()],
            "first_words": [
                {"word": word, "by_side": [winners, losers]}
                for word, winners, losers in self.first_words.most_frequent(WORDS)
            ],
        }

    def _truncated(self) -> Plain | None:
        cut = self.truncation
        if cut is None:
            return None
        return {
            "max_length": cut.max_length,
            "cut": dict(cut.cut),
            "both_cut": cut.cut_alike,
            "swallowed": cut.swallowed,
            "identical": cut.identical,
            "tokens_lost": cut.lost,
            "tokens": cut.tokens,
        }

    def _rules(self) -> list[Plain]:
        """Each feature's rule, and the feature's mean on each side."""
        return [
            {
                "rule": feature.more,
                "opposite": feature.less,
                "means": [mean(side[place]) for side in self.values],
                **self._score(place)._asdict(),
            }
            for place, feature in enumerate(FEATURES)
        ]

    def _score(self, place: int) -> Score:
        """Of the rule of one feature."""
        if self.kind == "points":
            return placements(*(side[place] for side in self.values))
        return self.contests[place].score()

    def _first_word_rule(self) -> Plain:
        words = self.first_words
        score = placements(*words.scores()) if self.kind == "points" else words.contest().score()
        names = {"rule": "better first word", "opposite": "worse first word"}
        return {**names, "means": None, **score._asdict()}


def told(found: Repeats) -> Plain:
    """Counts of the whole file; where keys were sampled, estimates of them."""
    return {
        "distinct": found.distinct * found.one_in,
        "repeated": (found.seen - found.distinct) * found.one_in,
        "most": found.most,
        "contradicted": found.contradicted * found.one_in,
        "one_in": found.one_in,
        "collision_odds": found.odds,
    }


def mean(counts: Counter[int]) -> float | None:
    total = sum(counts.values())
    return sum(value * count for value, count in counts.items()) / total if total else None
