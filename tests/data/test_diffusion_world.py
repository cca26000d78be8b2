"""The ring: exact rewards, densities and noise; labels as often as they should be."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.diffusion import Ring
from minipref.data.streams import stream
from minipref.data.work import counting

coordinates = st.floats(-4, 4)
planes = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6)
signals = st.floats(0.05, 1.0)
rings = st.builds(
    Ring,
    modes=st.integers(1, 9),
    radius=st.floats(0.5, 3),
    spread=st.floats(0.1, 0.5),
    taste=st.tuples(coordinates, coordinates),
)


def tensor(points):
    return torch.tensor(points, dtype=torch.float64)


@given(ring=rings)
def test_centres_stand_evenly_on_the_circle(ring):
    assert torch.allclose(ring.centres.norm(dim=1), torch.tensor(ring.radius))
    assert torch.allclose(ring.centres[0], torch.tensor([ring.radius, 0.0]))
    side = 2 * ring.radius * math.sin(math.pi / len(ring.centres))
    sides = (ring.centres - ring.centres.roll(1, 0)).norm(dim=1)
    assert torch.allclose(sides, torch.tensor(side), atol=1e-5)


@given(ring=rings, points=planes)
def test_reward_is_linear_and_a_centre_lies_in_its_mode(ring, points):
    x = tensor(points)
    by_hand = [ring.taste[0] * a + ring.taste[1] * b for a, b in points]
    assert torch.allclose(ring.reward(x), torch.stack(by_hand).double(), atol=1e-5)
    assert ring.mode(ring.centres).tolist() == list(range(len(ring.centres)))
    assert bool(ring.in_mode(ring.centres).all())
    assert not bool(ring.in_mode(ring.centres[:1] * (1 + 0.51 / ring.radius)))


@given(ring=rings, points=planes, signal=signals)
def test_the_best_noise_is_the_slope_of_the_density(ring, points, signal):
    x = tensor(points).requires_grad_()
    slope = torch.autograd.grad(ring.log_density(x, signal).sum(), x)[0]
    wanted = -math.sqrt(1 - signal) * slope
    assert torch.allclose(ring.exact_noise(x, signal), wanted, atol=1e-6)


@given(ring=rings, signal=signals)
def test_the_density_sums_to_one(ring, signal):
    step = 0.1 * math.sqrt(signal * ring.spread**2 + 1 - signal) / 0.3
    axis = torch.arange(-8, 8, min(step, 0.1), dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    mass = ring.log_density(grid, signal).exp().sum() * (axis[1] - axis[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=1e-3)


def test_points_have_the_moments_of_the_ring():
    ring = Ring()
    points = ring.points(20_000, stream(0, "test"))
    assert torch.allclose(points.mean(0), torch.zeros(2), atol=0.05)
    offsets = points - ring.centres[ring.mode(points)]
    assert torch.allclose(offsets.std(0), torch.full((2,), 0.15), atol=0.003)
    assert torch.allclose(ring.mode(points).bincount() / 20_000, torch.tensor(1 / 8), atol=0.01)


@given(ring=rings, points=planes, scale=st.floats(0, 8), seed=st.integers(0, 99))
def test_labels_keep_the_pair_and_follow_bradley_terry(ring, points, scale, seed):
    first = torch.tensor(points)
    second = first.flip(0) + 0.5
    with counting() as work:
        chosen, rejected = ring.label(first, second, stream(seed, "labels"), scale)
    draws = torch.rand(len(first), generator=stream(seed, "labels"))
    gap = ring.reward(first) - ring.reward(second)
    wins = draws < 1 / (1 + torch.exp(-scale * gap))
    assert torch.equal((chosen == first).all(1), wins)
    assert torch.allclose(chosen + rejected, first + second)
    assert work.labels == len(first)


def test_a_sure_annotator_is_always_right_and_a_deaf_one_half_the_time():
    ring, rng = Ring(), stream(0, "test")
    first, second = ring.points(4000, rng), ring.points(4000, rng)
    better = [
        float((ring.reward(c) > ring.reward(r)).float().mean())
        for c, r in (ring.label(first, second, rng, scale) for scale in (1e6, 0.0))
    ]
    assert better[0] > 0.999
    assert better[1] == pytest.approx(0.5, abs=0.03)


def test_the_picture_shows_every_point():
    picture = Ring(modes=4).picture(torch.tensor([[2.0, 0], [0, 2.0], [0, 2.0], [9.0, -9.0]]))
    lines = picture.splitlines()
    assert len(lines) == 17
    assert sum(c in ".o@" for c in picture) == 3  # two points share a place
    assert lines[8].rstrip().endswith(".")
    assert len(lines[-1]) == 33  # far points stand at the edge


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Ring(modes=0), "modes"),
        (lambda: Ring(spread=0.0), "spread"),
        (lambda: Ring(radius=float("nan")), "radius"),
        (lambda: Ring(taste=(1.0, float("inf"))), "taste"),
        (lambda: Ring().reward(torch.zeros(3)), "points"),
        (lambda: Ring().log_density(torch.zeros(2), 1.5), "signal"),
        (lambda: Ring().label(torch.zeros(2, 2), torch.zeros(3, 2), stream(0, "x")), "first"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
