"""Sampling with a KV cache: every row until its own <eos>, finished rows retired.

A row's randomness is drawn beforehand, one uniform number a token, so that a response depends on
its own prompt and numbers and not on who else is in the batch. Two policies that are asked with
the same generator use the same numbers, which makes their comparison sharper.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.work import count
from .policy import Policy

EOS = 3
RETIRE = 0.5  # share of finished rows at which it pays to copy the cache without them


@torch.inference_mode()
def generate(
    policy: Policy,
    prompts: list[list[int]],
    *,
    max_new_tokens: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos: int = EOS,
    stops: tuple[int, ...] = (),
) -> list[list[int]]:
    """Draw a response to each prompt; <eos> is part of it when it came.

    Args:
        policy: a model with the policy contract.
        prompts: token ids, of any lengths; padded on the left for the model.
        max_new_tokens: where a response is cut off.
        generator: the one source of randomness; max_new_tokens numbers a row are drawn from it.
        temperature: logits are divided by it; 0 takes the likeliest token.
        top_k: only the k likeliest tokens, if given.
        top_p: only the smallest set of likeliest tokens that holds this probability, if given.
        eos: the token that ends a response.
        stops: further tokens that end it, such as a full stop where one step is wanted.

    Raises: ValueError for an empty prompt or a number out of range.
    """
    check(prompts, max_new_tokens, temperature, top_k, top_p)
    if not prompts:
        return []
    rows, length = len(prompts), max(map(len, prompts))
    ids = torch.tensor([[0] * (length - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[False] * (length - len(p)) + [True] * len(p) for p in prompts])
    uniforms = torch.rand(rows, max_new_tokens, dtype=torch.float64, generator=generator)
    responses = torch.full((rows, max_new_tokens), -1)
    cache = policy.new_cache(rows, length + max_new_tokens - 1)  # the last one is not read
    alive, done = torch.arange(rows), torch.zeros(rows, dtype=torch.bool)  # rows in the batch
    last = torch.zeros(ids.shape, dtype=torch.bool)
    last[:, -1] = True
    logits = policy.unembed(policy.hidden(ids, mask, cache, keep=last))  # (rows, vocabulary)
    for step in range(max_new_tokens):
        if temperature == 0:
            tokens = logits.argmax(-1)
        else:
            probabilities = distribution(logits, temperature, top_k, top_p)
            tokens = draw(probabilities, uniforms[:, step])
        responses[alive, step] = tokens.masked_fill(done, -1)
        for end in (eos, *stops):
            done |= tokens == end
        finished = int(done.sum())
        if finished == len(done) or step == max_new_tokens - 1:
            break
        if finished > RETIRE * len(done):
            going = (~done).nonzero()[:, 0]
            alive, done, tokens = alive[going], done[going], tokens[going]
            ids, mask, uniforms = ids[going], mask[going], uniforms[going]
            if cache is not None:
                cache.select(going)
        if cache is not None:
            hidden = policy.hidden(tokens[:, None], None, cache)
        else:
            ids = torch.cat([ids, tokens[:, None]], 1)
            mask = torch.nn.functional.pad(mask, (0, 1), value=True)
            hidden = policy.hidden(ids, mask)
        logits = policy.unembed(hidden[:, -1])
    count(sampled=int((responses >= 0).sum()))
    return [[token for token in row if token >= 0] for row in responses.tolist()]


def distribution(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """What is sampled from: (rows, vocabulary), rows sum to 1.

    First top_k, then top_p of what is left, as Hugging Face does. Tokens as likely as the last one
    that top_k lets in come in too.
    """
    logits = logits.float() / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    probabilities = logits.softmax(-1)
    if top_p is not None:
        ordered, order = probabilities.sort(-1, descending=True)
        before = ordered.cumsum(-1) - ordered  # mass of all that is likelier
        ordered = ordered.masked_fill(before >= top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, ordered)
        probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    return probabilities


def draw(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """One token a row by the inverse of the distribution function: (rows,).

    probabilities (rows, vocabulary); uniforms (rows,) float64 in [0, 1).
    """
    below = probabilities.cumsum(-1, dtype=torch.float64)
    return torch.searchsorted(below, uniforms[:, None] * below[:, -1:], right=True)[:, 0]


def check(
    prompts: list[list[int]],
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> None:
    """Raise a ValueError that names what cannot be sampled with."""
    empty = [i for i, prompt in enumerate(prompts) if len(prompt) == 0]
    if empty:
        raise ValueError(f"prompts: expected at least one token each, prompt {empty[0]} is empty")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens: expected at least 1, got {max_new_tokens}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature: expected a number in [0, inf), got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k: expected at least 1, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p: expected a number in (0, 1], got {top_p}")
