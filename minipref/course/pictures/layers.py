"""Where boxes and arrows of a graph without circles go: columns, order, heights; nothing is drawn.

The layered way (Sugiyama et al. 1981): every arrow runs to a column further right, an arrow that
passes a column gets a narrow place in it, each column takes the order in which few arrows cross,
and each box the height that keeps its arrows short, without two boxes that overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 24
Edge = tuple[str, str]


@dataclass(frozen=True)
class Layout:
    """columns: boxes from top to bottom, the leftmost column first; tops: their upper edges.

    ways  by edge, the boxes it passes: both its ends, and the narrow places between them
    """

    columns: list[list[str]]
    tops: dict[str, float]
    ways: dict[Edge, list[str]]


def lay_out(heights: Mapping[str, float], edges: Iterable[Edge], page: float, gap: float) -> Layout:
    """Place boxes of these heights, `gap` apart, on a page that is `page` high.

    Raises: ValueError where the edges run in a circle, or a column is too high for the page.
    """
    edges = list(dict.fromkeys(edges))
    depth = depths(heights, edges)
    columns: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=0))]
    for box in heights:
        columns[-1 - depth[box]].append(box)
    sizes, ways = dict(heights), {}
    for source, target in edges:
        passed = [f"{source} > {target} > {k}" for k in range(depth[target] + 1, depth[source])]
        for level, name in zip(range(depth[target] + 1, depth[source]), passed, strict=True):
            columns[-1 - level].append(name)
            sizes[name] = 0.0
        ways[source, target] = [source, *reversed(passed), target]
    steps = [step for way in ways.values() for step in pairwise(way)]
    columns = order(columns, steps)
    return Layout(columns, tops(columns, steps, sizes, page, gap), ways)


def depths(boxes: Iterable[str], edges: Sequence[Edge]) -> dict[str, int]:
    """How many arrows follow each other from a box at most; 0 where none leaves it."""
    after: dict[str, list[str]] = {box: [] for box in boxes}
    for source, target in edges:
        after[source].append(target)
    found: dict[str, int] = {}

    def depth(box: str, trail: tuple[str, ...] = ()) -> int:
        if box in trail:
            raise ValueError(f"edges: {' -> '.join((*trail, box))} is a circle")
        if box not in found:
            found[box] = max((1 + depth(other, (*trail, box)) for other in after[box]), default=0)
        return found[box]

    return {box: depth(box) for box in after}


def order(columns: list[list[str]], steps: Sequence[Edge]) -> list[list[str]]:
    """The columns, each in the order in which the fewest arrows cross, among those tried.

    Again and again every box goes to the mean place of its neighbours in the next column.
    """
    best = columns
    for sweep in range(SWEEPS):
        rightward = sweep % 2
        trial = [list(column) for column in columns]
        numbers = range(1, len(trial)) if rightward else range(len(trial) - 2, -1, -1)
        for number in numbers:
            beside = trial[number - 1 if rightward else number + 1]
            place = {box: i / max(1, len(beside) - 1) for i, box in enumerate(beside)}
            mean = means(trial[number], steps, place)
            trial[number].sort(key=mean.__getitem__)
        columns = trial
        if crossings(trial, steps) < crossings(best, steps):
            best = trial
    return best


def means(
    column: Sequence[str], steps: Sequence[Edge], place: Mapping[str, float]
) -> dict[str, float]:
    """The mean place of a box's neighbours; its own, as a share of the column, without any."""
    found: dict[str, list[float]] = {box: [] for box in column}
    for one, other in steps:
        for mine, theirs in ((one, other), (other, one)):
            if mine in found and theirs in place:
                found[mine].append(place[theirs])
    own = {box: i / max(1, len(column) - 1) for i, box in enumerate(column)}
    return {box: sum(seen) / len(seen) if seen else own[box] for box, seen in found.items()}


def crossings(columns: Sequence[Sequence[str]], steps: Sequence[Edge]) -> int:
    """How many pairs of arrows cross."""
    place = {box: (c, i) for c, column in enumerate(columns) for i, box in enumerate(column)}
    between: dict[int, list[tuple[int, int]]] = {}
    for source, target in steps:
        between.setdefault(place[source][0], []).append((place[source][1], place[target][1]))
    return sum(
        (a - c) * (b - d) < 0
        for found in between.values()
        for i, (a, b) in enumerate(found)
        for c, d in found[:i]
    )


def tops(
    columns: Sequence[Sequence[str]], steps: Sequence[Edge], sizes: Mapping[str, float],
    page: float, gap: float,
) -> dict[str, float]:  # fmt: skip
    """Upper edges, so that boxes keep their order and stand apart, each near its neighbours."""
    middle: dict[str, float] = {}
    for column in columns:
        total = sum(sizes[box] + gap for box in column) - gap
        if total > page:
            raise ValueError(f"page: a column is {total:.1f} high, and the page only {page:.1f}")
        y = (page - total) / 2
        for box in column:
            middle[box] = y + sizes[box] / 2
            y += sizes[box] + gap
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 else reversed(columns):
            outside = {box: y for box, y in middle.items() if box not in column}
            wanted = means(column, steps, outside)
            alone = {box for box in column if not any(box in step for step in steps)}
            targets = [middle[box] if box in alone else wanted[box] for box in column]
            middle |= zip(
                column, settle(targets, [sizes[b] for b in column], page, gap), strict=True
            )
    return {box: y - sizes[box] / 2 for box, y in middle.items()}


def settle(wanted: Sequence[float], sizes: Sequence[float], page: float, gap: float) -> list[float]:
    """The middles nearest to the wanted ones that keep order, distance and the page's edges.

    Less the room that the boxes before take, they only have to rise: isotonic regression.
    """
    room = [sum(sizes[:i]) + gap * i + size / 2 for i, size in enumerate(sizes)]
    blocks: list[tuple[float, int]] = []
    for want, taken in zip(wanted, room, strict=True):
        mean, count = want - taken, 1
        while blocks and blocks[-1][0] > mean:
            other, more = blocks.pop()
            mean, count = (mean * count + other * more) / (count + more), count + more
        blocks.append((mean, count))
    slack = page - sum(sizes) - gap * (len(sizes) - 1)
    rises = [min(max(mean, 0.0), slack) for mean, count in blocks for _ in range(count)]
    return [rise + taken for rise, taken in zip(rises, room, strict=True)]
