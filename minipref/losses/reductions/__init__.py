"""Which loss becomes which: one table, from which tests and the picture of the family are drawn."""

from .alone import ALONE
from .lists import LISTS
from .pairs import PAIRS
from .reduction import Reduction
from .rewards import REWARDS
from .tokens import TOKENS

REDUCTIONS: list[Reduction] = [*PAIRS, *ALONE, *LISTS, *REWARDS, *TOKENS]

__all__ = ["REDUCTIONS", "Reduction"]
