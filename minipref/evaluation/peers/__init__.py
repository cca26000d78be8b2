"""Other people's code beside ours: what another library computes on the very same log-probs.

A peer is a table of comparisons (`comparison.Comparison`): one of our losses, the function that
calls the other library's own code, the settings with which both are equal, and one sentence where
its conventions are not ours. A formula that was typed off would compare us with ourselves, so each
comparison runs the library as it is installed; nothing of it is imported before it is asked for.

    from minipref.evaluation.peers import PEERS, compared
    comparison = PEERS["trl"].of("dpo")[0]
    compared(comparison, inputs, {"beta": 0.1}).gap
"""

from .comparison import Compared, Comparison, Peer, compared
from .one_model import consistent
from .trl import TRL

PEERS: dict[str, Peer] = {"trl": TRL}

__all__ = ["PEERS", "Compared", "Comparison", "Peer", "compared", "consistent"]
