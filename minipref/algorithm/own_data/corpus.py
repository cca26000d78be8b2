"""From a file to what is trained on and what is held out, with a count of all that got lost.

Prompts are held out, not records: a response to a prompt that was trained on would be half known.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ...data.batch import Batch
from ...data.jsonl import Reader
from ...data.records import Pair, Point, Ranking, Record, points
from ...data.streams import dice
from ...data.texts import batch_of
from .encoding import Cut
from .fitting import KINDS

FEW_PROMPTS = 10  # below it records are held out: a share of the prompts would be none, or a lot


@dataclass(frozen=True)
class Counts:
    """What a file held, and what became of it.

    records, skipped      good records, and bad lines that were left out
    first_error           what was wrong with the first bad line
    texts                 responses, each with its prompt
    prompts_cut, responses_cut  texts whose prompt lost its beginning, whose response its end
    alike                 records whose responses are all the same once they are cut
    by_prompt             are the held-out prompts new? (otherwise only the records are)
    """

    records: int
    skipped: int
    first_error: str
    texts: int
    prompts_cut: int
    responses_cut: int
    alike: int
    by_prompt: bool


@dataclass(frozen=True)
class Corpus:
    """What a run learns from.

    kind        of the file's records: pairs, points, rankings
    liked       the liked response of every record in training, for the supervised steps
    train       records in training, as the loss takes them
    seen        the same as they stand in the file
    held_out    records of the same kind that nothing is trained on
    """

    kind: str
    encoder: Cut
    liked: Batch
    train: Batch
    seen: Batch
    held_out: Batch
    counts: Counts


def read(path: Path, *, skip_bad: bool = False) -> tuple[list[Record], int, str]:
    """All good records of a file, the number of bad lines, and what was wrong with the first.

    Raises: ValueError (`BadLine`) for a bad line, where they are not skipped; for records of two
        kinds; for a file without good records.
    """
    reader = Reader(path, skip_bad=skip_bad)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the count is in the report
        records = list(reader)
    error = str(reader.first_error or "")
    if not records:
        why = f"all {reader.skipped} lines are bad; the first: {error}" if error else "it is empty"
        raise ValueError(f"{path} holds no records: {why}")
    return records, reader.skipped, error


def corpus_of(
    records: list[Record],
    encoder: Cut,
    *,
    share: float,
    seed: int,
    as_points: bool = False,
    skipped: tuple[int, str] = (0, ""),
) -> Corpus:
    """Split and encode records of one kind.

    Args:
        share: of the prompts that are held out.
        as_points: take pairs in training apart, for a loss that learns from points.
        skipped: bad lines that were left out, and what was wrong with the first.

    Raises: ValueError for too few records, or points without both labels on either side.
    """
    kind = KINDS[type(records[0])]
    inside, outside, by_prompt = split(records, share, seed)
    both = [(inside, "to train on"), (outside, "held out")]
    for some, where in both:
        if len(some) < 2:
            raise ValueError(
                f"{len(records)} records leave {len(some)} {where}; it takes 2 or more"
            )
        if kind == "points" and len({record.label for record in some}) < 2:  # type: ignore[union-attr]
            raise ValueError(f"points {where}: all labels are the same; it takes both")
    seen, held_out = batch_of(encoder, inside), batch_of(encoder, outside)
    liked = batch_of(encoder, [Point(*demonstration(r), True) for r in inside if is_liked(r)])
    counts = Counts(len(records), *skipped, *lost(encoder, (seen, held_out)), by_prompt)
    train = seen
    if as_points:  # the two of a pair stay a group: they answer the same prompt
        train = batch_of(encoder, [point for pair in inside for point in points(pair)])  # type: ignore[arg-type]
        train = replace(train, groups=seen.groups)
    return Corpus(kind, encoder, liked, train, seen, held_out, counts)


def split(
    records: list[Record], share: float, seed: int
) -> tuple[list[Record], list[Record], bool]:
    """Records to train on, records held out, and whether the latter's prompts are new.

    At least one prompt is held out, and at least one is not. File order is kept.
    """
    prompts = list(dict.fromkeys(record.prompt for record in records))
    by_prompt = len(prompts) >= FEW_PROMPTS
    keys: list[Any] = prompts if by_prompt else list(range(len(records)))
    count = min(max(1, math.ceil(share * len(keys))), len(keys) - 1)
    chosen = set(dice(seed, "own data/held out").sample(keys, count)) if count else set()
    inside: list[Record] = []
    outside: list[Record] = []
    for i, record in enumerate(records):
        key: Any = record.prompt if by_prompt else i
        (outside if key in chosen else inside).append(record)
    return inside, outside, by_prompt


def is_liked(record: Record) -> bool:
    """Has this record a response that somebody liked?"""
    return not isinstance(record, Point) or record.label


def demonstration(record: Record) -> tuple[Any, Any]:
    """Prompt and liked response, for the supervised steps."""
    match record:
        case Pair():
            return record.prompt, record.chosen
        case Ranking():
            return record.prompt, record.completions[0]
        case Point():
            return record.prompt, record.completion


def lost(encoder: Cut, batches: Iterable[Batch]) -> tuple[int, int, int, int]:
    """Texts, prompts cut, responses cut, and records that are left without a difference."""
    texts = prompts_cut = responses_cut = alike = 0
    for batch in batches:
        prompt_lengths = (batch.rows.attention_mask & ~batch.rows.completion_mask).sum(1).tolist()
        lengths = batch.rows.completion_mask.sum(1).tolist()
        for prompt, response, asked, said in zip(
            batch.prompts, batch.responses, prompt_lengths, lengths, strict=True
        ):
            full = encoder.full_lengths(prompt, response)
            texts += 1
            prompts_cut += full[0] > asked
            responses_cut += full[1] > said
        lists = batch.pairs if batch.pairs is not None else batch.rankings
        if lists is not None:
            first, *others = lists.T  # row numbers
            same = torch.ones(len(lists), dtype=torch.bool)
            for other in others:
                for part in (batch.rows.ids, batch.rows.attention_mask):
                    same &= (part[first] == part[other]).all(1)
            alike += int(same.sum())
    return texts, prompts_cut, responses_cut, alike
