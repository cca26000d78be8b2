"""The denoiser: Gaussians in closed form, a sampler that draws what an exact denoiser knows."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minipref.data.diffusion import Ring
from minipref.data.streams import stream
from minipref.data.work import counting
from minipref.model.denoiser import Denoiser, Schedule, errors, path_kl, paths, sample
from minipref.model.denoiser_base import SEEDS, load_denoiser, pretrain

betas = st.lists(st.floats(0.01, 0.9), min_size=1, max_size=6)
seeds = st.integers(0, 999)


def of(values):
    return Schedule(torch.tensor(values, dtype=torch.float64))


def normal(seed, *shape):
    return torch.randn(shape, generator=stream(seed, "test"), dtype=torch.float64)


class Exact(nn.Module):
    """The best denoiser of a ring."""

    def __init__(self, ring):
        super().__init__()
        self.ring, self.schedule = ring, Schedule.linear()

    def forward(self, x, t):
        return self.ring.exact_noise(x, float(self.schedule.signals[t.flatten()[0]]))


class Constant(nn.Module):
    """Predicts the same noise everywhere."""

    def __init__(self, schedule, noise):
        super().__init__()
        self.schedule, self.noise = schedule, torch.tensor(noise)

    def forward(self, x, t):
        return self.noise.expand(x.shape)


@given(values=betas, seed=seeds)
def test_noising_step_by_step_is_noising_at_once(values, seed):
    """The mean and the variance of T small steps: sqrt(signal) x_0 and 1 - signal."""
    schedule, x0 = of(values), normal(seed, 3, 2)
    mean, variance = x0, 0.0
    for t, beta in enumerate(values):
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        at = torch.full((3,), t)
        assert torch.allclose(schedule.noised(x0, at, torch.zeros(3, 2).double()), mean)
        spread = schedule.noised(torch.zeros(3, 2).double(), at, torch.ones(3, 2).double())
        assert torch.allclose(spread, torch.tensor(math.sqrt(variance)).double())


@given(values=betas, seed=seeds, draw=st.data())
def test_the_reverse_mean_is_the_mean_of_the_posterior(values, seed, draw):
    """q(x_{t-1} | x_t, x_0) by Bayes' rule on two Gaussians, with x_0 = cleaned(x_t)."""
    schedule, x, noise = of(values), normal(seed, 4, 2), normal(seed + 1, 4, 2)
    time = draw.draw(st.integers(0, len(values) - 1))
    t = torch.full((4,), time)
    x0 = schedule.cleaned(x, t, noise)
    assert torch.allclose(schedule.noised(x0, t, noise), x)
    beta, before = values[time], math.prod(1 - b for b in values[:time])
    if time == 0:
        wanted = x0
    else:  # prior N(sqrt(before) x0, 1 - before), likelihood x_t ~ N(sqrt(1-beta) x_{t-1}, beta)
        precision = 1 / (1 - before) + (1 - beta) / beta
        wanted = math.sqrt(before) * x0 / (1 - before) + math.sqrt(1 - beta) * x / beta
        wanted = wanted / precision
    assert torch.allclose(schedule.before(x, t, noise), wanted, atol=1e-8)


def test_sampling_with_the_exact_denoiser_draws_the_ring():
    ring = Ring()
    with counting() as work:
        points = sample(Exact(ring), 4000, stream(0, "test"))
    assert work.sampled == 4000
    assert float(ring.in_mode(points).float().mean()) > 0.97
    assert torch.allclose(ring.mode(points).bincount() / 4000, torch.tensor(1 / 8), atol=0.025)
    assert float(ring.distances(points).amin(-1).mean()) == pytest.approx(0.2, abs=0.03)


def test_no_denoiser_errs_less_than_the_exact_one():
    ring, t = Ring(), torch.full((2000,), 5)
    x0, noise = ring.points(2000, stream(0, "x")), torch.randn(2000, 2, generator=stream(0, "n"))
    best = errors(Exact(ring), x0, t, noise).mean()
    with torch.no_grad():
        for seed in SEEDS:
            trained = errors(load_denoiser(seed), x0, t, noise).mean()
            assert best < trained < best + 0.05


@given(values=betas, seed=seeds, noise=st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_errors_are_means_over_the_two_coordinates(values, seed, noise):
    wanted = normal(seed, 5, 2)
    found = errors(
        Constant(of(values), noise), normal(seed + 1, 5, 2), torch.zeros(5).long(), wanted
    )
    by_hand = ((wanted[:, 0] - noise[0]) ** 2 + (wanted[:, 1] - noise[1]) ** 2) / 2
    assert torch.allclose(found, by_hand, atol=1e-5)


@given(values=betas, seed=seeds)
def test_the_same_noise_makes_the_difference_of_equal_points_nothing(values, seed):
    """Sheet 102, property 4: with one noise for both, the errors of x = x' cancel exactly."""
    denoiser = Denoiser(Schedule(torch.tensor(values)), width=8, generator=stream(seed, "w"))
    x0, noise = normal(seed, 6, 2).float(), normal(seed + 1, 6, 2).float()
    t = torch.randint(len(values), (6,), generator=stream(seed, "t"))
    near = x0 + 1e-3
    same = errors(denoiser, x0, t, noise) - errors(denoiser, near, t, noise)
    assert torch.equal(errors(denoiser, x0, t, noise), errors(denoiser, x0.clone(), t, noise))
    other = errors(denoiser, x0, t, noise) - errors(denoiser, near, t, noise.flip(0) + 1)
    assert float(same.detach().var()) < float(other.detach().var())


@given(values=betas, seed=seeds, a=st.floats(-1, 1), b=st.floats(-1, 1))
def test_the_kl_of_two_constant_denoisers_by_hand(values, seed, a, b):
    schedule = Schedule(torch.tensor(values))
    policy, reference = Constant(schedule, (a, 0.0)), Constant(schedule, (b, 0.0))
    walked = paths(policy, 3, stream(seed, "paths"))
    signals = torch.tensor(values).neg().add(1).cumprod(0)
    beta = torch.tensor(values)  # the means differ by beta / sqrt((1-signal)(1-beta)) (a - b)
    wanted = (beta * (a - b) ** 2 / (2 * (1 - signals) * (1 - beta))).sum()
    assert torch.allclose(
        path_kl(policy, reference, walked), wanted.expand(3), rtol=1e-3, atol=1e-6
    )
    assert not path_kl(policy, policy, walked).any()


@given(seed=seeds, time=st.integers(0, 49))
def test_a_denoiser_knows_its_time_and_mixes_no_rows(seed, time):
    denoiser = Denoiser(width=8, generator=stream(seed, "w"))
    x = normal(seed, 4, 2).float()
    t = torch.tensor([time, 49 - time, 7, 0])
    together = denoiser(x, t)
    assert torch.allclose(together[1], denoiser(x[1], t[1]), atol=1e-6)
    assert together.shape == denoiser(x[None], t[None])[0].shape == (4, 2)
    clock = denoiser.clock
    assert len(torch.unique(clock, dim=0)) == 50


def test_paths_end_in_the_samples_and_depend_on_the_stream_alone():
    denoiser = load_denoiser(0)
    walked = paths(denoiser, 5, stream(3, "a"))
    assert walked.shape == (51, 5, 2)
    assert torch.equal(walked[-1], sample(denoiser, 5, stream(3, "a")))
    assert not torch.equal(walked[-1], sample(denoiser, 5, stream(4, "a")))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shipped_base_draws_the_ring(seed):
    ring, points = Ring(), sample(load_denoiser(seed), 3000, stream(seed, "test"))
    assert float(ring.in_mode(points).float().mean()) > 0.93
    assert abs(float(ring.reward(points).mean())) < 0.05
    assert float((ring.mode(points).bincount() / 3000).min()) > 0.09


def test_pretraining_draws_from_streams_of_its_seed():
    first, again, other = (pretrain(seed, 20).state_dict() for seed in (7, 7, 8))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Schedule(torch.tensor([0.1, 1.0])), "betas"),
        (lambda: Schedule(torch.zeros(0)), "betas"),
        (lambda: Denoiser(width=0), "width"),
        (lambda: load_denoiser(7), "seed"),
        (lambda: paths(load_denoiser(0), 0, stream(0, "x")), "points"),
        (lambda: path_kl(load_denoiser(0), load_denoiser(0), torch.zeros(3, 1, 2)), "walked"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
