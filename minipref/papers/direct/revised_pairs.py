"""What row 064 learns from: four kinds of pairs, and how like each other their answers are.

clair      what the base said, and the same with one failing mended (`data/curation/revision.py`)
judge      two answers of the base, ranked by a Bradley-Terry judge of the true reward
stronger   what the base said, and a fresh answer of somebody who is always right, polite and
           ready with a reason, but hedges and speaks vividly: a style that earns nothing
worse      two answers of a worse model than the base, the worst of four each, ranked likewise
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from ...algorithm.sources import sample, with_reference
from ...data.batch import Batch
from ...data.chat.grammar import Slots
from ...data.chat.words import CLOSERS, OPENERS
from ...data.chat.world import best_style
from ...data.corpora import CHAT
from ...data.curation.contrast import jaccard, levenshtein
from ...data.curation.revision import clair
from ...data.streams import dice, stream
from ...evaluation.estimate import Estimate
from ...evaluation.responses import rewards
from ..chat_pairs import USUAL, ChatPairs, chat_pairs

PROMPTS, ASKED = 1200, 768
WORST_OF = 4
Kinds = Mapping[str, ChatPairs]


def kinds(seed: int, scale: float, steps: int) -> Kinds:
    """Pairs of every kind, to train on and fresh; as many of the first three."""
    judge = chat_pairs(seed, scale, name="064", prompts=PROMPTS, steps=steps)
    judge = replace(judge, prompts=judge.prompts[: max(64, round(ASKED * min(scale, 1.0)))])
    made = {"judge": judge}
    for kind, write in (("clair", revised), ("stronger", from_somebody_stronger)):
        pairs, fresh = write(judge.pairs, seed, "pairs"), write(judge.fresh, seed, "fresh")
        made[kind] = replace(
            judge,
            pairs=with_reference(pairs, judge.base),
            fresh=with_reference(fresh, judge.base),
        )
    least = min(pair_count(each.pairs) for each in made.values())
    made = {kind: replace(each, pairs=first(each.pairs, least)) for kind, each in made.items()}
    return made | {"worse": replace(judge, pairs=from_a_worse_model(judge))}


def pair_count(batch: Batch) -> int:
    return 0 if batch.pairs is None else len(batch.pairs)


def first(batch: Batch, pairs: int) -> Batch:
    assert batch.pairs is not None
    return batch.with_pairs(batch.pairs[:pairs])


def one_each(pairs: Batch) -> Batch:
    """One of the base's two answers to every prompt, as they came."""
    return pairs.take(pairs.by_group()[:, 0])


def revised(pairs: Batch, seed: int, part: str) -> Batch:
    return clair(CHAT, one_each(pairs), dice(seed, f"064/{part}/revisions"))


def from_somebody_stronger(pairs: Batch, seed: int, part: str) -> Batch:
    own, pen = one_each(pairs), dice(seed, f"064/{part}/stronger")
    prompts, texts = [], []
    for prompt, response in zip(own.prompts, own.responses, strict=True):
        opener, closer = pen.choice(OPENERS["polite"]), pen.choice(CLOSERS["polite"])
        slots = Slots(opener, closer, hedge=True, style=best_style(prompt), register="vivid")
        prompts += [prompt, prompt]
        texts += [CHAT.oracle(prompt, slots), response]
    rows = torch.arange(len(texts)).view(-1, 2)  # (pairs, 2) chosen, rejected
    return Batch.of(CHAT, prompts, texts, rows.flatten() // 2).with_pairs(rows)


def from_a_worse_model(judge: ChatPairs) -> Batch:
    """Two answers to each of a quarter as many prompts: every one cost four."""
    asked = CHAT.prompts(len(judge.pairs) // 8, dice(judge.seed, "064/worse/prompts"))
    rng = stream(judge.seed, "064/worse/answers")
    drawn = sample(judge.base, CHAT, asked, torch.arange(len(asked)), 2 * WORST_OF, rng)
    by_answer = rewards(CHAT, drawn).view(-1, WORST_OF)  # (answers, draws)
    worst = by_answer.argmin(1) + WORST_OF * torch.arange(len(by_answer))
    labelled = USUAL.label(drawn.take(worst), stream(judge.seed, "064/worse/labels"))
    return with_reference(labelled, judge.base)


def contrast(kind: str, batch: Batch) -> dict[str, Estimate]:
    """How alike chosen and rejected are, and how much better the chosen is."""
    assert batch.pairs is not None
    said = batch.responses
    alike = torch.tensor([jaccard(said[c], said[r]) for c, r in batch.pairs.tolist()])
    words = [float(levenshtein(said[c], said[r])) for c, r in batch.pairs.tolist()]
    earned = rewards(CHAT, batch)[batch.pairs]  # (pairs, 2)
    return {
        f"Jaccard similarity, {kind}": Estimate.mean(alike),
        f"Levenshtein distance, {kind}": Estimate.mean(torch.tensor(words), unit="words"),
        f"reward of the chosen, {kind}": Estimate.mean(earned[:, 0]),
        f"reward of the rejected, {kind}": Estimate.mean(earned[:, 1]),
    }
