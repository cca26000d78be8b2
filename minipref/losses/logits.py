"""From what a model puts out to what a loss takes: the shift, the mask, and the sum or the mean.

Training loops go wrong here more often than in a loss, so `minipref show --from-logits` prints it.
"""

import torch.nn.functional as F
from torch import Tensor


def token_logps(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """log p(ids[t] | ids[<t]) of the response's tokens, nats; 0 elsewhere.

    Args:
        logits: (batch, length, vocabulary); the logits at t predict the token at t + 1.
        ids: (batch, length) prompt, response and padding.
        mask: (batch, length) bool, True on the response's tokens, its end of sequence included.

    Returns: (batch, length) float32, aligned with ids; the first token has no prediction.
    """
    logps = logits[:, :-1].float().log_softmax(-1)  # (batch, length - 1, vocabulary)
    logps = logps.gather(-1, ids[:, 1:, None])[..., 0]
    return F.pad(logps, (1, 0)).where(mask, 0.0)


def sequence_logps(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """log pi(response | prompt): the sum over the response's tokens, (batch,)."""
    return token_logps(logits, ids, mask).sum(-1)


def mean_logps(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """The mean over the response's tokens, (batch,); 0 for a response without tokens."""
    return sequence_logps(logits, ids, mask) / mask[:, 1:].sum(-1).clamp(min=1)


def token_kl(logits: Tensor, ref_logits: Tensor, mask: Tensor) -> Tensor:
    """KL(reference || policy) before each of the response's tokens, nats; 0 elsewhere.

    Args: as for `token_logps`; the logits of both models.
    Returns: (batch, length) float32, aligned with the ids.
    """
    logps, ref_logps = (x[:, :-1].float().log_softmax(-1) for x in (logits, ref_logits))
    kl = (ref_logps.exp() * (ref_logps - logps)).sum(-1)  # (batch, length - 1)
    return F.pad(kl, (1, 0)).where(mask, 0.0)


def token_entropies(logits: Tensor, mask: Tensor) -> Tensor:
    """Entropy of the next-token distribution before each of the response's tokens, nats.

    Args: as for `token_logps`.
    Returns: (batch, length) float32, aligned with the ids; 0 elsewhere.
    """
    logps = logits[:, :-1].float().log_softmax(-1)
    entropies = -(logps.exp() * logps).sum(-1)
    return F.pad(entropies, (1, 0)).where(mask, 0.0)


def last_token_rewards(values: Tensor, mask: Tensor) -> Tensor:
    """A reward model's (batch, length, 1) read where the response ends: (batch,)."""
    position = mask.long() * mask.long().cumsum(-1)  # largest on the last True
    return values[..., 0].gather(-1, position.argmax(-1, keepdim=True))[:, 0].float()
