"""Does a leaf of a survey point to what it says? The registry, the rows and the code answer."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...losses import registry
from ..catalogue import catalogue
from .preference_tuning_taxonomy import ONLINE, Leaf, points


def faults(leaf: Leaf) -> list[str]:
    """What is wrong with a leaf; nothing for one that says why it points nowhere."""
    kind, _, target = leaf.to.partition(":")
    target = target.strip()
    checks: dict[str, Callable[[Leaf, str], list[str]]] = {"loss": loss, "row": row, "code": code}
    if kind in checks:
        found = checks[kind](leaf, target)
    else:
        found = [] if kind in ("planned", "not here") and target else [f"says {leaf.to!r}"]
    return [f"{leaf.name}: {fault}" for fault in found]


def loss(leaf: Leaf, name: str) -> list[str]:
    """Against the registry: whose paper it is, what it compares, whether it needs a reference."""
    try:
        entry = registry.get(name)
    except ValueError as error:
        return [str(error)]
    found = []
    if paper_of(entry) != leaf.arxiv:
        found.append(f"{name} is of {paper_of(entry)}, not of {leaf.arxiv}")
    if unit_of(entry) != leaf.unit:
        found.append(f"{name} compares {unit_of(entry) or 'rewards'}, not {leaf.unit or 'rewards'}")
    needs = any(key.startswith("ref_") for key in entry.inputs)
    if needs != leaf.reference:
        found.append(f"{name} {'needs' if needs else 'has no'} reference")
    if entry.on_policy and leaf.sampling != ONLINE:
        found.append(f"{name} wants the policy's own responses, and the leaf is {leaf.sampling}")
    return found


def paper_of(entry: registry.Entry) -> str:
    """A loss's paper by its arXiv id, also where the registry has its number among ours."""
    numbers = {f"{item.paper.number:03d}": item.paper.arxiv for item in catalogue().values()}
    return numbers.get(entry.paper, entry.paper)


def unit_of(entry: registry.Entry) -> str:
    """pair, point or list, by the names of its inputs and its family; "" for a policy gradient."""
    if entry.inputs[0].startswith("chosen_"):
        return "pair"
    return {"pointwise": "point", "listwise": "list"}.get(entry.family, "")


def row(leaf: Leaf, key: str) -> list[str]:
    """Against the catalogue: there is such a row, and it is of that paper."""
    entry = catalogue().get(key)
    if entry is None:
        return [f"there is no row {key!r}"]
    known = entry.paper.arxiv
    return [] if known == leaf.arxiv else [f"{key} is of {known}, not of {leaf.arxiv}"]


def code(leaf: Leaf, path: str) -> list[str]:
    """Against the code: it is there, and its own text names the paper or the method."""
    try:
        text = inspect.getdoc(resolve(path)) or ""
    except (ImportError, AttributeError):
        return [f"there is no {path}"]
    return [] if leaf.arxiv in text else [f"{path} does not say {leaf.arxiv!r}"]


def resolve(path: str) -> Any:
    """A module of minipref, or something in one, by its dotted path."""
    if path.partition(".")[0] != "minipref":
        raise ImportError(f"{path} is not in minipref")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


def repointed(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Every leaf that points somewhere, once for each other place that a leaf points to."""
    places = list(dict.fromkeys(leaf.to for leaf in leaves if points(leaf)))
    return [
        replace(leaf, to=place)
        for leaf in leaves
        if points(leaf)
        for place in places
        if place != leaf.to
    ]


def checked(leaves: Sequence[Leaf]) -> dict[str, Any]:
    """What is wrong with a taxonomy, and with every wrong pointer that it could hold.

    faults       of its leaves, as sentences
    caught       share of `repointed(leaves)` that have a fault
    implemented  how many leaves point to something
    """
    wrong = repointed(leaves)
    return {
        "faults": [fault for leaf in leaves for fault in faults(leaf)],
        "caught": sum(bool(faults(leaf)) for leaf in wrong) / len(wrong),
        "implemented": sum(map(points, leaves)),
    }
