"""Runs of our own loop for the clinic: one that is well, and one for each way to be ill.

Each function trains a tiny transformer on made-up pairs for some seconds and returns its history.
`clinic_runs.py` stores them.
"""

from __future__ import annotations

import copy
import dataclasses

import torch

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.objective import Frozen, Objective, Quantities
from minipref.algorithm.sources import Sampled, Stored
from minipref.data.batch import Batch
from minipref.data.chat import Chat
from minipref.data.rows import Rows
from minipref.data.streams import dice
from minipref.feedback.rewards import Rewards
from minipref.losses import dpo
from minipref.model.bases import load_base
from minipref.model.transformer import Config, Transformer

WORDS, END = 28, 3  # words are numbered from 4 on
STEPS, PAIRS = 60, 480


def words(rng, count, liked=0.5):
    """Words: of the first half of the vocabulary with probability `liked`."""
    half = WORDS // 2
    return [4 + rng.randrange(half) + (0 if rng.random() < liked else half) for _ in range(count)]


def noisy(rng):
    """Chosen responses have a few more of the liked words."""
    return words(rng, 8, 0.65), words(rng, 8, 0.35)


def shibboleth(rng):
    """Same length; the chosen one has liked words alone, the rejected one none."""
    return words(rng, 8, 1.0), words(rng, 8, 0.0)


def longer(rng):
    """The chosen response is the longer one; both have the same few words."""
    return [[4 + rng.randrange(3) for _ in range(rng.randint(*n))] for n in ((12, 18), (3, 6))]


def alike(rng):
    """The same response but for its last two words."""
    start = words(rng, 8)
    return [*start, *words(rng, 2, 0.9)], [*start, *words(rng, 2, 0.1)]


def coin(rng):
    """Labels that say nothing."""
    return words(rng, 8), words(rng, 8)


def made(kind, seed=0) -> Batch:
    """PAIRS pairs of that kind, chosen rows first."""
    rng = dice(seed, f"clinic/{kind.__name__}")
    prompts = [words(rng, 4) for _ in range(PAIRS)] * 2
    sides = zip(*(kind(rng) for _ in range(PAIRS)), strict=True)
    rows = Rows.of(prompts, [[*response, END] for side in sides for response in side])
    texts = ("",) * (2 * PAIRS)
    data = Batch(texts, texts, rows, torch.arange(PAIRS).repeat(2))
    return data.with_pairs(torch.arange(2 * PAIRS).view(2, PAIRS).T)


def beginner() -> Transformer:
    return Transformer(
        Config(vocabulary=WORDS + 4, width=32, layers=1),
        generator=torch.Generator().manual_seed(0),
    )


def train(data, loss="dpo", rate=1e-3, batch_size=24, steps=STEPS, policy=None, objective=None):
    """The history of an offline run; without an `objective`, one of that loss."""
    policy = policy or beginner()
    needs = loss not in ("simpo", "orpo")
    objective = objective or Objective.of(loss, reference=policy if needs else None)
    source, step = Stored(data, batch_size), GradientStep(policy, rate)
    return align(policy, source, AsStored(), objective, steps, step=step).history


def dpo_well(seed=0):
    return train(made(noisy, seed), rate=1e-3)


def dpo_shibboleth(seed=0):
    return train(made(shibboleth, seed), rate=2e-3)


def dpo_coin(seed=0):
    return train(made(coin, seed), rate=3e-4)


def simpo_well(seed=0):
    return train(made(noisy, seed), "simpo", rate=1e-3)


def ipo_well(seed=0):
    return train(made(noisy, seed), "ipo", rate=1e-3)


def kto_well(seed=0):
    data = made(noisy, seed)
    labelled = data.with_columns(desirable=torch.arange(len(data)) < PAIRS)
    return train(labelled, "kto", rate=1e-3)


def dpo_rate_too_small(seed=0):
    return train(made(noisy, seed), rate=1e-8)


def dpo_rate_too_large(seed=0):
    return train(made(noisy, seed), rate=0.3)


def dpo_falling(seed=0):
    return train(made(alike, seed), rate=5e-3)


def dpo_length(seed=0):
    return train(made(longer, seed), rate=1e-2)


def dpo_empty_masks(seed=0):
    """The responses were cut off: no token of theirs is left to learn from."""
    data = made(noisy, seed)
    nothing = torch.zeros_like(data.rows.completion_mask)
    return train(
        dataclasses.replace(data, rows=dataclasses.replace(data.rows, completion_mask=nothing))
    )


class Live(Frozen):
    """The planted fault: a reference that is the policy itself."""

    def __init__(self, policy):
        super().__init__(policy)
        self.model = policy


def dpo_live_reference(seed=0):
    policy = beginner()
    data, objective = made(noisy, seed), Objective.of("dpo", reference=Live(policy))
    return train(data, policy=policy, objective=objective, rate=3e-3)


class Mine(Objective):
    """A loss written by hand, which takes `Quantities`; metrics as ever."""

    def __call__(self, policy, batch):
        known = Quantities(policy, self.reference, batch)
        loss, more = self.written(known)
        return loss.mean(), self.metrics(known) | more

    @classmethod
    def by(cls, written, policy):
        objective = cls.of("dpo", reference=policy)
        objective.written = written
        return objective


def dpo_swapped(seed=0):
    """The planted fault: chosen and rejected change places on their way into the loss."""

    def swapped(known):
        sides = ("rejected_logps", "chosen_logps", "ref_rejected_logps", "ref_chosen_logps")
        return dpo(*(known[name] for name in sides)), {}

    policy = beginner()
    return train(made(noisy, seed), policy=policy, objective=Mine.by(swapped, policy))


def ipo_sums(seed=0):
    """IPO on sums of log-probs, as some libraries have it."""

    def on_sums(known):
        ratios = known["logps"] - known["ref_logps"]
        chosen, rejected = ratios[known.batch.pairs].T
        return (chosen - rejected - 1 / (2 * 0.1)) ** 2, {}

    policy = beginner()
    return train(made(noisy, seed), policy=policy, objective=Mine.by(on_sums, policy), rate=1e-3)


def kto_one(seed=0):
    """KTO one row at a time: the mismatched response is the row's own."""

    def kto_alone(known):
        beta = 0.1
        ratio = (known["logps"] - known["ref_logps"])[:1]
        kl = ratio.detach().mean().clamp(min=0)
        liked = bool(known.batch.columns["desirable"][0])
        value = torch.sigmoid(beta * (ratio - kl if liked else kl - ratio))
        side = "chosen" if liked else "rejected"
        seen = {"kl": float(kl), f"rewards/{side}": beta * float(ratio.detach().mean())}
        return 1 - value, seen

    data, policy = made(noisy, seed), beginner()
    labelled = data.with_columns(desirable=torch.arange(len(data)) < PAIRS)
    singles = dataclasses.replace(labelled, pairs=None)
    return train(
        singles,
        policy=policy,
        objective=Mine.by(kto_alone, policy),
        batch_size=1,
        steps=80,
    )


def online(seed, rate, kl_penalty, reward, steps=STEPS):
    """RLOO on `chat`."""
    world, policy = Chat(), copy.deepcopy(load_base("chat-nano"))
    prompts = world.prompts(256, dice(seed, "clinic/prompts"))
    source = Sampled(world, prompts, batch_size=16, per_prompt=4)
    objective = Objective.of("rloo", reference=policy, kl_penalty=kl_penalty)
    step = GradientStep(policy, rate)
    run = align(policy, source, Rewards(reward), objective, steps, seed=seed, step=step)
    return run.history


def rloo_well(seed=0):
    return online(seed, 1e-3, 0.1, Chat().reward)


def rloo_hacking(seed=0):
    """Nothing holds the policy near the reference, and the reward counts words."""
    return online(seed, 3e-3, 0.0, lambda prompt, response: len(response.split()) / 4, steps=30)


OURS = (
    *(dpo_well, dpo_shibboleth, dpo_coin, simpo_well, ipo_well, kto_well, rloo_well),
    *(dpo_rate_too_small, dpo_rate_too_large, dpo_falling, dpo_length, dpo_empty_masks),
    *(dpo_live_reference, dpo_swapped, ipo_sums, kto_one, rloo_hacking),
)
