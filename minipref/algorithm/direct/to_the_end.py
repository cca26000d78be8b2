"""DPO on a bandit, trained to its end: every pair of responses, weighted by how often it is won."""

from __future__ import annotations

import torch
from torch import Tensor

from ...data.work import count
from ...losses import dpo
from ...model.tabular import BanditPolicy


def dpo_to_the_end(
    policy: BanditPolicy, reference: Tensor, preferred: Tensor, *, beta: float
) -> None:
    """Change the policy in place to the minimum of DPO's expected loss, by L-BFGS.

    Where Bradley and Terry give the preferences, that is reference * exp(reward / beta) / Z.

    Args:
        policy: in float64, for a minimum to ten digits.
        reference: (prompts, responses) log-probs, nats; need not sum to 1.
        preferred: (prompts, responses, responses) P(first preferred to second); nan for a pair that
            nobody compares.
        beta: strength of the KL constraint, per nat.
    """
    prompts, a, b = preferred.isfinite().nonzero().T
    optimizer = torch.optim.LBFGS(
        policy.parameters(),
        max_iter=300,
        tolerance_grad=1e-12,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logps = policy.logits().log_softmax(1)  # (prompts, responses)
        pair, ref = (logps[prompts, a], logps[prompts, b]), (reference[prompts, a],)
        losses = dpo(*pair, *ref, reference[prompts, b], beta=beta)
        loss = (preferred[prompts, a, b] * losses).sum()
        loss.backward()
        count(trained=len(prompts))
        return loss

    optimizer.step(closure)
