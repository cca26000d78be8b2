"""Figures as files that are the same bytes each time: no dates, no random ids."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

UNDATED: dict[str, dict[str, None]] = {
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
    ".png": {"Software": None},
}


def check_suffix(path: Path) -> None:
    """Raises: ValueError unless `path` ends in .pdf, .png or .svg."""
    if path.suffix not in UNDATED:
        raise ValueError(
            f"{path}: expected a name that ends in {', '.join(UNDATED)}, got {path.suffix!r}"
        )


def save(figure: Figure, path: Path, *, dpi: int = 150) -> None:
    """Write a figure by its suffix; `dpi` is that of a PNG.

    Raises: ValueError for any other suffix; OSError where the file cannot be written.
    """
    check_suffix(path)
    # Saving gives a figure without a layout engine the default one, which would move its axes.
    with plt.rc_context({"svg.hashsalt": "minipref", "figure.constrained_layout.use": False}):
        figure.savefig(path, metadata=UNDATED[path.suffix], dpi=dpi)
