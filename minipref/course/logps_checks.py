"""The check of a function that turns logits into log-probs of a response's tokens.

It asks for what must hold of any such function (probabilities of all next words sum to 1, padding
makes no difference), so that it finds a wrong shift and a wrong mask apart.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..data.streams import stream
from ..model.logprobs import logps_from_logits
from .checks import NotYet

VOCABULARY, LENGTH, PROMPT = 7, 6, 2
LogpsOfLogits = Callable[[Tensor, Tensor, Tensor], Tensor]


def check_logps(function: LogpsOfLogits, *, seed: int = 0) -> str:
    """Grade `function(logits, ids, completion_mask) -> (batch, length)` log-probs, nats.

    Raises: NotYet with what is wrong.
    """
    rng = stream(seed, "course/logps")
    logits = torch.randn(1, LENGTH, VOCABULARY, generator=rng, dtype=torch.float64)
    ids = torch.randint(VOCABULARY, (1, LENGTH), generator=rng)
    mask = torch.arange(LENGTH)[None] >= PROMPT
    try:
        found = function(logits, ids, mask)
    except NotImplementedError as error:
        raise NotYet("nothing there yet: write the function above this cell") from error
    if not isinstance(found, Tensor) or found.shape != ids.shape:
        seen = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise NotYet(f"ids have the shape (batch, length) = {tuple(ids.shape)}; yours is {seen}")
    if bool((found.detach() > 1e-6).any()):
        raise NotYet("some log-probs are positive: no probability is above 1")
    if bool((found[~mask] != 0).any()):
        raise NotYet("prompt tokens have a log-prob: only the response's tokens count")
    _reads(function, logits, ids, mask)
    _sums_to_one(function, logits, ids, mask)
    if not torch.allclose(found, logps_from_logits(logits, ids, mask).to(found.dtype), atol=1e-5):
        raise NotYet("every token is read from the right place, but the numbers are not log-probs")
    return "shift, mask and normalisation are right"


def _reads(function: LogpsOfLogits, logits: Tensor, ids: Tensor, mask: Tensor) -> None:
    """Token t is predicted by the logits at t - 1."""
    before = function(logits, ids, mask)
    if bool((before[:, PROMPT] == 0).any()):
        raise NotYet("the first token of the response has no log-prob, and it should have one")
    for t in range(PROMPT, LENGTH):
        for shift in (0, -1, 1):
            if not 0 <= t - shift < LENGTH:
                continue
            moved = logits.clone()
            moved[:, t - shift, ids[0, t]] += 1.0
            reacts = not torch.allclose(function(moved, ids, mask)[:, t], before[:, t])
            if reacts and shift == 0:
                raise NotYet(
                    "a token's log-prob is read from the logits at its own place: "
                    "a model that has seen the token is asked to predict it"
                )
            if reacts and shift == -1:
                raise NotYet("a token's log-prob is read from logits after it")
            if not reacts and shift == 1:
                raise NotYet(f"the log-prob of token {t} ignores the logits that predict it")


def _sums_to_one(function: LogpsOfLogits, logits: Tensor, ids: Tensor, mask: Tensor) -> None:
    """Over all words that could stand at a place, the probabilities sum to 1."""
    total = 0.0
    for word in range(VOCABULARY):
        other = ids.clone()
        other[0, PROMPT] = word
        total += float(function(logits, other, mask)[0, PROMPT].exp())
    if abs(total - 1) > 1e-5:
        raise NotYet(f"the probabilities of all words at one place sum to {total:.3f}")
