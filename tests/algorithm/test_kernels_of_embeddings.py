"""Kernels of prompts' and responses' embeddings, and HMK's weights (row 092)."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.direct.kernels import (
    FLOOR,
    HierarchicalMixture,
    Spectral,
    gram,
    mahalanobis,
    median_width,
    polynomial,
    precision,
    rbf,
)
from minipref.losses.pairwise_kernels import mahalanobis_log_kernel, rbf_log_kernel

seeds = st.integers(0, 10**6)
sizes = st.tuples(st.integers(4, 9), st.integers(1, 5))  # rows, features


def drawn(seed, *shape, scale=1.0):
    rng = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=rng, dtype=torch.float64)


def fitted(x, y):
    """The four kernels, and HMK with uneven weights; the spectral one whole on x."""
    near = rbf(x, y)
    found = [near, polynomial(4), mahalanobis(x, y), Spectral(near, x, len(x))]
    mixture = HierarchicalMixture(found[:2], found[3:1:-1])
    with torch.no_grad():
        mixture.tau.copy_(torch.tensor([0.7, -0.4]))
        mixture.lambdas.copy_(torch.tensor([[0.2, -0.9], [1.1, 0.0]]))
    return [*found, mixture]


@given(seeds, sizes)
def test_gram_matrices_are_symmetric_and_have_no_negative_eigenvalue(seed, size):
    x, y = drawn(seed, *size), drawn(seed + 1, *size)
    for kernel in fitted(x, y):
        found = gram(kernel, x, x).detach()
        torch.testing.assert_close(found, found.T)
        values = torch.linalg.eigvalsh(found)
        assert float(values[0]) > -1e-5 * float(values[-1])  # FLOOR may stand where k is less


@given(seeds, sizes, st.floats(-20, 20))
def test_a_shift_of_all_embeddings_changes_no_distance(seed, size, shift):
    x, y = drawn(seed, *size), drawn(seed + 1, *size)
    for fit in (rbf, mahalanobis):
        torch.testing.assert_close(
            fit(x + shift, y + shift)(x + shift, y + shift), fit(x, y)(x, y), rtol=1e-6, atol=1e-8
        )


@given(seeds, st.integers(1, 4))
def test_mahalanobis_does_not_see_a_linear_map(seed, features):
    x, y = drawn(seed, 12, features), drawn(seed + 1, 12, features)
    turn = drawn(seed + 2, features, features) + 4 * torch.eye(features, dtype=torch.float64)
    fitted_anew = mahalanobis(x @ turn, y @ turn, shrinkage=0.0)(x @ turn, y @ turn)
    torch.testing.assert_close(fitted_anew, mahalanobis(x, y, shrinkage=0.0)(x, y))
    shrunk = precision(torch.cat([x, y]), 0.3)  # and with Sigma transformed, whatever it is
    back = torch.linalg.inv(turn)
    torch.testing.assert_close(
        mahalanobis_log_kernel(x @ turn, y @ turn, back @ shrunk @ back.T),
        mahalanobis_log_kernel(x, y, shrunk),
    )


@given(seeds, st.floats(0.3, 3))
def test_shrunk_all_the_way_it_is_an_rbf(seed, spread):
    x, y = drawn(seed, 12, 3, scale=spread), drawn(seed + 1, 12, 3, scale=spread)
    found = mahalanobis(x, y, shrinkage=1.0)(x, y)
    torch.testing.assert_close(found / found.median(), rbf(x, y)(x, y) / rbf(x, y)(x, y).median())
    assert float(found.median()) == pytest.approx(-0.5)  # in units of the median distance


@given(seeds)
def test_shrinking_keeps_the_mean_variance_and_calms_the_inverse(seed):
    x = drawn(seed, 9, 4)
    before, after = (torch.linalg.inv(precision(x, share)) for share in (0.0, 0.5))
    assert float(before.trace()) == pytest.approx(float(after.trace()))
    torch.testing.assert_close(before, x.T.cov())
    assert torch.linalg.cond(after) <= torch.linalg.cond(before)


@given(seeds, st.floats(0.2, 5))
def test_in_the_log_an_rbf_s_width_is_the_unit_of_gamma(seed, sigma):
    x, y = drawn(seed, 7, 3), drawn(seed + 1, 7, 3)
    wide, narrow = rbf_log_kernel(x, y, sigma=sigma), rbf_log_kernel(x, y, sigma=1.0)
    torch.testing.assert_close(sigma**2 * wide, narrow)


@given(seeds)
def test_the_width_is_the_median_distance(seed):
    x, y = drawn(seed, 9, 3), drawn(seed + 1, 9, 3)
    log = rbf(x, y)(x, y)
    assert float(log.median()) == pytest.approx(-0.5)
    assert median_width(3 * x, 3 * y) == pytest.approx(3 * median_width(x, y))


@given(seeds, st.integers(2, 8))
def test_all_eigenpairs_give_the_kernel_back_on_the_landmarks(seed, landmarks):
    x = drawn(seed, landmarks, 3)
    near = rbf(x, x.flip(0) + 1)
    whole = Spectral(near, x, landmarks)
    torch.testing.assert_close(
        gram(whole, x, x), gram(near, x, x).clamp(min=FLOOR), atol=1e-6, rtol=0
    )


@given(seeds, st.integers(1, 5))
def test_fewer_eigenpairs_are_the_best_of_that_rank(seed, rank):
    x = drawn(seed, 6, 2)
    near = rbf(x, x.flip(0) + 1)
    features = Spectral(near, x, rank).features(x)
    assert torch.linalg.matrix_rank(features) <= rank
    rest = gram(near, x, x) - features @ features.T
    values = torch.linalg.eigvalsh(gram(near, x, x)).flip(0)
    assert float(torch.linalg.matrix_norm(rest, 2)) == pytest.approx(float(values[rank]), abs=1e-8)


def test_a_spectral_sum_below_nothing_counts_as_the_floor():
    x = drawn(3, 6, 2, scale=4.0)
    first = Spectral(rbf(0.2 * x, 0.2 * x.flip(0)), x, 2)
    raw = first.features(x) @ first.features(x).T
    assert float(raw.min()) < FLOOR
    assert float(gram(first, x, x).min()) == pytest.approx(FLOOR)


three = st.lists(st.floats(-5, 5), min_size=6, max_size=6)


@given(three)
def test_weights_of_hmk_are_shares(numbers):
    x = drawn(0, 5, 2)
    mixture = HierarchicalMixture([rbf(x, x + 1), polynomial()], [rbf(x, x + 2), polynomial(4)])
    with torch.no_grad():
        mixture.tau.copy_(torch.tensor(numbers[:2]))
        mixture.lambdas.copy_(torch.tensor(numbers[2:]).view(2, 2))
    weights = mixture.weights().detach()
    assert float(weights.sum()) == pytest.approx(1, abs=1e-6)
    assert (weights > 0).all()
    assert (weights < 1).all()
    tau = mixture.tau.detach().softmax(0)
    assert float(weights[:2].sum()) == pytest.approx(float(tau[0]), rel=1e-5)
    assert -1e-6 <= float(mixture.entropy().detach()) <= math.log(4) + 1e-6


@given(seeds)
def test_hmk_is_the_kernels_mean_at_first_and_one_of_them_at_last(seed):
    x, y = drawn(seed, 6, 3), drawn(seed + 1, 6, 3)
    kernels = [rbf(x, y), polynomial(), mahalanobis(x, y), polynomial(4)]
    mixture = HierarchicalMixture(kernels[:2], kernels[2:])
    mean = torch.stack([kernel(x, y).exp() for kernel in kernels]).mean(0)
    torch.testing.assert_close(mixture(x, y).exp().detach(), mean)
    with torch.no_grad():
        mixture.tau[1] = 60.0
        mixture.lambdas[1, 0] = 60.0
    torch.testing.assert_close(mixture(x, y).detach(), kernels[2](x, y))


def test_the_entropy_bonus_pulls_back_from_a_single_kernel():
    mixture = HierarchicalMixture([polynomial(), polynomial(4)], [polynomial(6), polynomial(8)])
    with torch.no_grad():
        mixture.tau.copy_(torch.tensor([2.0, -1.0]))
    before = float(mixture.entropy().detach())
    mixture.entropy().backward()
    with torch.no_grad():
        mixture.tau += 0.5 * mixture.tau.grad
    assert float(mixture.entropy().detach()) > before


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda x: precision(x[0], 0.1), "embeddings"),
        (lambda x: precision(x, 1.5), "shrinkage"),
        (lambda x: Spectral(polynomial(), x, 0), "rank"),
        (lambda x: Spectral(polynomial(), x, 6), "rank"),
        (lambda x: HierarchicalMixture([polynomial()], []), "groups"),
    ],
)
def test_errors_name_the_argument(make, named):
    with pytest.raises(ValueError, match=named):
        make(drawn(0, 5, 2))
