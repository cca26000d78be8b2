"""From what a denoiser puts out to what a loss takes: errors, drift and log-probs of steps.

What `logits.py` is for language models. A denoiser takes noisy images (batch, elements) and makes
out their noise; here at one level of noise, half and half, where a real one draws a step a row.
"""

import torch
from torch import Tensor, nn


def denoising_errors(model: nn.Module, images: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error of the predicted noise, (batch,).

    Both images of a pair, and model and reference, are to share the noise and the time step:
    otherwise the difference of their errors is mostly that of the draws.
    """
    return (model(half_noised(images, noise)) - noise).square().mean(-1)


def prediction_drift(
    model: nn.Module, reference: nn.Module, images: Tensor, noise: Tensor
) -> Tensor:
    """Mean squared difference of two denoisers' predictions, (batch,)."""
    noisy = half_noised(images, noise)
    return (model(noisy) - reference(noisy)).square().mean(-1)


def half_noised(images: Tensor, noise: Tensor) -> Tensor:
    """Images at a signal-to-noise ratio of 1; two of variance 1 make one of variance 1."""
    return 0.5**0.5 * (images + noise)


def step_logps(means: Tensor, next_states: Tensor, *, std: float = 1.0) -> Tensor:
    """Log-prob of denoising steps, (batch, length), nats an element.

    Args:
        means: (batch, length, elements) what the denoiser makes of each state.
        next_states: (batch, length, elements) what was drawn around it.
        std: of the draw.
    """
    return torch.distributions.Normal(means, std).log_prob(next_states).mean(-1)
