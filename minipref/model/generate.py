"""Sampling with a KV cache: every row until its own <eos>, finished rows retired."""

from __future__ import annotations

import torch
from torch import Tensor

from .policy import Policy

EOS = 3


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
) -> list[list[int]]:
    """Draw a response to each prompt; <eos> is part of it when it came."""
    length = max(map(len, prompts))
    ids = torch.tensor([[0] * (length - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[False] * (length - len(p)) + [True] * len(p) for p in prompts])
    cache = policy.new_cache(len(prompts))
    alive = torch.arange(len(prompts))
    responses = torch.full((len(prompts), max_new_tokens), -1)
    logits = policy.unembed(policy.hidden(ids, mask, cache)[:, -1])  # (rows, vocabulary)
    for step in range(max_new_tokens):
        tokens = choose(logits, generator, temperature)
        responses[alive, step] = tokens
        going = (tokens != eos).nonzero()[:, 0]
        if len(going) == 0 or step == max_new_tokens - 1:
            break
        if len(going) < len(alive):
            alive, tokens = alive[going], tokens[going]
            if cache is not None:
                cache.select(going)
        logits = policy.unembed(policy.hidden(tokens[:, None], None, cache)[:, -1])
    return [[token for token in row if token >= 0] for row in responses.tolist()]


def choose(logits: Tensor, generator: torch.Generator, temperature: float) -> Tensor:
    """One token a row: argmax of logits / temperature + Gumbel noise is a softmax draw."""
    if temperature == 0:
        return logits.argmax(-1)
    noise = torch.empty_like(logits).exponential_(generator=generator)
    return (logits.float() / temperature - noise.log()).argmax(-1)
