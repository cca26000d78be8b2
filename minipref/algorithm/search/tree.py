"""Monte Carlo tree search over anything that can be done step by step.

    search(roots, 24, expand=steps)       # many trees side by side
    best = committed(roots[0])

A node is what has been done so far. `expand` adds children to many leaves in one call, with a
value v and a prior p each; `select` says which child to look at next, `backup` what a visit
teaches. The two rules given here are those of MCTS-DPO (paper 047, arXiv 2405.00451):

    PUCT     Q(s, a) + c p(a|s) sqrt(N(s)) / (1 + N(s, a))
    backup   r = v(child) - v(parent),  Q = r + gamma V(child),  N += 1,
             V = sum_a max(1, N_a) Q_a / sum_a max(1, N_a)

A reward is an improvement: along a path the rewards add up to the value of its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Node:
    """What has been done so far, and what the search thinks of it.

    state     for `expand`: the tokens so far, for instance
    prior     p, how likely the policy is to come here from the parent
    value     v, how good it looks by itself
    terminal  is there nothing left to do?
    visits    N;  q  Q, what a visit earned beyond the parent's value
    """

    state: Any
    prior: float = 1.0
    value: float = 0.0
    terminal: bool = False
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    q: float = 0.0

    def add(self, state: Any, prior: float, value: float, terminal: bool = False) -> Node:
        """A new child, whose Q is its own reward until it is visited."""
        child = Node(state, prior, value, terminal, self)
        child.q = reward(child)
        self.children.append(child)
        return child

    @property
    def depth(self) -> int:
        """Steps from the root."""
        return 0 if self.parent is None else self.parent.depth + 1


Expand = Callable[[Sequence[Node]], None]
Select = Callable[[Node], float]
Backup = Callable[[Sequence[Node]], None]


def reward(node: Node) -> float:
    """r: by how much this step improved the value; the root's is its value."""
    return node.value - (node.parent.value if node.parent else 0.0)


def state_value(node: Node) -> float:
    """V: the children's Q, each weighing as much as it was visited, at least once; 0 without."""
    weights = [max(1, child.visits) for child in node.children]
    total = sum(w * child.q for w, child in zip(weights, node.children, strict=True))
    return total / sum(weights) if weights else 0.0


def puct(child: Node, c: float = 1.0) -> float:
    """How much a child deserves the next visit: c = 0 is greedy, a large c follows the priors."""
    assert child.parent is not None
    return child.q + c * child.prior * child.parent.visits**0.5 / (1 + child.visits)


def improve(path: Sequence[Node], gamma: float = 1.0) -> None:
    """Tell every node of a path, last first, what was found below it."""
    for node in reversed(path):
        node.q = reward(node) + gamma * state_value(node)
        node.visits += 1


def search(
    roots: Sequence[Node],
    simulations: int,
    *,
    expand: Expand,
    select: Select = puct,
    backup: Backup = improve,
) -> None:
    """So many simulations in every tree: to a leaf, one step beyond it, and back.

    Args:
        roots: nodes of different trees; a node inside a tree searches what is below it.
        simulations: how often each root is visited.
        expand: adds children to leaves, all trees' in one call; it may leave some without.
        select: a number for a child; the child of the highest is visited, the earlier of equals.
        backup: changes the nodes of a path, root first.

    Raises: ValueError for a number of simulations below 1.
    """
    if simulations < 1:
        raise ValueError(f"simulations: expected at least 1, got {simulations}")
    for _ in range(simulations):
        paths = [descend(root, select) for root in roots]
        if leaves := [path[-1] for path in paths if not path[-1].terminal]:
            expand(leaves)
        for path in paths:
            if path[-1].children:
                path.append(max(path[-1].children, key=select))
            backup(path)


def descend(root: Node, select: Select) -> list[Node]:
    """From the root to a node without children, by way of the best child each time."""
    path = [root]
    while path[-1].children:
        path.append(max(path[-1].children, key=select))
    return path


def committed(node: Node) -> Node:
    """The child to go on from: the most visited one, of equals the one of higher Q."""
    if not node.children:
        raise ValueError("node: it has no children to commit to; search from it first")
    return max(node.children, key=lambda child: (child.visits, child.q))
