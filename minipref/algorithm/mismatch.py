"""Responses handed to the wrong prompts: what KTO measures its reference point on."""

from __future__ import annotations

import torch

from ..data.batch import Batch
from ..data.rows import Rows


def mismatched(batch: Batch) -> Rows:
    """Every prompt with a response that was given to another prompt of the batch.

    Rows are shifted round by the size of the largest group, which leaves no response where it was
    and none with its own prompt, as long as no prompt owns more than half of the rows.

    Raises:
        ValueError: one prompt owns more than half of the rows, so that no mismatch exists.
    """
    order = torch.argsort(batch.groups, stable=True)
    largest = int(torch.bincount(batch.groups - batch.groups.min()).max())
    if 2 * largest > len(batch):
        raise ValueError(
            f"the reference point needs responses to other prompts, but one prompt owns {largest} "
            f"of the batch's {len(batch)} rows; use a larger batch"
        )
    prompts, responses = batch.rows.split()
    shifted = order.roll(-largest)
    partner = torch.empty_like(order)
    partner[order] = shifted
    return Rows.of(prompts, [responses[row] for row in partner.tolist()])
