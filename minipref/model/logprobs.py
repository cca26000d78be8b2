"""Log-probabilities of responses: the shift, the mask and the sum, each in one place.

Everything is in nats and float32, whatever the model's dtype.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data.rows import Rows
from ..data.work import count
from ..fused.linear_logps import linear_logps
from ..fused.token_logps import token_logps as logps_of_logits
from .policy import Policy

MANY_WORDS = 2048  # below, logits are small, and plain log-probs as fast as fused ones
PARTS, WORTH = 3, 0.85  # rows are read in three parts where that is at most 85 % of the work


def logps_from_logits(logits: Tensor, ids: Tensor, completion_mask: Tensor) -> Tensor:
    """log p(ids[t] | ids[<t]) where the mask is True, else 0.

    Args:
        logits: (batch, length, vocabulary); logits[t] predict ids[t + 1].
        ids: (batch, length).
        completion_mask: (batch, length) bool.

    Returns:
        (batch, length) float32, aligned with `ids`: the first token has no prediction.

    Raises: ValueError that names the tensor whose shape or dtype does not fit.
    """
    if ids.dim() != 2 or ids.dtype != torch.int64:
        raise ValueError(f"ids: expected int64 (batch, length), got {ids.dtype} {(*ids.shape,)}")
    if logits.dim() != 3 or logits.shape[:2] != ids.shape:
        raise ValueError(f"logits: expected {(*ids.shape, 'vocabulary')}, got {(*logits.shape,)}")
    if completion_mask.shape != ids.shape or completion_mask.dtype != torch.bool:
        raise ValueError(
            f"completion_mask: expected bool {(*ids.shape,)}, "
            f"got {completion_mask.dtype} {(*completion_mask.shape,)}"
        )
    logps = logits[:, :-1].float().log_softmax(-1)  # (batch, length - 1, vocabulary)
    logps = logps.gather(-1, ids[:, 1:, None])[..., 0]
    return nn.functional.pad(logps, (1, 0)).where(completion_mask, 0.0)


def token_logps(policy: Policy, rows: Rows) -> Tensor:
    """log p(ids[t] | ids[<t]) of the response's tokens, 0 elsewhere: (batch, length)."""
    mask = predicted(rows)
    hidden, targets = states(policy, rows, mask), rows.ids[mask]  # (tokens, width), (tokens,)
    matrix = policy.unembedding()
    if matrix is not None and len(matrix) >= MANY_WORDS:
        logps = linear_logps(hidden, matrix, targets).float()
    else:
        logits = policy.unembed(hidden)  # (tokens, vocabulary)
        if logits.shape[-1] >= MANY_WORDS:
            logps = logps_of_logits(logits, targets).float()
        else:
            logits = logits.float()
            logps = logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)
    count_trained(logps, rows)
    return torch.zeros(rows.ids.shape, dtype=logps.dtype).masked_scatter(mask, logps)


def sequence_logps(policy: Policy, rows: Rows) -> Tensor:
    """log pi(response | prompt), summed over the response's tokens: (batch,)."""
    return token_logps(policy, rows).sum(1)


def token_entropies(policy: Policy, rows: Rows) -> Tensor:
    """Entropy of the policy where it chose each response token, 0 elsewhere: (batch, length)."""
    mask, matrix = predicted(rows), policy.unembedding()
    if matrix is not None and len(matrix) >= MANY_WORDS:
        hidden = states(policy, rows, mask)  # (tokens, width)
        _, entropies = linear_logps(hidden, matrix, rows.ids[mask], entropy=True)
        count_trained(entropies, rows)
    else:
        logps = completion_logits(policy, rows)[0].log_softmax(-1)
        entropies = -(logps.exp() * logps).sum(-1)
    return torch.zeros(rows.ids.shape).masked_scatter(mask, entropies.float())


def completion_logits(policy: Policy, rows: Rows) -> tuple[Tensor, Tensor]:
    """Logits (tokens, vocabulary) that predicted each response token, and those tokens' mask.

    Only these positions are unembedded: prompts and padding need no logits.
    """
    mask = predicted(rows)
    logits = policy.unembed(states(policy, rows, mask)).float()
    count_trained(logits, rows)
    return logits, mask


def predicted(rows: Rows) -> Tensor:
    """The response's tokens that something predicts, so not a row's first: (batch, length)."""
    mask = rows.completion_mask.clone()
    mask[:, 0] = False
    return mask


def count_trained(output: Tensor, rows: Rows) -> None:
    """Count the rows' tokens as trained where the policy's output has a gradient."""
    if output.requires_grad:
        count(trained=int(rows.attention_mask.sum()))


def states(policy: Policy, rows: Rows, mask: Tensor) -> Tensor:
    """Hidden states that predict the tokens of `mask` (batch, length), row by row: (tokens, width).

    Where padding would take a good part of the work, short rows are read apart from long ones.
    """
    lengths = rows.attention_mask.sum(1)
    order = lengths.argsort()
    parts = [part for part in order.chunk(PARTS) if len(part)]
    read = sum(len(part) * int(lengths[part[-1]]) for part in parts)
    if read > WORTH * rows.ids.numel() or int(lengths[order[0]]) < 2:
        return policy.hidden(rows.ids[:, :-1], rows.attention_mask[:, :-1], keep=mask[:, 1:])
    found, places = [], []
    where = torch.arange(mask.numel()).view(mask.shape)
    for part in parts:
        length = int(lengths[part[-1]])
        ids, seen = rows.ids[part, : length - 1], rows.attention_mask[part, : length - 1]
        found.append(policy.hidden(ids, seen, keep=mask[part, 1:length]))
        places.append(where[part][mask[part]])
    return torch.cat(found)[torch.cat(places).argsort()]
