"""Predict, run, explain: what a guess was worth, once the curve is there."""

from __future__ import annotations

from collections.abc import Sequence

WAYS = ("up", "down", "same")


def compare(
    guess: str, values: Sequence[float], *, steps: Sequence[int] | None = None, same: float = 0.01
) -> str:
    """Hold a guess ("up", "down", "same") against a curve, and say until when it held.

    Args:
        guess: where the reader thought that the curve ends, against where it starts.
        values: the curve.
        steps: at which step each value was measured; 0, 1, 2, ... by default.
        same: a change of at most this is no change, in the curve's own unit.
    """
    if len(values) < 2:
        raise ValueError(f"values: expected a curve of at least 2 points, got {len(values)}")
    if guess not in WAYS:
        return 'No guess yet: write "up", "down" or "same" in the cell above, and run both again.'
    ways = [_way(value - values[0], same) for value in values]
    end = ways[-1]
    line = f'You said "{guess}"; it ends "{end}"'
    numbered = list(zip(steps or range(len(values)), ways, strict=True))
    before = [(step, seen) for step, seen in numbered if seen not in (end, "same")]
    if before:
        step, seen = before[-1]
        line += f', and was "{seen}" as late as step {step}'
    return line + "."


def _way(change: float, same: float) -> str:
    if abs(change) <= same:
        return "same"
    return "up" if change > 0 else "down"
