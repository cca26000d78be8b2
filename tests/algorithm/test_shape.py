"""The proof of `align`'s shape: seven methods that have little in common, 25 lines each."""

import copy
import inspect

import torch
from torch import nn

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.direct.comparison import ComparisonStep
from minipref.algorithm.objective import Moving, Objective
from minipref.algorithm.objectives.min_norm import MinNormStep
from minipref.algorithm.sources import Replay, Sampled, Stored
from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.streams import stream
from minipref.feedback.annotators import bt
from minipref.feedback.rewards import Rewards
from minipref.losses import bradley_terry, diffusion_dpo
from minipref.model.tabular import TabularPolicy

WORLD = Bandit(prompts=4, responses=6, seed=0)
PROMPTS = WORLD.all_prompts


def expected_reward(policy):
    return WORLD.expected_reward(policy.probabilities().detach())


def pairs(count=400):
    """Every response against another, labelled by the Bradley-Terry annotator."""
    asked = [PROMPTS[i % 4] for i in range(count) for _ in range(2)]
    drawn = torch.randint(6, (2 * count,), generator=stream(0, "responses")).tolist()
    texts = [f"r{j}" for j in drawn]
    batch = Batch.of(WORLD, asked, texts, torch.arange(2 * count) // 2)
    return bt(WORLD.reward).label(batch, stream(0, "labels"))


def dpo():
    policy = TabularPolicy(4, 6)
    objective = Objective.of("dpo", reference=policy, beta=0.5)
    step = GradientStep(policy, 0.05)
    align(policy, Stored(pairs()), AsStored(), objective, 100, step=step)
    return policy


def rloo():
    policy = TabularPolicy(4, 6)
    source = Sampled(WORLD, PROMPTS, per_prompt=4)
    objective = Objective.of("rloo", reference=policy, kl_penalty=0.05)
    step = GradientStep(policy, 0.05)
    align(policy, source, Rewards(WORLD.reward), objective, 60, step=step)
    return policy


def ppo():
    policy = TabularPolicy(4, 6)
    source = Replay(Sampled(WORLD, PROMPTS, per_prompt=4), Rewards(WORLD.reward), passes=4)
    objective = Objective.of("ppo_clip", reference=policy, kl_penalty=0.05, clip=0.2)
    step = GradientStep(policy, 0.05)
    align(policy, source, AsStored(), objective, 80, step=step)
    return policy


def tr_dpo():
    policy = TabularPolicy(4, 6)
    reference = Moving(policy, alpha=0.6, every=20)
    objective = Objective.of("dpo", reference=reference, beta=0.5)
    step = GradientStep(policy, 0.05)
    align(policy, Stored(pairs()), AsStored(), objective, 100, step=step)
    return policy


class Denoiser(nn.Module):
    """Predicts the noise in a point of the plane at time t; the chosen points lie to the right."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2))

    def forward(self, x, t):
        return self.net(torch.cat([x, t], -1))


def diffusion_dpo_run(policy, frozen):
    class Noised:
        def batch(self, policy, step, rng):
            x0 = torch.randn(2, 32, 2, generator=rng) + torch.tensor([[[1.0, 0]], [[-1.0, 0]]])
            t = torch.rand(32, 1, generator=rng)  # a pair shares its time and its noise
            noise = torch.randn(32, 2, generator=rng)
            return (1 - t).sqrt() * x0 + t.sqrt() * noise, t.expand(2, 32, 1), noise

    def objective(policy, batch):
        x, t, noise = batch
        error = (policy(x, t) - noise).square().mean(-1)  # (2, pairs): chosen, rejected
        with torch.no_grad():
            reference = (frozen(x, t) - noise).square().mean(-1)
        return diffusion_dpo(*error, *reference, beta=20.0).mean(), {}

    align(policy, Noised(), AsStored(), objective, 100, step=GradientStep(policy, 3e-3))
    return policy


def compo(policy):
    def pair_logps(policy, batch):
        logps = policy(batch.rows.ids)[:, 0].log_softmax(-1)
        logps = logps.gather(1, batch.rows.ids[:, 1:])[:, 0]
        return logps[batch.pairs[:, 0]], logps[batch.pairs[:, 1]]

    step = ComparisonStep(next(policy.parameters()), perturbations=100, trial=0.1)
    align(policy, Stored(pairs(40), batch_size=1), AsStored(), pair_logps, 100, step=step)
    return policy


def more(model, sources):
    class OfEverySource:
        def batch(self, model, step, rng):
            index = torch.randint(len(sources[0][0]), (len(sources), 32), generator=rng)
            return [(good[i], bad[i]) for (good, bad), i in zip(sources, index, strict=True)]

    def objective(model, batch):
        rewards = [(model(good)[:, 0], model(bad)[:, 0]) for good, bad in batch]
        return torch.stack([bradley_terry(good, bad).mean() for good, bad in rewards])

    step = MinNormStep([model[-1].weight], torch.optim.Adam(model.parameters(), 1e-2))
    align(model, OfEverySource(), AsStored(), objective, 100, step=step)
    return model


METHODS = [dpo, rloo, ppo, tr_dpo, diffusion_dpo_run, compo, more]


def test_each_method_takes_at_most_25_lines():
    for method in METHODS:
        assert len(inspect.getsource(method).splitlines()) <= 25, method.__name__


def test_every_policy_earns_more_than_it_did():
    start = expected_reward(TabularPolicy(4, 6))
    for method in (dpo, rloo, ppo, tr_dpo):
        assert expected_reward(method()) > start + 0.3, method.__name__


def test_comparisons_alone_raise_the_reward():
    policy = TabularPolicy(4, 6)
    start = expected_reward(policy)
    compo(policy)
    assert expected_reward(policy) > start + 0.05


def test_the_denoiser_tells_chosen_from_rejected():
    torch.manual_seed(0)
    policy = Denoiser()
    frozen = copy.deepcopy(policy).requires_grad_(False)
    diffusion_dpo_run(policy, frozen)
    rng = stream(1, "fresh")
    x0 = torch.randn(2, 500, 2, generator=rng) + torch.tensor([[[1.0, 0]], [[-1.0, 0]]])
    t, noise = torch.rand(500, 1, generator=rng), torch.randn(500, 2, generator=rng)
    x = (1 - t).sqrt() * x0 + t.sqrt() * noise
    with torch.no_grad():
        errors = [
            (net(x, t.expand(2, 500, 1)) - noise).square().mean(-1) for net in (policy, frozen)
        ]
    gained = errors[0] - errors[1]  # (2, pairs): how much worse than the reference
    assert (gained[0] < gained[1]).float().mean() > 0.75


def test_sources_that_contradict_each_other_cancel():
    """Two sources agree on the first feature and contradict each other on the second."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1, bias=False))
    generator = stream(0, "features")
    sources = []
    for drift in (2.0, -2.0):
        a, b = torch.randn(2, 200, 2, generator=generator)
        better = ((a - b) @ torch.tensor([1.0, drift]) > 0)[:, None]
        sources.append((torch.where(better, a, b), torch.where(better, b, a)))
    more(model, sources)
    with torch.no_grad():
        shared = model(torch.tensor([[1.0, 0]])) - model(torch.tensor([[-1.0, 0]]))
        drift = model(torch.tensor([[0, 1.0]])) - model(torch.tensor([[0, -1.0]]))
    assert shared.item() > 3 * abs(drift.item())
