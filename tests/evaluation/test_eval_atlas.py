"""The atlas: coefficients against differences, verdicts that theory gives, and exact descent."""

import dataclasses
import functools
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minipref.evaluation import atlas
from minipref.evaluation.pair_bandit import RATE, WORLDS, descend, pair_bandit
from minipref.evaluation.pair_plane import Pair, arguments, coefficients
from minipref.losses.registry import REGISTRY, get

DRAWN, LEFT_OUT = atlas.places()
entries = st.sampled_from(DRAWN)
nats = st.floats(-8, 8)


@functools.cache
def view(name):
    return atlas.view(get(name))


def number(x):
    return torch.tensor([x], dtype=torch.float64)


def test_every_pair_loss_has_a_place_or_a_reason():
    pairs = {name for name, entry in REGISTRY.items() if entry.family == "pairwise"}
    assert {entry.name for entry in DRAWN} | LEFT_OUT.keys() == pairs
    assert not {entry.name for entry in DRAWN} & LEFT_OUT.keys()
    assert all(LEFT_OUT.values())
    assert {name for name in pairs if REGISTRY[name].batchwise} <= LEFT_OUT.keys()


@pytest.mark.parametrize("name", ["kto", "aot"])
def test_others_have_none(name):
    with pytest.raises(ValueError, match=name):
        view(name)


@given(data=st.data())
def test_coefficients_are_slopes_in_summed_log_probs(data):
    entry, length = data.draw(entries), data.draw(st.integers(1, 9))
    chosen, rejected = data.draw(nats), data.draw(nats)
    start = number(-12.0)

    def loss(x, y):
        pair = Pair(start + x, start + y, start, start, length)
        return entry.source(**arguments(entry, pair)).item()

    found = coefficients(entry, Pair(start + chosen, start + rejected, start, start, length))
    width, middle = 1e-4, loss(chosen, rejected)
    for coefficient, (dx, dy) in zip(found, [(width, 0.0), (0.0, width)], strict=True):
        ahead = (loss(chosen + dx, rejected + dy) - middle) / width
        behind = (middle - loss(chosen - dx, rejected - dy)) / width
        size = max(1.0, abs(ahead))
        assume(abs(ahead - behind) < 1e-2 * size)  # not at a kink
        assert -coefficient.item() == pytest.approx((ahead + behind) / 2, abs=1e-4 * size)


@given(chosen=nats, rejected=nats)
def test_coefficients_by_hand(chosen, rejected):
    x, y = number(chosen), number(rejected)
    tau = get("ipo").hyperparameters["tau"]
    beta = get("dpo").hyperparameters["beta"]
    ipo, dpo, orpo = (atlas.field(get(name), x, y) for name in ("ipo", "dpo", "orpo"))
    n = atlas.LENGTH
    assert ipo.chosen.item() == pytest.approx(-2 / n * ((chosen - rejected) / n - 1 / (2 * tau)))
    assert dpo.rejected.item() == pytest.approx(-beta / (1 + math.exp(beta * (chosen - rejected))))
    m, weight = (atlas.START + torch.cat([x, y])) / n, get("orpo").hyperparameters["lambda_"]
    odds = m - torch.log(-torch.expm1(m))
    push = weight * torch.sigmoid(odds[1] - odds[0]) / -torch.expm1(m) / n
    assert orpo.chosen.item() == pytest.approx(1 / n + push[0].item())
    assert orpo.rejected.item() == pytest.approx(-push[1].item())


@pytest.mark.parametrize(
    ("name", "group", "chosen", "common"),
    [
        ("dpo", "without end", "lets fall", 0),
        ("cdpo", "to a target", "lets fall", 0),
        ("ipo", "to a target", "lets fall", 0),
        ("hinge", "to a target", "lets fall", 0),
        ("apo_zero", "each side", "raises", 1),
        ("dpop", "each side", "holds", 1),
        ("apo_down", "each side", "pushes down", -1),
        ("simpo", "no reference", "lets fall", 0),
        ("orpo", "no reference", "raises", 1),
    ],
)
def test_verdicts(name, group, chosen, common):
    seen = view(name)
    assert (seen.group, seen.verdict.chosen) == (group, chosen)
    assert (seen.verdict.common > 1e-6) - (seen.verdict.common < -1e-6) == common


def test_points_of_rest():
    def setting(name, key):
        return get(name).hyperparameters[key]

    noise = setting("cdpo", "label_smoothing")
    expected = {
        "dpo": None,
        "simpo": None,
        "cdpo": math.log((1 - noise) / noise) / setting("cdpo", "beta"),
        "ipo": atlas.LENGTH / (2 * setting("ipo", "tau")),
        "hinge": 1 / setting("hinge", "beta"),
    }
    for name, margin in expected.items():
        rest = view(name).verdict.rest
        assert rest is None if margin is None else rest == pytest.approx(margin, abs=0.051)


@settings(max_examples=15)
@given(data=st.data())
def test_descent_stays_a_policy(data):
    entry = data.draw(entries)
    path = descend(entry, data.draw(st.integers(1, 9)), steps=data.draw(st.integers(1, 30)))
    ones = path.chosen + path.rejected + path.unseen
    assert torch.allclose(ones, torch.ones_like(ones))
    assert bool((path.policies >= 0).all())
    assert bool(path.kl.isfinite().all())
    bandit = pair_bandit()
    assert torch.allclose(path.policies[0], bandit.uniform())
    assert path.kl[-1].mean().item() == pytest.approx(bandit.kl(path.policies[-1]), abs=1e-12)


@settings(max_examples=10)
@given(entry=entries, factor=st.floats(1e-3, 1e3))
def test_a_loss_times_a_number_takes_the_same_path(entry, factor):
    @functools.wraps(entry.source)
    def scaled(*args, **kwargs):
        return factor * entry.source(*args, **kwargs)

    paths = [descend(e, 4, steps=20) for e in (entry, dataclasses.replace(entry, source=scaled))]
    assert torch.allclose(paths[0].policies, paths[1].policies, atol=1e-6)


@settings(max_examples=15)
@given(entry=entries)
def test_who_sees_the_difference_only_walks_one_line(entry):
    """Where c + r = 0 the weights move along the difference of the two features, and back."""
    start = atlas.field(entry, *(axis.flatten() for axis in torch.meshgrid(
        torch.linspace(-8, 8, 5), torch.linspace(-8, 8, 5), indexing="ij"
    )))  # fmt: skip
    assume(bool(((start.chosen + start.rejected).abs() <= 1e-9 * start.chosen.abs()).all()))
    policies = descend(entry, 4, steps=30).policies
    logits = policies.log() - policies.log()[..., 2:3]  # unseen responses stand still
    features = pair_bandit().features
    for world in range(len(WORLDS)):
        line = features[world] @ (features[world, 0] - features[world, 1])
        line = line - line[2]
        moved = logits[:, world] / line.norm()
        along = moved @ line / line.norm()
        assert torch.allclose(moved, along[:, None] * line / line.norm(), atol=1e-9)


def test_step_at_kl():
    path = view("dpo").trajectory
    for world in WORLDS:
        step = path.step_at_kl(0.1, world)
        kl = path.kl[:, WORLDS.index(world)]
        assert kl[step - 1] < 0.1 <= kl[step]
        assert path.step_at_kl(1e3, world) is None


def test_twins_differ_only_in_what_is_held_fixed():
    pages = [view(name) for name in ("dpo", "lr_dpo", "ipo", "cdpo")]
    assert atlas.twins(pages) == {"lr_dpo": "dpo"}


@given(entry=entries, world=st.integers(0, 1))
def test_the_first_step_is_one_of_descent(entry, world):
    """Against autograd, through the policy's log-probs, on the loss in its unit."""
    path = descend(entry, atlas.LENGTH, steps=1)
    features = pair_bandit().features[world]
    theta = torch.zeros(features.shape[1], dtype=torch.float64, requires_grad=True)
    logps = (features @ theta).log_softmax(0)
    start = logps.detach()
    pair = Pair(logps[:1], logps[1:2], start[:1], start[1:2], atlas.LENGTH)
    (slope,) = torch.autograd.grad(entry.source(**arguments(entry, pair)).sum(), theta)
    still = Pair(start[:1], start[1:2], start[:1], start[1:2], atlas.LENGTH)
    unit = torch.stack(coefficients(entry, still)).norm()
    moved = (features @ (-RATE / unit * slope)).softmax(0)
    assert torch.allclose(path.policies[1, world], moved, atol=1e-12)


@settings(max_examples=10)
@given(entry=entries)
def test_no_step_is_longer_than_the_first(entry):
    policies = descend(entry, atlas.LENGTH, steps=60).policies
    logits = policies.log() - policies.log()[..., 2:3]
    steps = logits.diff(dim=0).norm(dim=-1)
    longest = RATE * pair_bandit().features[:, :2].norm(dim=-1).sum(1) * 2.5
    assert bool((steps <= longest).all())


def test_rest_may_lie_below_the_start():
    settings_ = get("discopop").hyperparameters
    expected = -2.37 * settings_["tau"] / settings_["beta"]  # the minimum that its docstring names
    assert view("discopop").verdict.rest == pytest.approx(expected, abs=0.1)
