"""What a policy is: ids in, logits of the next token out, in two halves."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Policy(nn.Module):
    """A language model as the rest of minipref sees it.

    Ids are (batch, length) int64; attention_mask is (batch, length) bool, False on padding, which
    may stand on either side. With a cache, ids are the tokens after those the cache has seen.
    """

    def hidden(
        self,
        ids: Tensor,
        attention_mask: Tensor | None = None,
        cache: Any = None,
        keep: Tensor | None = None,
    ) -> Tensor:
        """What the model makes of every token: (batch, length, width).

        Where only some positions are wanted, `keep` (batch, length) bool names them, and the
        result is (kept, width): the last layer need not finish the others.
        """
        raise NotImplementedError

    def unembed(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., width) to logits (..., vocabulary)."""
        raise NotImplementedError

    def unembedding(self) -> Tensor | None:
        """The matrix (vocabulary, width) where `unembed` is a product with it and nothing else.

        Then log-probs are made from hidden states without all the logits at once.
        """
        return None

    def new_cache(self, rows: int, length: int | None = None) -> Any:
        """An empty cache for `rows` rows of at most `length` tokens, with `select(rows)`.

        None where the policy keeps no cache: then it is given all tokens every time.
        """
        return None

    def forward(
        self, ids: Tensor, attention_mask: Tensor | None = None, cache: Any = None
    ) -> Tensor:
        """Logits (batch, length, vocabulary) of each next token."""
        return self.unembed(self.hidden(ids, attention_mask, cache))
