"""Diversity: how different a policy's responses to one prompt are.

Preference learning sharpens a policy, and here it shows. Each measure is taken prompt by prompt
and averaged over prompts; each depends on how many responses a prompt has, so compare policies at
the same number.
"""

from __future__ import annotations

from itertools import chain

import torch

from ..data.batch import Batch
from .estimate import Estimate

Ngram = tuple[str, ...]


def distinct_responses(batch: Batch) -> Estimate:
    """Share of different responses among those to a prompt: 1 where no two are equal."""
    return over_prompts([len(set(texts)) / len(texts) for texts in by_prompt(batch)])


def distinct_n(batch: Batch, n: int = 2) -> Estimate:
    """Distinct-n: share of different n-grams among all of a prompt's n-grams.

    Prompts none of whose responses has n words are left out.
    Source: Li et al. 2016, arXiv 1510.03055, there over all prompts at once.
    """
    groups = [list(chain(*(ngrams(text, n) for text in texts))) for texts in by_prompt(batch)]
    return over_prompts([len(set(found)) / len(found) for found in groups if found])


def self_overlap(batch: Batch, n: int = 2) -> Estimate:
    """Share of a response's different n-grams that another response to the prompt holds too.

    Self-BLEU's question (Zhu et al. 2018, arXiv 1802.01886) without its weights and penalties.
    Responses of fewer than n words are left out.
    """
    shares = []
    for texts in by_prompt(batch):
        sets = [set(found) for text in texts if (found := ngrams(text, n))]
        if len(sets) > 1:
            others = [set(chain(*sets[:i], *sets[i + 1 :])) for i in range(len(sets))]
            shared = [len(own & rest) / len(own) for own, rest in zip(sets, others, strict=True)]
            shares.append(sum(shared) / len(shared))
    return over_prompts(shares)


def ngrams(text: str, n: int) -> list[Ngram]:
    """Every n words in a row, as they come."""
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    words = text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def by_prompt(batch: Batch) -> list[list[str]]:
    """The responses of every group; ValueError where one stands alone."""
    groups: dict[int, list[str]] = {}
    for group, text in zip(batch.groups.tolist(), batch.responses, strict=True):
        groups.setdefault(group, []).append(text)
    if min(map(len, groups.values())) < 2:
        raise ValueError("batch: expected at least two responses to every prompt, one has a single")
    return list(groups.values())


def over_prompts(values: list[float]) -> Estimate:
    """The mean over prompts, with its standard error."""
    return Estimate.mean(torch.tensor(values, dtype=torch.float64))
