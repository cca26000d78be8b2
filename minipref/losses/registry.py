"""Every loss by its name, with what a caller needs to know about it.

A loss is a plain function. Its decorator names the family, files it here and checks its arguments
before each call, so that the function itself stays as clean as the copy that people paste.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec

from torch import Tensor

from .checks import checked

P = ParamSpec("P")


@dataclass(frozen=True)
class Entry:
    """What is known of a loss.

    name             as it is imported and as the command line knows it
    family           reward, pairwise, pointwise, listwise, tokenwise, policy_gradient, diffusion
    paper            number of the paper among the 119, or the classic's arXiv id
    function         the loss, checked; `source` is the same without the check
    inputs           names of its tensors, in order
    hyperparameters  names and defaults of the rest
    shapes           names of an input's dimensions where it is not (batch,)
    ranges           what a hyper-parameter may be, such as "(0, inf)"
    reference        does it need a reference policy?
    logps            "sum" or "mean" over the response, "token", or "none"
    on_policy        must the responses come from the policy that is trained?
    batchwise        does a row's loss depend on the other rows? Then micro-batches do not add up
    """

    name: str
    family: str
    paper: str
    function: Callable[..., Tensor]
    source: Callable[..., Tensor]
    inputs: tuple[str, ...]
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)
    reference: bool = False
    logps: str = "sum"
    on_policy: bool = False
    batchwise: bool = False

    def axes(self, name: str) -> list[str]:
        """The names of an input's dimensions."""
        return self.shapes.get(name, "batch").split()


REGISTRY: dict[str, Entry] = {}


def get(name: str) -> Entry:
    """The entry of that name. Raises ValueError with the nearest names for an unknown one."""
    if name not in REGISTRY:
        near = difflib.get_close_matches(name, REGISTRY, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"there is no loss called {name!r}{hint} (`minipref losses` lists all)")
    return REGISTRY[name]


def entry_of(loss: Callable[..., Tensor]) -> Entry:
    """The entry of a loss: a registered one, or what a modifier has made of one.

    Raises: ValueError for a function that is neither.
    """
    entry = getattr(loss, "entry", None)
    return entry if isinstance(entry, Entry) else get(getattr(loss, "__name__", repr(loss)))


def family(kind: str) -> Callable[..., Callable[[Callable[P, Tensor]], Callable[P, Tensor]]]:
    """The decorator of a family: `@pairwise(paper="070", reference=True, ranges={...})`."""

    def decorator(
        *,
        paper: str,
        reference: bool = False,
        logps: str = "sum",
        on_policy: bool = False,
        batchwise: bool = False,
        shapes: dict[str, str] | None = None,
        ranges: dict[str, str] | None = None,
    ) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
        def register(source: Callable[P, Tensor]) -> Callable[P, Tensor]:
            function = checked(shapes=shapes, ranges=ranges)(source)
            parameters = inspect.signature(source).parameters.values()
            REGISTRY[source.__name__] = Entry(
                name=source.__name__,
                family=kind,
                paper=paper,
                function=function,
                source=source,
                inputs=tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY),
                hyperparameters={p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY},
                shapes=shapes or {},
                ranges=ranges or {},
                reference=reference,
                logps=logps,
                on_policy=on_policy,
                batchwise=batchwise,
            )
            return function

        return register

    return decorator


reward = family("reward")
pairwise = family("pairwise")
pointwise = family("pointwise")
listwise = family("listwise")
tokenwise = family("tokenwise")
policy_gradient = family("policy_gradient")
diffusion = family("diffusion")
