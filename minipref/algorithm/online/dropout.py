"""How unsure a policy is of a response: its log-prob under several draws of dropout (paper 036)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from ...data.rows import Rows
from ...model.logprobs import sequence_logps
from ...model.policy import Policy


@contextmanager
def dropped(layers: Iterable[nn.Module], rate: float, rng: torch.Generator) -> Iterator[None]:
    """Inside, a share `rate` of what each layer puts out is 0, the rest 1 / (1 - rate) larger.

    Raises ValueError for a rate outside [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate: expected a number in [0, 1), got {rate}")

    def drop(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        kept = torch.rand(output.shape, generator=rng) >= rate
        return output * kept / (1 - rate)

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_hook(drop).remove)
        yield


@torch.no_grad()
def uncertain_logps(
    policy: Policy,
    rows: Rows,
    layers: Iterable[nn.Module],
    rng: torch.Generator,
    *,
    rate: float = 0.1,
    passes: int = 5,
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each response's log-prob over passes with dropout: (rows,).

    Nats of the whole response, so that long responses are the less sure ones.

    Args:
        layers: of the policy, such as the attention and feed-forward layers of a transformer.
        rate, passes: as in the paper's code.
    """
    with dropped(layers, rate, rng):
        logps = torch.stack([sequence_logps(policy, rows) for _ in range(passes)])
    return logps.mean(0), logps.std(0)
