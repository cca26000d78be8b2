"""What is measured at the end of a run: accuracy beside dumb rivals, what moved, what is said."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...algorithm.own_data.corpus import Corpus
from ...algorithm.own_data.plan import Plan
from ...algorithm.own_data.run import Measure, Trained
from ...data.batch import Batch
from ...data.streams import stream
from ...losses.registry import get
from ...model.fit import Metrics
from ...model.generate import generate
from ...model.policy import Policy
from ..estimate import Estimate
from .accuracy import by_length, mean_win, scored_by, scores, wins

SAMPLES = 4
TEMPERATURE = 0.7  # at 1 a small model's slips hide what it has learnt
LONGER, SHORTER, BEFORE = "the longer text", "the shorter text", "before: log-prob"
SEEN = "the same on records trained on"
MOST = 256  # records looked at on the way, and of those that were trained on


@dataclass(frozen=True)
class Sample:
    """A held-out prompt, and what the model says to it before and after, by the same luck."""

    prompt: str
    before: str
    after: str


@dataclass(frozen=True)
class Findings:
    """What a report is made of.

    accuracy   by what ranks: on held-out records, and under SEEN on those that were trained on
    lead       by whom: how much more often the trained model is right, on the same records
    score      the trained model's name in both
    gained     log-probs after less before, of liked and of other held-out responses, nats
    """

    parameters: int
    accuracy: dict[str, Estimate]
    lead: dict[str, Estimate]
    score: str
    gained: dict[str, Estimate]
    samples: list[Sample]


def first(batch: Batch, most: int) -> Batch:
    """The first records of a batch."""
    if batch.pairs is not None:
        return batch.take_pairs(torch.arange(min(most, len(batch.pairs))))
    if batch.rankings is not None:
        return batch.take_rankings(torch.arange(min(most, len(batch.rankings))))
    return batch.take(torch.arange(min(most, len(batch))))


def on_the_way(plan: Plan, corpus: Corpus) -> Measure:
    """Held-out accuracy, for a run's history."""
    entry, some = get(plan.loss), first(corpus.held_out, MOST)
    if some.pairs is None and some.rankings is None and len(set(labels(some))) < 2:
        some = corpus.held_out  # the first points may all have one label

    def measure(policy: Policy, reference: Policy) -> Metrics:
        found = scores(
            some, policy, reference if entry.reference else None, mean=entry.logps == "mean"
        )
        share = mean_win(some, wins(some, found), by_prompt=corpus.counts.by_prompt)
        return {"held_out/accuracy": share.value, "held_out/accuracy_se": share.se}

    return measure


def labels(batch: Batch) -> list[bool]:
    return [bool(label) for label in batch.columns["desirable"].tolist()]


def measured(plan: Plan, corpus: Corpus, trained: Trained) -> Findings:
    """All of it."""
    entry, held_out = get(plan.loss), corpus.held_out
    before, after = trained.before, trained.after
    name = f"after {plan.loss}: {scored_by(entry)}"
    reference, mean = before if entry.reference else None, entry.logps == "mean"
    models: dict[str, Policy] = {"before": before, "after": after}
    sums = {when: scores(held_out, policy) for when, policy in models.items()}
    lengths = held_out.rows.completion_mask.sum(1)
    now = scores(held_out, after, reference, mean=mean)
    compared = {
        LONGER: by_length(held_out),
        SHORTER: -by_length(held_out),
        BEFORE: sums["before"],
        "before: log-prob a token": sums["before"] / lengths,
        name: now,
    }
    new = corpus.counts.by_prompt
    won = {who: wins(held_out, score) for who, score in compared.items()}
    table = {who: mean_win(held_out, won_by, by_prompt=new) for who, won_by in won.items()}
    lead = {
        who: mean_win(held_out, won[name] - won_by, by_prompt=new) for who, won_by in won.items()
    }
    some = corpus.seen if corpus.kind == "points" else first(corpus.seen, MOST)
    seen = scores(some, after, reference, mean=mean)
    table[SEEN] = mean_win(some, wins(some, seen), by_prompt=new)
    moved = sums["after"] - sums["before"]
    gained = {
        side: Estimate.mean(moved[rows], unit="nats") if int(rows.sum()) > 1 else Estimate(0.0)
        for side, rows in sides(held_out).items()
    }
    parameters = sum(weight.numel() for weight in after.parameters())
    return Findings(parameters, table, lead, name, gained, samples(plan, corpus, trained))


def sides(batch: Batch) -> dict[str, torch.Tensor]:
    """Which rows are liked responses (rows,) bool, and which are others."""
    if (desirable := batch.columns.get("desirable")) is not None:
        liked = desirable.bool()
    else:
        lists = batch.pairs if batch.pairs is not None else batch.rankings
        assert lists is not None
        liked = torch.zeros(len(batch), dtype=torch.bool)
        liked[lists[:, 0]] = True
    return {"liked": liked, "other": ~liked}


def samples(plan: Plan, corpus: Corpus, trained: Trained) -> list[Sample]:
    """Responses to a few held-out prompts."""
    ids = corpus.held_out.rows.split()[0]
    prompts = {prompt.text: row for row, prompt in reversed([*enumerate(corpus.held_out.prompts)])}
    asked = sorted(prompts.values())[:SAMPLES]
    said = [
        generate(
            policy,
            [ids[row] for row in asked],
            max_new_tokens=plan.max_new_tokens,
            generator=stream(plan.seed, "own data/samples"),
            temperature=TEMPERATURE,
            eos=corpus.encoder.end,
        )
        for policy in (trained.before, trained.after)
    ]
    texts = [[corpus.encoder.decode_response(response) for response in some] for some in said]
    return [
        Sample(corpus.held_out.prompts[row].text, before, after)
        for row, before, after in zip(asked, *texts, strict=True)
    ]
