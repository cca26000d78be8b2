"""Records from files as batches: any text, as bytes or words, without a world behind it.

    batch = batch_of(Texts(), Reader("pairs.jsonl"))

The texts have no true reward, so feedback on them must come with the file or be learnt from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from .batch import Batch
from .records import Pair, Point, Ranking, Record, plain
from .rows import Rows
from .vocabulary import ByteVocabulary, Vocabulary, prompt_ids, response_ids


class Encoder(Protocol):
    """Texts to ids: `Texts` here; a world's own vocabulary reads its own data sets."""

    def encode_prompt(self, prompt: Any) -> list[int]: ...
    def encode_response(self, response: str) -> list[int]: ...


@dataclass(frozen=True)
class TextPrompt:
    """A prompt of which nothing is known but its text."""

    text: str
    kind: str = "text"
    hardness: float = 0.0


@dataclass(frozen=True)
class Texts:
    """Encodes any text, cut to fit a model's context.

    vocabulary         bytes by default
    max_prompt_tokens  of a longer prompt the last so many tokens are kept, <bos> and <sep> apart
    max_new_tokens     of a longer response the first so many, without an <eos> then
    """

    vocabulary: Vocabulary = ByteVocabulary()  # noqa: RUF009  (it holds no state)
    max_prompt_tokens: int = 128
    max_new_tokens: int = 128

    def __post_init__(self) -> None:
        for name in ("max_prompt_tokens", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")

    @property
    def vocabulary_size(self) -> int:
        return len(self.vocabulary)

    def encode_prompt(self, prompt: TextPrompt) -> list[int]:
        bos, *text, sep = prompt_ids(self.vocabulary, prompt.text)
        return [bos, *text[-self.max_prompt_tokens :], sep]

    def encode_response(self, response: str) -> list[int]:
        return response_ids(self.vocabulary, response)[: self.max_new_tokens]

    def decode_response(self, ids: list[int]) -> str:
        return self.vocabulary.decode(ids)


def batch_of(encoder: Encoder, records: Iterable[Record]) -> Batch:
    """Records of one kind as a batch, a group a record.

    Pairs become two rows each (chosen, rejected) and `pairs`; points one row each and
    columns["desirable"]; rankings, all of one length, a row a completion and `rankings`.
    Conversations are read as transcripts. Raises ValueError for no or for mixed records.
    """
    kept = list(records)
    kinds = sorted({type(record).__name__ for record in kept})
    if len(kinds) != 1:
        raise ValueError(f"records: expected some of one kind, got {kinds or 'none'}")
    responses = [_responses(record) for record in kept]
    sizes = sorted({len(some) for some in responses})
    if len(sizes) != 1:
        raise ValueError(f"records: expected rankings of one length, got lengths {sizes}")
    prompts = [TextPrompt(plain(record.prompt)) for record in kept for _ in range(sizes[0])]
    texts = [text for some in responses for text in some]
    groups = torch.arange(len(kept)).repeat_interleave(sizes[0])
    rows = Rows.of(
        [encoder.encode_prompt(prompt) for prompt in prompts],
        [encoder.encode_response(text) for text in texts],
    )
    batch = Batch(tuple(prompts), tuple(texts), rows, groups)
    lists = torch.arange(len(texts)).view(len(kept), -1)  # (records, rows of a record)
    match kept[0]:
        case Pair():
            return batch.with_pairs(lists)
        case Ranking():
            return batch.with_rankings(lists)
    return batch.with_columns(desirable=torch.tensor([record.label for record in kept]))  # type: ignore[union-attr]


def _responses(record: Record) -> list[str]:
    """Every response of a record, best first."""
    match record:
        case Pair():
            return [plain(record.chosen), plain(record.rejected)]
        case Ranking():
            return [plain(completion) for completion in record.completions]
        case Point():
            return [plain(record.completion)]
