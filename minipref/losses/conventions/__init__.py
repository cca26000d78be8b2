"""Names and conventions: what other libraries call our losses, and names with several meanings.

TRL's flags are not here: they are executed, so they stand where they are called from, in
`minipref/evaluation/peers`. The page that shows all of it is docs/losses.md.
"""

from .clashes import CLASHES, Clash
from .flag import READ, Flag
from .lists import LISTS
from .pairs import PAIRS
from .points import POINTS
from .policy_gradients import POLICY_GRADIENTS
from .reference_free import REFERENCE_FREE
from .rewards import REWARDS
from .tokens import MODIFIED, TOKENS

FLAGS: dict[str, tuple[Flag, ...]] = {
    **PAIRS,
    **REFERENCE_FREE,
    **POINTS,
    **POLICY_GRADIENTS,
    **REWARDS,
    **LISTS,
    **TOKENS,
    **MODIFIED,
}

__all__ = ["CLASHES", "FLAGS", "MODIFIED", "READ", "Clash", "Flag"]
