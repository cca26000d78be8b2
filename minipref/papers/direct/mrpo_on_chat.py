"""The part of row 057 that is played on `chat`: a weak policy, a better reference, few pairs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.direct import several_references as several
from ...algorithm.objective import Objective
from ...algorithm.sources import Stored, sample
from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import dice, stream
from ...data.work import count
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import at_kl, lead_at_kl
from ...evaluation.responses import rewards
from ...feedback.annotators import Annotator, bt
from ...model.bases import get, load_base
from ...model.transformer import Transformer
from ..chat_pairs import USUAL, ChatPairs, answers, divergence

BETA, BATCH, TAUGHT, NATS = 0.5, 32, 200, 0.9
RATES = {"clipped": (3e-4, 1e-3), "free": (2e-4, 5e-4)}  # to about as many nats
Known = Tensor  # (pairs, 2, references) log-probs of chosen and rejected


@dataclass(frozen=True)
class TwoReferences:
    """Pairs of a weak policy's own answers, and what it and a better one thought of them.

    chat    the weak policy is its base; its fresh pairs stand in the true order
    known   of the pairs to learn from, the weak policy's log-probs before the better one's
    fresh   the same of the fresh pairs
    """

    chat: ChatPairs
    known: Known
    fresh: Known


@dataclass(frozen=True)
class Learned:
    """A policy for each learning rate, and the reference's log-probs of the fresh pairs."""

    policies: list[Transformer]
    reference: Tensor  # (pairs, 2)


def weak_policy(seed: int, steps: int) -> Transformer:
    """The architecture of `chat-nano`, which has read less than a tenth as much."""
    policy = Transformer(get("chat-nano").config, stream(seed, "057/weights"))
    pairs = CHAT.corpus(16 * steps, dice(seed, "057/demonstrations"))
    prompts, texts = map(list, zip(*pairs, strict=True))
    demonstrations = Batch.of(CHAT, prompts, texts, torch.arange(len(texts)))
    step = GradientStep(policy, 1e-2, steps)
    source = Stored(demonstrations, 48, bucket=4)
    align(policy, source, AsStored(), Objective.of("sft"), steps, seed=seed, step=step)
    return policy


def two_references(seed: int, scale: float) -> TwoReferences:
    """500 pairs of the weak policy's answers; the better policy is `chat-nano`."""
    size = min(scale, 1.0)
    weak = weak_policy(seed, max(100, round(TAUGHT * size)))
    better = load_base("chat-nano", seed % 3)

    def pairs(number: int, part: str, annotator: Annotator) -> Batch:
        asked = CHAT.prompts(number, dice(seed, f"057/{part}"))
        rng = stream(seed, f"057/{part}/responses")
        answered = sample(weak, CHAT, asked, torch.arange(number), 2, rng)
        return annotator.label(answered, stream(seed, f"057/{part}/labels"))

    few = pairs(max(64, round(500 * size)), "pairs", USUAL)
    fresh = pairs(max(64, round(1000 * size)), "fresh", bt(CHAT.reward, temperature=0.0))
    prompts = CHAT.prompts(max(64, round(1024 * size)), dice(seed, "057/prompts"))
    made = ChatPairs(weak, few, fresh, prompts, seed, max(6, round(48 * size)))
    both = [several.ref_logps(part, [weak, better]) for part in (few, fresh)]
    return TwoReferences(made, *both)


def first(known: Known) -> Tensor:
    """DPO from the policy's own start."""
    return known[..., 0]


def second(known: Known) -> Tensor:
    """DPO from the better policy."""
    return known[..., 1]


def mrpo(known: Known) -> Tensor:
    """Both merged, the better one clipped near the start."""
    return several.merged(several.trusted(known), several.adaptive_weights(known))


def unclipped(known: Known) -> Tensor:
    """Both merged as they are."""
    return several.merged(known, several.adaptive_weights(known))


def learn(made: TwoReferences, reference: Callable[[Known], Tensor] | None, rates: str) -> Learned:
    """DPO from the reference; without one, Multi-DPO, whose own reference is the start."""
    chat, known = made.chat, made.known
    objective = Objective.of("dpo", beta=BETA) if reference else several.MultiDPO(beta=BETA)
    data = several.as_reference(
        chat.pairs, reference(known) if reference else several.trusted(known)
    )
    if reference is None:
        data = several.with_weights(data, several.adaptive_weights(known))
    policies = []
    for rate in RATES[rates]:
        policy = copy.deepcopy(chat.base)
        step = GradientStep(policy, rate, chat.steps)
        source = Stored(data, BATCH, bucket=4)
        align(policy, source, AsStored(), objective, chat.steps, seed=chat.seed, step=step)
        count(settings=1)
        policies.append(policy)
    return Learned(policies, (reference or first)(made.fresh))


def right(margins: Tensor) -> Tensor:
    """1 where the chosen has the larger implicit reward, 1/2 for a tie: (pairs,)."""
    return (margins.sign().double() + 1) / 2


def margins(logps: Tensor) -> Tensor:
    """Of the chosen over the rejected: (pairs, 2) -> (pairs,)."""
    return logps[:, 0] - logps[:, 1]


def compare(made: TwoReferences, arms: Mapping[str, Learned]) -> dict[str, Estimate]:
    """Accuracy and true reward at `NATS` from the start, and MRPO's leads there (and halfway).

    The implicit reward is log(pi / start) for every arm alike; log(pi / reference) by an arm's own
    reference is asked too, at the larger rate.
    """
    chat, start = made.chat, made.fresh[..., 0]
    accuracy: dict[str, list[tuple[float, Tensor]]] = {}
    earned: dict[str, list[tuple[float, Tensor]]] = {}
    found = {}
    for name, learned in arms.items():
        accuracy[name] = [(0.0, right(torch.zeros(len(start))))]
        earned[name] = [(0.0, rewards(CHAT, chat.own))]
        for policy in learned.policies:
            own, logps = answers(chat, policy), several.ref_logps(chat.fresh, [policy])[..., 0]
            reached = divergence(chat, policy, own)
            accuracy[name].append((reached.value, right(margins(logps - start))))
            earned[name].append((reached.value, rewards(CHAT, own)))
        by_own = right(margins(logps - learned.reference))
        found[f"kl, {name}"] = reached
        found[f"accuracy by its own reference, {name}"] = Estimate.mean(by_own)
    kl = min([NATS, *(max(kl for kl, _ in curve) for curve in earned.values())])
    found["the equal KL"] = Estimate(kl, unit="nats")
    found["reward, start"] = Estimate.mean(earned["mrpo"][0][1])
    for name in arms:
        found[f"accuracy, {name}"] = Estimate.mean(at_kl(accuracy[name], kl))
        found[f"reward, {name}"] = Estimate.mean(at_kl(earned[name], kl))
        if name != "mrpo":
            found[f"lead in accuracy over {name}"] = lead_at_kl(
                accuracy["mrpo"], accuracy[name], kl
            )
            for at, where in ((kl, ""), (kl / 2, ", halfway")):
                lead = lead_at_kl(earned["mrpo"], earned[name], at)
                found[f"lead in reward over {name}{where}"] = lead
    return found
