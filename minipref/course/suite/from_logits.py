"""A loss as a function of logits, labels and masks: the text of it, for mutants and examples."""

from __future__ import annotations

from ...losses import training_step
from ...losses.export import File, Scope
from ...losses.registry import get
from ...losses.training_step import PREAMBLE
from ...losses.vocabulary import side_of


def of_logits(name: str) -> str:
    """A file with `NAME_of_logits`: the shift, the mask, the sum or mean, and the loss.

    Raises: ValueError for an unknown name, or a loss whose log-probs are not of words.
    """
    entry = get(name)
    tensors: list[str] = []
    lines: list[str] = []
    for key in entry.inputs:
        if not key.endswith("logps"):
            if not key.endswith("mask"):
                tensors.append(key)
            continue
        if entry.axes(key)[-1:] not in (["batch"], ["length"]):
            raise ValueError(f"{name}: {key} is not of a response's words")
        side = side_of(key)
        logits = key.replace("mean_logps", "logits").replace("logps", "logits")
        by_token = entry.axes(key) == ["batch", "length"]
        how = "token_logps" if by_token else "mean_logps" if "mean_" in key else "sequence_logps"
        tensors += [t for t in (logits,) if t not in tensors]
        lines.append(f"    {key} = {how}({logits}, {side}labels, {side}mask)")
    sides = [side for side in ("chosen_", "rejected_") if any(side in t for t in tensors)] or [""]
    tensors += [f"{side}{what}" for side in sides for what in ("labels", "mask")]
    numbers = ", ".join(f"{key}={value!r}" for key, value in entry.hyperparameters.items())
    inputs = ", ".join(entry.inputs)
    passed = ", ".join(f"{key}={key}" for key in entry.hyperparameters)
    signature = ", ".join(tensors) + (f", *, {numbers}" if numbers else "")
    function = "\n".join(
        [
            f"def {name}_of_logits({signature}):",
            *lines,
            f"    return {name}({inputs}{', ' + passed if passed else ''})",
        ]
    )
    file = File()
    scope = Scope(
        f"{PREAMBLE}\nfrom {entry.source.__module__} import {name}", training_step.__name__
    )
    file.add_names(function, scope, but="")
    file.add(name, entry.source.__module__)
    return "\n\n\n".join([file.import_lines(), *file.texts.values(), function])
