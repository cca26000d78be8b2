"""Texts of an own file to token ids: as bytes for the tiny model, or by a model's own tokenizer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

from ...data.records import Message, Pair, Point, Ranking, Record
from ...data.texts import TextPrompt, Texts
from ...data.vocabulary import EOS


class Cut(Protocol):
    """An encoder that cuts texts, and knows how long they were."""

    @property
    def end(self) -> int:
        """The token that ends a response."""

    @property
    def max_new_tokens(self) -> int: ...
    def encode_prompt(self, prompt: TextPrompt) -> list[int]: ...
    def encode_response(self, response: str) -> list[int]: ...
    def decode_response(self, ids: list[int]) -> str: ...
    def full_lengths(self, prompt: TextPrompt, response: str) -> tuple[int, int]:
        """Tokens of a prompt and of a response before anything is cut."""


@dataclass(frozen=True)
class Bytes(Texts):
    """A token a byte: no text is unknown."""

    end: int = EOS

    def full_lengths(self, prompt: TextPrompt, response: str) -> tuple[int, int]:
        return 2 + len(prompt.text.encode()), len(response.encode()) + 1


@dataclass(frozen=True)
class Tokenized:
    """A Hugging Face tokenizer's tokens; a response ends in its <eos>.

    max_prompt_tokens  of a longer prompt the last so many are kept, and a first <bos>
    max_new_tokens     of a longer response the first so many, without an <eos> then
    templated          a chat template wrote the prompts, and with them all special tokens
    """

    tokenizer: Any
    max_prompt_tokens: int
    max_new_tokens: int
    templated: bool = False

    def __post_init__(self) -> None:
        if self.tokenizer.eos_token_id is None:
            raise ValueError("model: its tokenizer has no eos_token; a response could never end")

    @property
    def end(self) -> int:
        return int(self.tokenizer.eos_token_id)

    def encode_prompt(self, prompt: TextPrompt) -> list[int]:
        ids = self._prompt(prompt)
        if len(ids) <= self.max_prompt_tokens:
            return ids
        first = ids[:1] if ids[0] == self.tokenizer.bos_token_id else []
        return first + ids[len(ids) - self.max_prompt_tokens + len(first) :]

    def encode_response(self, response: str) -> list[int]:
        return self._response(response)[: self.max_new_tokens]

    def decode_response(self, ids: list[int]) -> str:
        kept = ids[: ids.index(self.end)] if self.end in ids else ids
        return str(self.tokenizer.decode(kept, skip_special_tokens=True))

    def full_lengths(self, prompt: TextPrompt, response: str) -> tuple[int, int]:
        return len(self._prompt(prompt)), len(self._response(response))

    def _prompt(self, prompt: TextPrompt) -> list[int]:
        ids = self.tokenizer(prompt.text, add_special_tokens=not self.templated).input_ids
        if ids and ids[-1] == self.end and not self.templated:
            ids = ids[:-1]  # some tokenizers end every text; here the response is still to come
        first = self.tokenizer.bos_token_id
        return list(ids) or [self.end if first is None else first]  # something has to predict

    def _response(self, response: str) -> list[int]:
        ids = list(self.tokenizer(response, add_special_tokens=False).input_ids)
        return ids[: ids.index(self.end) + 1] if self.end in ids else [*ids, self.end]


def templated(records: list[Record], tokenizer: Any) -> list[Record]:
    """Conversations as the tokenizer's chat template writes them; records of strings as they are.

    A response is what the template adds to the prompt when it is said.

    Raises: ValueError where the template writes a prompt otherwise once it is answered.
    """
    return [in_template(record, tokenizer) for record in records]


def in_template(record: Record, tokenizer: Any) -> Record:
    """One record, its texts as strings."""
    prompt = record.prompt
    if isinstance(prompt, str):
        return record
    asked = written(prompt, tokenizer, to_answer=True)

    def answer(said: Any) -> str:
        whole = written((*prompt, *said), tokenizer, to_answer=False)
        if not whole.startswith(asked):
            raise ValueError(
                "model: its chat template changes a prompt once it is answered, so that the "
                "response cannot be told from it; give the texts as strings"
            )
        return whole[len(asked) :]

    match record:
        case Pair():
            chosen, rejected = answer(record.chosen), answer(record.rejected)
            return replace(record, prompt=asked, chosen=chosen, rejected=rejected)
        case Point():
            return replace(record, prompt=asked, completion=answer(record.completion))
        case Ranking():
            completions = tuple(answer(said) for said in record.completions)
            return replace(record, prompt=asked, completions=completions)


def written(messages: tuple[Message, ...], tokenizer: Any, *, to_answer: bool) -> str:
    """Messages in the tokenizer's template, with the opening of an answer where it is due.

    Raises: ValueError for messages that the template refuses, such as an unknown role.
    """
    from jinja2 import TemplateError

    try:
        return str(
            tokenizer.apply_chat_template(
                [message._asdict() for message in messages],
                tokenize=False,
                add_generation_prompt=to_answer,
            )
        )
    except TemplateError as error:
        raise ValueError(f"model: its chat template refuses a conversation: {error}") from None
