"""What a row's figure shows, as data: it is drawn from stored runs, and no arm runs again for it.

A row says FIGURE = Dots(...), Lines(...), or a tuple of panels; `pictures.py` draws them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Dots:
    """A line for each name with a dot for each seed; the control's dots are hollow.

    title  what the reader should see, as a sentence
    x      what is measured, with its unit: "win rate over DPO", "log-prob (nats)"
    rows   label -> name in what the row measured
    mark   where a line stands for comparison, such as chance
    """

    title: str
    x: str
    rows: Mapping[str, str]
    mark: float | None = None

    def names(self) -> list[str]:
        """The measurements that it shows."""
        return list(self.rows.values())


@dataclass(frozen=True)
class Lines:
    """A curve for each label through its points, mean over seeds; the control's are grey.

    title, x, y  as for Dots
    lines        label -> points (x, name of what was measured there); x is a number, or the name
                 of a measurement too, as in reward against KL
    mark         where a horizontal line stands for comparison
    """

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float | str, str]]]
    mark: float | None = None

    def names(self) -> list[str]:
        """The measurements that it shows."""
        return [
            name
            for points in self.lines.values()
            for point in points
            for name in point
            if isinstance(name, str)
        ]


Panel = Dots | Lines
