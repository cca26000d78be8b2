"""The `retrieve` world: facts known by heart, retrieved notes, and assumptions that contradict."""

from .conflicts import CELLS, CONFLICTS, TEST, TRAIN, Part, conflict, mixture
from .facts import Fact, Facts, edits, follow
from .questions import SOURCES, RetrievePrompt, ask, chains
from .world import Retrieve

__all__ = [
    "CELLS",
    "CONFLICTS",
    "SOURCES",
    "TEST",
    "TRAIN",
    "Fact",
    "Facts",
    "Part",
    "Retrieve",
    "RetrievePrompt",
    "ask",
    "chains",
    "conflict",
    "edits",
    "follow",
    "mixture",
]
