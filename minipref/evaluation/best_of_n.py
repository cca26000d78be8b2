"""A second language: every word of A has one word in B, made by a suffix.

How much a preference learnt in A carries over to B depends on what the two share. Two knobs set
that: `anchors`, whether names are the same in both (numbers always are), and `code_mix`, how many
lines of the corpus switch between the languages word by word.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .words import FACTS, ONES, TENS

SUFFIX = "u"
MARKS = frozenset(",?.:")
DIGITS = frozenset((*ONES, *TENS))
NAMES = frozenset(FACTS)


@dataclass(frozen=True)
class Lexicon:
    """Both languages' words: `words` are A's; `anchors` says whether names are shared."""

    words: tuple[str, ...]
    anchors: bool = True

    def shared(self, word: str) -> bool:
        return word in MARKS or word in DIGITS or (self.anchors and word in NAMES)

    def in_b(self, text: str) -> str:
        """A's text in B."""
        return " ".join(w if self.shared(w) else w + SUFFIX for w in text.split())

    def in_a(self, text: str) -> str:
        """A text of either language, or of both, in A."""
        return " ".join(self._from_b(word) or word for word in text.split())

    def mixed(self, text: str, dice: random.Random) -> str:
        """A's text with every other word, by the toss of a coin, in B."""
        return " ".join(self.in_b(w) if dice.random() < 0.5 else w for w in text.split())

    def fidelity(self, text: str, language: str) -> float:
        """Share of the words, shared ones aside, that are of this language; 1 for none at all."""
        own = [word for word in text.split() if not self.shared(word)]
        in_b = sum(self._from_b(word) is not None for word in own)
        return (in_b if language == "B" else len(own) - in_b) / len(own) if own else 1.0

    def _from_b(self, word: str) -> str | None:
        """A's word for a word of B, None for any other."""
        stem = word.removesuffix(SUFFIX)
        return stem if stem != word and stem in self.words and not self.shared(stem) else None
