import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minipref.data.streams import stream
from minipref.model.adapters import SVDLinear, adapt, adapters, merge, prefer
from minipref.model.generate import generate
from minipref.model.transformer import Config, Transformer

ranks, counts = st.integers(0, 3), st.integers(1, 3)
seeds = st.integers(0, 10**6)


def simplex(m, seed):
    draws = -torch.rand(m, generator=stream(seed, "simplex")).log()
    return draws / draws.sum()


def layer(rank, m, seed, trained=True):
    """W_0 (5, 4) with adapters in which U is no longer zero."""
    found = SVDLinear(nn.Linear(4, 5, bias=False).double(), rank, m, stream(seed, "layer"))
    if trained:
        found.U.data = torch.randn(found.U.shape, generator=stream(seed, "U"), dtype=torch.float64)
    return found


def tiny():
    return Transformer(Config(11, width=8), stream(0, "tiny"))


@given(rank=ranks, m=counts, seed=seeds)
def test_the_weight_is_the_formula_of_the_paper(rank, m, seed):
    found = layer(rank, m, seed)
    prefer(found, simplex(m, seed))
    sigma = torch.cat([found.sigma, found.scale * found.preference])
    exact = found.layer.weight + sum(
        sigma[j] * torch.outer(found.U[:, j], found.V[:, j]) for j in range(rank + m)
    )
    torch.testing.assert_close(found.weight, exact)
    assert torch.linalg.matrix_rank(found.weight - found.layer.weight) <= rank + m


@given(rank=ranks, m=counts, seed=seeds, share=st.floats(0, 1))
def test_the_weight_is_affine_in_the_preference(rank, m, seed, share):
    found, ends = layer(rank, m, seed), [simplex(m, seed), simplex(m, seed + 1)]
    between = share * ends[0] + (1 - share) * ends[1]
    weights = []
    for preference in (*ends, between):
        prefer(found, preference)
        weights.append(found.weight)
    a, b, middle = weights
    torch.testing.assert_close(middle, share * a + (1 - share) * b, rtol=1e-6, atol=1e-6)


@given(rank=ranks, m=counts, seed=seeds)
def test_nothing_is_added_at_first(rank, m, seed):
    found = layer(rank, m, seed, trained=False)
    prefer(found, simplex(m, seed))
    assert torch.equal(found.weight, found.layer.weight)


@given(rank=ranks, m=counts, seed=seeds)
def test_a_corner_uses_its_own_direction_alone(rank, m, seed):
    found = layer(rank, m, seed)
    wanted = seed % m
    prefer(found, torch.eye(m)[wanted])
    found.weight.sum().backward()
    moved = found.U.grad.abs().sum(0)[rank:] > 0  # (m,)
    assert moved.tolist() == [i == wanted for i in range(m)]


def test_the_gradient_reaches_the_adapters_and_nothing_else():
    found = layer(2, 2, 0)
    found.weight.square().sum().backward()
    assert not found.preference.requires_grad
    assert found.layer.weight.grad is None
    assert all(found.get_parameter(name).grad is not None for name in ("U", "V", "sigma", "scale"))
    assert found.scale.shape == ()  # one a layer, not one a preference


def test_the_first_step_can_move():
    found = layer(1, 1, 0, trained=False)
    found.weight.square().sum().backward()
    assert float(found.U.grad.abs().min()) > 0


def steered():
    policy = adapt(tiny(), rank=2, preferences=2, rng=stream(0, "adapt"))
    for i, adapter in enumerate(adapters(policy)):
        nn.init.normal_(adapter.U, generator=stream(i, "U"))
    return policy


def test_every_linear_layer_of_a_policy_is_adapted():
    base, policy = tiny(), steered()
    assert len(adapters(policy)) == 4 * base.config.layers
    names = {name.rsplit(".")[-1] for name, p in policy.named_parameters() if p.requires_grad}
    assert names == {"U", "V", "sigma", "scale"}
    assert not adapters(base)
    assert all(weight.requires_grad for weight in base.parameters())


def test_copies_know_their_own_preference():
    policy = steered()
    other = copy.deepcopy(policy)
    prefer(other, torch.tensor([1.0, 0.0]))
    assert {tuple(a.preference.tolist()) for a in adapters(policy)} == {(0.5, 0.5)}


def test_a_merged_policy_answers_alike_with_and_without_its_cache():
    policy = steered()
    prefer(policy, torch.tensor([0.2, 0.8]))
    merged, ids = merge(policy), torch.tensor([[1, 4, 7, 2, 9]])
    assert not adapters(merged)
    assert [n for n, _ in merged.named_parameters()] == [n for n, _ in tiny().named_parameters()]
    torch.testing.assert_close(merged(ids), policy(ids))
    texts = [
        generate(p, [[1, 4]] * 3, max_new_tokens=5, generator=stream(0, "text"))
        for p in (policy, merged)
    ]
    assert texts[0] == texts[1]
    assert len(adapters(policy)) == 8  # it stays what it was


def test_bad_input():
    with pytest.raises(ValueError, match="rank, preferences"):
        adapt(tiny(), rank=0, preferences=0, rng=stream(0, ""))
    with pytest.raises(ValueError, match="policy: expected one without adapters"):
        adapt(steered(), rank=1, preferences=0, rng=stream(0, ""))
    with pytest.raises(ValueError, match="policy: expected at least one linear"):
        adapt(nn.Sequential(nn.Embedding(2, 2)), rank=1, preferences=0, rng=stream(0, ""))
    with pytest.raises(ValueError, match=r"preference: expected \(2,\)"):
        prefer(steered(), torch.ones(1))
    with pytest.raises(ValueError, match="sum to 1"):
        prefer(steered(), torch.tensor([0.9, 0.9]))
    with pytest.raises(ValueError, match="sum to 1"):
        prefer(steered(), torch.tensor([1.5, -0.5]))
