"""The property suite of `minipref check`: what a loss has to do, and words for what it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from ...losses.registry import get
from .answer import Answer, form_of
from .properties import ADVICE, PROPERTIES

FORMS = ("sequences", "tokens", "logits")


def check(
    function: Callable[..., Any],
    name: str,
    *,
    takes: str | None = None,
    fixed: Mapping[str, Any] | None = None,
    seed: int = 0,
    strict: bool = False,
) -> dict[str, list[str]]:
    """Hold a function to what the registered loss `name` does.

    Args:
        function: of the loss's own inputs ("sequences"), of token log-probs and masks ("tokens"),
            or of logits and labels ("logits"); its inputs are known by their names, or else come
            in the loss's order. It returns a loss a row, their mean, or a tuple that begins so.
        name: of a registered loss.
        takes: one of the three; read off the names of its parameters when None.
        fixed: hyper-parameters that are written into the function, such as {"beta": 0.1}; what it
            neither takes nor lists here is expected at the default.
        seed: of the drawn inputs.
        strict: hold it to this library's own manners too: nan under the mask does not matter.

    Returns: {property: sentences that say what is wrong}, empty lists where all is well; it stops
        after the first property that fails where the rest would only repeat it.
    Raises: ValueError for an unknown name or form.
    """
    entry = get(name)
    if takes is not None and takes not in FORMS:
        raise ValueError(f"takes: expected one of {', '.join(FORMS)}, got {takes!r}")
    answer = Answer(function, entry, takes or form_of(function, entry), dict(fixed or {}), strict)
    report: dict[str, list[str]] = {}
    with torch.enable_grad():
        for title, prop in PROPERTIES.items():
            report[title] = list(prop(answer, seed))
            if report[title] and title in list(PROPERTIES)[:2]:
                break
    return report


def passed(report: Mapping[str, list[str]]) -> bool:
    """Does a loss do what it should, whatever is advised about its digits?"""
    return not any(found for title, found in report.items() if title not in ADVICE)
