"""Diffusion-DPO: exact at one step, a bound at many, and blind to what a pair shares."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.direct.diffusion import DiffusionDPO, NoisedPairs, Noising, sft
from minipref.data.streams import stream
from minipref.data.work import counting
from minipref.losses import diffusion_dpo, dpo
from minipref.model.denoiser import Denoiser, Schedule, errors

seeds = st.integers(0, 999)
betas = st.floats(0.1, 50)


def normal(seed, *shape):
    return torch.randn(shape, generator=stream(seed, "test"))


def denoiser(seed, values=(0.1, 0.3, 0.5)):
    return Denoiser(Schedule(torch.tensor(values)), width=8, generator=stream(seed, "weights"))


def noising(seed, times=3, pairs=5):
    t = torch.randint(times, (pairs,), generator=stream(seed, "times"))
    return Noising(normal(seed, 2, pairs, 2), t, normal(seed + 1, pairs, 2))


@given(seed=seeds, noise=st.floats(0.05, 0.9), beta=st.floats(0.05, 5))
def test_one_step_is_dpo_with_a_gaussian_policy(seed, noise, beta):
    """T = 1: log p(x_0 | x_1) = -|x_0 - mean|^2 / 2 beta_1, and the two losses agree exactly."""
    policy, reference = denoiser(seed, (noise,)), denoiser(seed + 1, (noise,))
    batch = noising(seed, times=1)
    x1 = policy.schedule.noised(batch.x0, batch.t, batch.noise)  # (2, pairs, 2)

    def logps(model):
        mean = model.schedule.before(x1, batch.t, model(x1, batch.t.expand(2, -1)))
        return -(batch.x0 - mean).square().sum(-1) / (2 * noise)  # normaliser: the same everywhere

    (chosen, rejected), (ref_chosen, ref_rejected) = logps(policy), logps(reference)
    wanted = dpo(chosen, rejected, ref_chosen, ref_rejected, beta=beta)
    found = diffusion_dpo(
        *batch.errors(policy), *batch.errors(reference), beta=2 * beta / (1 - noise)
    )  # beta * d / alpha, d = 2 coordinates
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-4)


@given(seed=seeds, beta=betas)
def test_at_the_start_the_loss_is_log_2_and_the_gradient_a_quarter_of_beta(seed, beta):
    policy, batch = denoiser(seed), noising(seed)
    loss, metrics = DiffusionDPO(policy, beta=beta)(policy, batch)
    assert loss.item() == pytest.approx(math.log(2))
    assert metrics["rewards/margins"] == 0
    gradients = torch.autograd.grad(loss, list(policy.parameters()))
    chosen, rejected = batch.errors(policy)
    wanted = torch.autograd.grad(beta / 4 * (chosen - rejected).mean(), list(policy.parameters()))
    for gradient, by_hand in zip(gradients, wanted, strict=True):
        assert torch.allclose(gradient, by_hand, rtol=1e-3, atol=1e-5)


@given(seed=seeds, beta=betas)
def test_swapping_the_pair_turns_the_margin(seed, beta):
    policy, objective = denoiser(seed), DiffusionDPO(denoiser(seed + 1), beta=beta)
    batch = noising(seed)
    swapped = Noising(batch.x0.flip(0), batch.t, batch.noise)
    loss, metrics = objective(policy, batch)
    other, turned = objective(policy, swapped)
    assert turned["rewards/margins"] == pytest.approx(-metrics["rewards/margins"], abs=1e-4)
    assert turned["rewards/chosen"] == pytest.approx(metrics["rewards/rejected"], abs=1e-4)
    # softplus(-m) - softplus(m) = -m, pair by pair
    assert (loss - other).item() == pytest.approx(-metrics["rewards/margins"], abs=1e-3)


@given(seed=seeds, beta=betas)
def test_a_point_against_itself_teaches_nothing(seed, beta):
    policy, objective = denoiser(seed), DiffusionDPO(denoiser(seed + 1), beta=beta)
    batch = noising(seed)
    same = Noising(batch.x0[:1].expand(2, -1, -1), batch.t, batch.noise)
    loss, metrics = objective(policy, same)
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)
    assert metrics["rewards/margins"] == pytest.approx(0, abs=1e-6)


@given(seed=seeds, beta=betas)
def test_the_loss_at_one_time_bounds_the_loss_of_the_mean_margin(seed, beta):
    """Jensen: the mean over times of the loss is at least the loss at the mean over times."""
    policy, reference = denoiser(seed), denoiser(seed + 1)
    x0, noise = normal(seed, 2, 1, 2), normal(seed + 1, 1, 2)
    every = [Noising(x0, torch.tensor([t]), noise) for t in range(3)]
    inputs = torch.stack([torch.cat([n.errors(policy), n.errors(reference)])[:, 0] for n in every])
    loss = diffusion_dpo(*inputs.T, beta=beta).mean()
    of_mean = diffusion_dpo(*inputs.mean(0)[:, None], beta=beta)[0]
    assert loss.item() >= of_mean.item() - 1e-5


@given(seed=seeds)
def test_a_pair_shares_its_time_and_its_noise(seed):
    batch, policy = noising(seed), denoiser(seed)
    found = batch.errors(policy)
    for side in (0, 1):
        alone = errors(policy, batch.x0[side], batch.t, batch.noise)
        assert torch.allclose(found[side], alone, atol=1e-6)
    assert torch.allclose(sft(policy, batch)[0], found[0].mean(), atol=1e-6)


@given(seed=seeds, size=st.integers(1, 9), batch_size=st.integers(1, 12))
def test_the_source_draws_pairs_that_there_are(seed, size, batch_size):
    chosen, rejected = normal(seed, size, 2), normal(seed + 1, size, 2)
    source = NoisedPairs(chosen, rejected, batch_size)
    batch = source.batch(denoiser(0), 0, stream(seed, "batch"))
    assert batch.x0.shape == (2, batch_size, 2)
    assert batch.noise.shape == (batch_size, 2)
    assert set(batch.t.tolist()) <= {0, 1, 2}
    where = (batch.x0[0][:, None] == chosen).all(-1)  # (batch, size)
    assert bool(where.any(1).all())
    assert torch.equal(where, (batch.x0[1][:, None] == rejected).all(-1))


@pytest.mark.slow
def test_training_prefers_what_was_chosen_and_leaves_the_reference_alone():
    policy = denoiser(0)
    objective = DiffusionDPO(policy, beta=20)
    before = copy.deepcopy(objective.reference.state_dict())
    chosen = normal(0, 200, 2) * 0.3 + torch.tensor([1.0, 0])
    source = NoisedPairs(chosen, chosen - torch.tensor([2.0, 0]), 32)
    with counting() as work:
        state = align(policy, source, AsStored(), objective, 80, step=GradientStep(policy, 1e-2))
    assert work.trained == 80 * 64
    assert all(torch.equal(before[n], w) for n, w in objective.reference.state_dict().items())
    last = [entry["rewards/accuracies"] for entry in state.history[-20:]]
    assert sum(last) / 20 > 0.8


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="chosen, rejected"):
        NoisedPairs(torch.zeros(3, 2), torch.zeros(4, 2))
