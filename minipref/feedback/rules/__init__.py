"""Hand rules: rewards that a person can write down, (prompt, response) -> float.

A rule is used like any reward: `bt(longer, temperature=0)` is the annotator who always prefers the
longer response (and calls equal ones a tie), `Rewards(longer)` gives the number itself.
"""

from .answers import exact_answer
from .lengths import longer, shorter
from .words import contains

__all__ = ["contains", "exact_answer", "longer", "shorter"]
