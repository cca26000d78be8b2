"""By hand or by torch's kernel: the same numbers and gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.model import attention
from minipref.model.attention import attend


@given(
    rows=st.integers(1, 3),
    tokens=st.integers(1, 5),
    seen=st.integers(0, 4),
    masked=st.booleans(),
    seed=st.integers(0, 999),
)
def test_both_ways_agree(rows, tokens, seen, masked, seed):
    rng = torch.Generator().manual_seed(seed)
    total = tokens + seen
    q = torch.randn(rows, 2, tokens, 4, generator=rng, dtype=torch.float64)
    k, v = torch.randn(2, rows, 2, total, 4, generator=rng, dtype=torch.float64)
    mask = None
    if masked:
        mask = torch.rand(rows, 1, tokens, total, generator=rng) < 0.5
        mask[..., 0] = True
    found = []
    for short in (attention.SHORT, 0):
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(attention, "SHORT", short)
            out = attend(*inputs, mask)
        found.append([out, *torch.autograd.grad(out.square().sum(), inputs)])
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9)


@given(tokens=st.integers(1, 5), seen=st.integers(0, 4))
def test_nobody_looks_ahead(tokens, seen):
    values = torch.eye(tokens + seen, dtype=torch.float64)[None, None]
    q, k = torch.zeros(1, 1, tokens, 2).double(), torch.zeros(1, 1, tokens + seen, 2).double()
    weights = attend(q, k, values)[0, 0]  # (tokens, tokens + seen): who takes how much from whom
    looks = torch.arange(tokens + seen) <= seen + torch.arange(tokens)[:, None]
    assert torch.allclose(weights, looks / looks.sum(1, keepdim=True).double())
