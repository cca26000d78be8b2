"""What a run has cost: tokens trained and sampled, labels, queries, settings tried.

    with counting() as work:
        ...
    work.trained

Whoever does the work reports it (`count`); counts may be nested, and one that nobody asked for
costs nothing. Budgets are kept in work and not in seconds, which differ between machines.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Work:
    """How much of each.

    trained   tokens that a gradient was computed for, prompts included
    sampled   tokens drawn from a policy
    labels    pairs, points or rankings that an annotator was asked for
    queries   responses or pairs that a model was asked to judge
    settings  settings of a method that were tried
    """

    trained: int = 0
    sampled: int = 0
    labels: int = 0
    queries: int = 0
    settings: int = 0


_open: ContextVar[tuple[Work, ...]] = ContextVar("open", default=())


@contextmanager
def counting() -> Iterator[Work]:
    """Count all work that is done inside."""
    work = Work()
    token = _open.set((*_open.get(), work))
    try:
        yield work
    finally:
        _open.reset(token)


def count(**amounts: int) -> None:
    """Report work that was done: count(trained=512)."""
    for work in _open.get():
        for name, amount in amounts.items():
            setattr(work, name, getattr(work, name) + amount)
