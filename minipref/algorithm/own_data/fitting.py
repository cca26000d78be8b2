"""Which losses can learn from a file: what it says has to be what the loss asks for.

Nothing is said twice: a loss fits where `Objective` finds everything that it takes in a few made-up
records of that kind.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from ... import losses  # noqa: F401  (fills the registry)
from ...data.batch import Batch
from ...data.records import Pair, Point, Ranking, Record
from ...data.streams import stream
from ...data.texts import Texts, batch_of
from ...losses.registry import REGISTRY, Entry, get
from ...model.transformer import Config, Transformer
from ..objective import Objective

KINDS: dict[type, str] = {Pair: "pairs", Point: "points", Ranking: "rankings"}


def taught_by(entry: Entry) -> str | None:
    """The kind of record whose labels a loss looks at; None for one that looks at no labels."""
    if any("k" in entry.axes(name) for name in entry.inputs):
        return "rankings"
    if any("chosen_" in name for name in entry.inputs):
        return "pairs"
    return "points" if "desirable" in entry.inputs else None


def why_not(entry: Entry, kind: str, hyperparameters: dict[str, Any] | None = None) -> str | None:
    """Why a loss cannot learn from a file of that kind; None where it can.

    A pair is two points as well, so what learns from points learns from pairs.
    """
    wanted = taught_by(entry)
    if wanted is None:
        return "it does not look at labels of a file"
    if wanted != kind and (wanted, kind) != ("points", "pairs"):
        return f"it learns from {wanted}, and the file holds {kind}"
    try:
        policy = Transformer(Config(len(Texts().vocabulary), 4, 1, 1, 16), stream(0, "fitting"))
        objective = Objective.of(entry.function, reference=policy, **(hyperparameters or {}))
        objective(policy, made_up(wanted))
    except ValueError as error:
        return f"it needs more than labels: {error}" if not hyperparameters else str(error)
    return None


def check_fits(name: str, kind: str, hyperparameters: dict[str, Any] | None = None) -> Entry:
    """The entry of a loss that can learn from a file of that kind.

    Raises: ValueError that says why it cannot, and names all that can.
    """
    entry = get(name)
    reason = why_not(entry, kind)
    if reason is not None:
        raise ValueError(f"loss {name}: {reason}; from {kind} can learn: {', '.join(able(kind))}")
    for key in hyperparameters or {}:
        if key not in entry.hyperparameters:
            known = ", ".join(entry.hyperparameters) or "none"
            raise ValueError(f"loss {name} has no hyper-parameter {key!r} (there are: {known})")
    if (wrong := why_not(entry, kind, hyperparameters)) is not None:
        raise ValueError(f"loss {name}: {wrong}")
    return entry


@cache
def able(kind: str) -> tuple[str, ...]:
    """The names of all losses that can learn from a file of that kind."""
    return tuple(name for name, entry in REGISTRY.items() if why_not(entry, kind) is None)


@cache
def made_up(kind: str) -> Batch:
    """Four records of that kind, each with a prompt of its own."""
    made: list[Record] = []
    for i in range(4):
        match kind:
            case "pairs":
                made.append(Pair(str(i), "a", "b"))
            case "points":
                made.append(Point(str(i), "ab"[i % 2], i % 2 == 0))
            case _:
                made.append(Ranking(str(i), ("a", "b", "c")))
    batch = batch_of(Texts(), made)
    assert len(torch.unique(batch.groups)) == len(made)
    return batch
