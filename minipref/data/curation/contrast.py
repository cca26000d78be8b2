"""How alike the two responses of a pair are, word by word: what of it is not the point of the pair.

    jaccard("it is four", "it is five")      0.5: two of four words are in both
    levenshtein("it is four", "it is five")  1: one word is replaced

Paper 064 (CLAIR, arXiv 2408.06266) reads the contrast of a data set off these two.
"""

from __future__ import annotations


def jaccard(a: str, b: str) -> float:
    """Words that both hold, as a share of those that either does: 1 for the same words."""
    ours, theirs = set(a.split()), set(b.split())
    either = ours | theirs
    return len(ours & theirs) / len(either) if either else 1.0


def levenshtein(a: str, b: str) -> int:
    """The fewest words to insert, delete or replace that make the one text out of the other."""
    theirs = b.split()
    costs = [*range(len(theirs) + 1)]  # of making the first words of b out of nothing
    for i, word in enumerate(a.split(), 1):
        before, costs[0] = costs[0], i
        for j, other in enumerate(theirs, 1):
            replaced = before + (word != other)
            before = costs[j]
            costs[j] = min(replaced, 1 + costs[j], 1 + costs[j - 1])
    return costs[-1]
