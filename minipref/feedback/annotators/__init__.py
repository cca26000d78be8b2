"""Simulated annotators whose preference probability is known exactly (see `annotator.py`)."""

from .annotator import Annotator, Effect
from .bradley_terry import bt
from .flips import flip
from .groups import group
from .malice import malicious
from .shifts import cue, length, position
from .ties import coin, tie
from .voting import votes

__all__ = [
    "Annotator",
    "Effect",
    "bt",
    "coin",
    "cue",
    "flip",
    "group",
    "length",
    "malicious",
    "position",
    "tie",
    "votes",
]
