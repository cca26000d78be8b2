"""Vocabularies: text to token ids and back, over words or over UTF-8 bytes.

Every vocabulary begins with the same four specials, so that models, masks and generation need not
know which vocabulary they serve. A text never contains a special: `encode` refuses the words
``<pad>`` .. ``<eos>``, and `decode` drops them (and stops at the first ``<eos>``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Protocol

from .rows import PAD

BOS = 1  # a sequence begins
SEP = 2  # the prompt ends, the response begins
EOS = 3  # the response ends

SPECIALS = ("<pad>", "<bos>", "<sep>", "<eos>")  # by id: PAD, BOS, SEP, EOS

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "SEP",
    "SPECIALS",
    "ByteVocabulary",
    "Vocabulary",
    "WordVocabulary",
    "prompt_ids",
    "response_ids",
]


class Vocabulary(Protocol):
    """What both vocabularies offer."""

    def __len__(self) -> int: ...
    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...


def prompt_ids(vocabulary: Vocabulary, text: str) -> list[int]:
    """A prompt, ready for a response to follow: <bos> text <sep>."""
    return [BOS, *vocabulary.encode(text), SEP]


def response_ids(vocabulary: Vocabulary, text: str) -> list[int]:
    """A finished response: text <eos>."""
    return [*vocabulary.encode(text), EOS]


class WordVocabulary:
    """One id a word. Texts are words between single spaces.

    Raises ValueError for a word that is empty, contains white space, is a special, or comes twice.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = (*SPECIALS, *words)
        self._ids = {word: index for index, word in enumerate(self.words)}
        for word in self.words:
            if word.split() != [word]:
                raise ValueError(f"words: {word!r} is empty or contains white space")
        if len(self._ids) < len(self.words):
            twice = sorted({word for word in self.words if self.words.count(word) > 1})
            raise ValueError(f"words: {twice} come more than once (specials count)")
        for special in SPECIALS:
            del self._ids[special]

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """The ids of the text's words, without specials."""
        try:
            return [self._ids[word] for word in text.split()]
        except KeyError as error:
            word = error.args[0]
            raise ValueError(self._unknown(word)) from None

    def decode(self, ids: Sequence[int]) -> str:
        """The text up to the first <eos>; <pad>, <bos> and <sep> are dropped."""
        return " ".join(self.words[token] for token in _text_ids(ids, len(self)))

    def _unknown(self, word: str) -> str:
        if word in SPECIALS:
            return f"text: {word} is a special token and cannot stand in a text"
        nearest = difflib.get_close_matches(word, self._ids, n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        return f"text: {word!r} is not among the {len(self._ids)} words of the vocabulary{hint}"


class ByteVocabulary:
    """One id a UTF-8 byte: no text is unknown, and sequences are long."""

    words = (*SPECIALS, *(f"<0x{byte:02x}>" for byte in range(256)))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """The ids of the text's bytes, without specials."""
        return [byte + len(SPECIALS) for byte in text.encode()]

    def decode(self, ids: Sequence[int]) -> str:
        """The text up to the first <eos>; bytes that are no UTF-8 become the sign U+FFFD."""
        text = bytes(token - len(SPECIALS) for token in _text_ids(ids, len(self)))
        return text.decode(errors="replace")


def _text_ids(ids: Sequence[int], size: int) -> list[int]:
    """The ids before the first <eos> that are no specials."""
    kept = []
    for token in ids:
        if not 0 <= token < size:
            raise ValueError(f"ids: {token} is outside the vocabulary of {size}")
        if token == EOS:
            break
        if token >= len(SPECIALS):
            kept.append(token)
    return kept
