"""What to ask next: bounds on Borda values, and the prompt whose best answer is least settled.

    belief = CountedBelief((worlds, prompts, responses))
    lower, upper = belief.bounds(width=2.0)
    prompt = pick(unsettled(lower, upper), rng)            # where to ask
    response = pick(upper[worlds, prompt], rng)            # the optimist's choice, against anyone
    belief.learn(prompt, response, won)

The Borda value of a response is its chance to beat a random one; under Bradley and Terry it orders
responses as their rewards do. Not knowing bad responses costs nothing: `unsettled` compares what
the best could be worth with what is sure, and does not ask where only losers are unknown (Mehta,
Belakaria et al. 2023, arXiv 2312.00267: AE-Borda, AE-Borda-DPO, AE-DPO).
"""

from __future__ import annotations

import torch
from torch import Tensor

COIN = 0.25  # the variance of an answer, at most


def borda(preferred: Tensor, opponents: Tensor | None = None) -> Tensor:
    """f(x, a) = E_{a' ~ opponents} P(a preferred to a'): (..., responses).

    Args:
        preferred: (..., responses, responses) P(first preferred to second), 1/2 to itself.
        opponents: (..., responses) probabilities; uniform by default.
    """
    if opponents is None:
        return preferred.mean(-1)
    return (preferred * opponents[..., None, :]).sum(-1)


class BordaBelief:
    """What is thought of f(x, a), and how surely, in worlds side by side.

    Attributes:
        mean: mu (worlds, prompts, responses); 1/2 before the first answer.
        deviation: sigma, the same shape.
    """

    mean: Tensor
    deviation: Tensor

    def bounds(self, width: float = 2.0) -> tuple[Tensor, Tensor]:
        """mu -+ width sigma, within [0, 1]: two of (worlds, prompts, responses)."""
        reach = width * self.deviation
        return (self.mean - reach).clamp(0, 1), (self.mean + reach).clamp(0, 1)

    def learn(self, prompt: Tensor, response: Tensor, won: Tensor) -> None:
        """In every world the response to the prompt won against a random one, or did not.

        Args: (worlds,) each; won is 1 or 0.
        """
        raise NotImplementedError


class CountedBelief(BordaBelief):
    """No response tells anything of another:

        mu = (wins + lambda / 2) / (n + lambda), sigma = 1/2 / sqrt(n + lambda)

    Args:
        shape: (worlds, prompts, responses).
        lambda_: so many answers speak for 1/2 beforehand.
    """

    def __init__(self, shape: tuple[int, int, int], *, lambda_: float = 1.0):
        self._heard = torch.full(shape, positive(lambda_)).double()  # n + lambda
        self._worlds = torch.arange(shape[0])
        self.mean = torch.full(shape, 0.5).double()
        self.deviation = (COIN / self._heard).sqrt()

    def learn(self, prompt: Tensor, response: Tensor, won: Tensor) -> None:
        cell = (self._worlds, prompt, response)
        self._heard[cell] += 1
        self.mean[cell] += (won - self.mean[cell]) / self._heard[cell]
        self.deviation[cell] = (COIN / self._heard[cell]).sqrt()


class KernelBelief(BordaBelief):
    """Like responses tell of each other: kernel ridge regression, or a Gaussian process.

        mu = 1/2 + k' (K + lambda I)^-1 (w - 1/2)
        sigma^2 = (1/4 / lambda) (k(z, z) - k' (K + lambda I)^-1 k)

    updated answer by answer, exactly. With the identity for a kernel this is `CountedBelief`.

    Args:
        kernel: (worlds, cells, cells), cell = prompt * responses + response.
        responses: how many there are to each prompt.
        lambda_: of the ridge.
    """

    def __init__(self, kernel: Tensor, responses: int, *, lambda_: float = 1.0):
        if kernel.dim() != 3 or kernel.shape[1] != kernel.shape[2] or kernel.shape[1] % responses:
            raise ValueError(
                f"kernel: expected (worlds, cells, cells), cells a multiple of {responses}, "
                f"got {tuple(kernel.shape)}"
            )
        self._covariance = COIN / positive(lambda_) * kernel.double()
        self._worlds = torch.arange(len(kernel))
        self.mean = torch.full((len(kernel), kernel.shape[1] // responses, responses), 0.5).double()
        self._spread()

    def _spread(self) -> None:
        variance = self._covariance.diagonal(dim1=1, dim2=2).clamp_min(0)
        self.deviation = variance.sqrt().view_as(self.mean)

    def learn(self, prompt: Tensor, response: Tensor, won: Tensor) -> None:
        cell = prompt * self.mean.shape[2] + response
        column = self._covariance[self._worlds, cell]  # (worlds, cells)
        gain = column / (column[self._worlds, cell] + COIN)[:, None]
        surprise = won - self.mean[self._worlds, prompt, response]  # (worlds,)
        self.mean = self.mean + (gain * surprise[:, None]).view_as(self.mean)
        self._covariance -= gain[:, :, None] * column[:, None, :]
        self._spread()


def positive(lambda_: float) -> float:
    if not lambda_ > 0:
        raise ValueError(f"lambda_: expected a number above 0, got {lambda_}")
    return lambda_


def unsettled(lower: Tensor, upper: Tensor) -> Tensor:
    """max_a upper - max_a lower: how much better a prompt's best could be than is sure.

    The two maxima may be of different responses, on purpose. With scores in place of Borda values
    this is AE-DPO's choice among prompts whose two responses are given.

    Args: (..., prompts, responses) each.
    """
    return upper.amax(-1) - lower.amax(-1)


def pick(values: Tensor, rng: torch.Generator) -> Tensor:
    """Where each row is largest, ties broken at random: (rows, n) -> (rows,)."""
    best = values == values.amax(-1, keepdim=True)
    return (torch.rand(values.shape, generator=rng) * best).argmax(-1)


def borda_bounds(
    ratios: Tensor,
    spreads: Tensor,
    ref_ratios: Tensor,
    ref_spreads: Tensor,
    *,
    beta: float = 0.1,
    width: float = 2.0,
) -> tuple[Tensor, Tensor]:
    """Bounds on the Borda values of a policy's samples among samples of its reference.

        upper P(a > a') = sigmoid(beta [(ratio + width spread)(a) - (ratio - width spread)(a')])
        lower P(a > a') with both signs turned;  upper f(a) = mean over a' of upper P

    Args:
        ratios: (prompts, m) log pi - log pi_ref of responses drawn from the policy, nats.
        spreads: (prompts, m) how unsure each is, such as `dropout.uncertain_logps` says.
        ref_ratios, ref_spreads: (prompts, n) the same of responses drawn from the reference.
        beta: the implicit reward's, per nat.

    Returns: lower and upper (prompts, m).
    """
    ours, theirs = width * spreads, width * ref_spreads
    gaps = ratios[..., :, None] - ref_ratios[..., None, :]  # (prompts, m, n)
    reach = ours[..., :, None] + theirs[..., None, :]
    return (beta * (gaps - reach)).sigmoid().mean(-1), (beta * (gaps + reach)).sigmoid().mean(-1)
