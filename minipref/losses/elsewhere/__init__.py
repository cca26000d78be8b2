"""What of the field's names is not registered, and what to take for it; and names of the same."""

from .aliases import ALIASES
from .entry import Elsewhere
from .no_loss import NO_LOSS
from .other_data import OTHER_DATA
from .reward_models import REWARD_MODELS
from .variants import VARIANTS

GROUPS: dict[str, tuple[Elsewhere, ...]] = {
    "A registered loss on other data": OTHER_DATA,
    "A registered loss modified, or several added up": VARIANTS,
    "Reward models without a loss of their own": REWARD_MODELS,
    "No loss, or not here": NO_LOSS,
}
ELSEWHERE: dict[str, Elsewhere] = {
    entry.name: entry for entries in GROUPS.values() for entry in entries
}

__all__ = ["ALIASES", "ELSEWHERE", "GROUPS", "Elsewhere"]
