"""How far a policy has moved from its reference: KL a response, in nats."""

from __future__ import annotations

import torch

from ..data.batch import Batch
from ..model.kl import token_kl
from ..model.policy import Policy
from .estimate import Estimate

ROWS = 512


@torch.no_grad()
def kl(policy: Policy, reference: Policy, batch: Batch) -> Estimate:
    """KL(policy || reference) a response; `batch` must be the policy's own samples.

    Exact next-token KLs are summed along each sampled response: the same mean as the response's
    log-ratio, with less noise.
    """
    parts = torch.arange(len(batch)).split(ROWS)
    sums = [token_kl(policy, reference, batch.rows[part]).sum(1) for part in parts]
    return Estimate.mean(torch.cat(sums), batch.groups, "nats")
