"""What to say when a name on the command line is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def check_name(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise ValueError with the nearest name, and all there are, unless ``name`` is known."""
    names = list(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"there is no {kind} called {name!r}{hint} (there are {', '.join(names)})")
