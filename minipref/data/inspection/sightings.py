"""What comes more than once, in constant memory: 64-bit keys instead of texts.

A record's key holds its prompt and its two sides in no order, in 63 bits, and one bit for which of
them won. The same key again is the same record again; the same 63 bits with the other bit is the
same comparison with the opposite answer.

Keys are hashes (BLAKE2b), so two different records may share one: among m records any do with odds
of at most m^2 / 2^64, which is 6e-8 for a million.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

WON = 1 << 63  # the bit that says which side won
CAPACITY = 1 << 20  # keys, of 12 bytes each


class Keys:
    """How often each key came. Of too many keys, those are kept whose last bits are zero.

    Every copy of a key is kept or none is. So what is counted among the keys kept is exact, and is
    `one_in` times rarer than in the whole file.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 2:
            raise ValueError(f"capacity: expected at least 2, got {capacity}")
        self._keys = np.empty(capacity, np.uint64)
        self._counts = np.empty(capacity, np.uint32)
        self._held = 0
        self.one_in = 1

    def add(self, key: int) -> None:
        if key % self.one_in:
            return
        if self._held == len(self._keys):
            self._merge()
            self._thin()
            if key % self.one_in:
                return
        self._keys[self._held] = key
        self._counts[self._held] = 1
        self._held += 1

    def counted(self) -> tuple[np.ndarray, np.ndarray]:
        """The distinct keys that are kept, in order, and how often each came: (m,), (m,)."""
        self._merge()
        return self._keys[: self._held], self._counts[: self._held]

    def _merge(self) -> None:
        """Equal keys become one, with their counts added."""
        if self._held == 0:
            return
        order = np.argsort(self._keys[: self._held])
        keys = self._keys[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
        counts = np.add.reduceat(self._counts[order], starts)
        self._held = len(starts)
        self._keys[: self._held] = keys[starts]
        self._counts[: self._held] = counts

    def _thin(self) -> None:
        """Drop every other distinct key until half of the places are free."""
        while self._held > len(self._keys) // 2:
            self.one_in *= 2
            keys, counts = self._keys[: self._held], self._counts[: self._held]
            kept = keys % np.uint64(self.one_in) == 0
            self._held = int(kept.sum())
            self._keys[: self._held] = keys[kept]
            self._counts[: self._held] = counts[kept]


@dataclass(frozen=True)
class Repeats:
    """What was seen of the keys.

    seen          records of the sample
    distinct      different ones among them
    most          how often the most frequent one came
    contradicted  records whose opposite is there too
    one_in        the sample: one key in so many; 1 is the whole file
    """

    seen: int
    distinct: int
    most: int
    contradicted: int
    one_in: int

    @property
    def odds(self) -> float:
        """At most so probable is it that any two different records were taken for one."""
        return self.distinct**2 / 2**64


def repeats(keys: Keys) -> Repeats:
    """Count what came more than once, and what came with both answers."""
    found, counts = keys.counted()
    if not len(found):
        return Repeats(0, 0, 0, 0, keys.one_in)
    # The winner's bit is the highest: the records with and those without it are in order already.
    split = int(np.searchsorted(found, np.uint64(WON)))
    _, without, with_it = np.intersect1d(
        found[:split], found[split:] - np.uint64(WON), assume_unique=True, return_indices=True
    )
    contradicted = counts[without].sum() + counts[split + with_it].sum()
    most = int(counts.max())
    return Repeats(int(counts.sum()), len(found), most, int(contradicted), keys.one_in)


def text_key(text: str) -> int:
    """63 bits of a text."""
    return int.from_bytes(_digest(text.encode()), "little") % WON


def pair_key(prompt: str, winner: str, loser: str) -> int:
    """63 bits of a prompt and two answers in no order, and which of them won."""
    a, b = _digest(winner.encode()), _digest(loser.encode())
    identity = _digest(_digest(prompt.encode()) + min(a, b) + max(a, b))
    return int.from_bytes(identity, "little") % WON + WON * (a > b)


def point_key(prompt: str, answer: str, label: bool) -> int:
    """63 bits of a prompt and an answer, and its label."""
    identity = _digest(_digest(prompt.encode()) + _digest(answer.encode()))
    return int.from_bytes(identity, "little") % WON + WON * label


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=8).digest()
