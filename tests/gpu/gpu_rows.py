"""Rows of logits on the GPU, and what float64 makes of them there."""

import torch

IGNORED = -100
ROUNDING = {torch.float32: 2**-24, torch.bfloat16: 2**-8, torch.float16: 2**-11}


def rows_of(rows, vocabulary, dtype=torch.bfloat16, *, seed=0, spread=5.0, start=0, gap=0):
    """Logits (rows, vocabulary) that begin `start` elements into memory, `gap` between rows."""
    generator = torch.Generator("cuda").manual_seed(seed)
    size = start + rows * (vocabulary + gap)
    numbers = torch.randn(size, device="cuda", generator=generator) * spread
    logits = numbers.to(dtype)[start:].view(rows, vocabulary + gap)[:, :vocabulary]
    targets = torch.randint(vocabulary, (rows,), device="cuda", generator=generator)
    return logits, targets


def exact(logits, targets, temperature=1.0):
    """Log-probs, entropies (nats) and probabilities in float64; rows left out are 0."""
    kept = targets != IGNORED
    logps = (logits.double().where(kept[:, None], 0.0) / temperature).log_softmax(-1)
    p = logps.exp()
    chosen = logps.gather(1, targets.clamp_min(0)[:, None])[:, 0]
    entropies = -(p * logps).sum(-1)
    return chosen.where(kept, 0.0), entropies.where(kept, 0.0), p


def check_logps(actual, expected):
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=5e-5)


def check_gradient(actual, expected, p, scale=1.0):
    """Within the rounding of what is stored; float32 inside loses 2e-5 of p times what is up."""
    room = 1.02 * ROUNDING[actual.dtype] * expected.abs() + 2e-5 * scale * p + 1e-30
    if actual.dtype == torch.float16:
        room += 2**-25  # half a step of its subnormals
    error = (actual.double() - expected).abs()
    assert not error.isnan().any()
    assert bool((error <= room).all()), float((error - room).max())
