"""What a toy world is: prompts, responses, and a reward that is known exactly."""

from __future__ import annotations

import random
from typing import Any, Protocol


class Prompt(Protocol):
    """A question. A world's own prompts also carry what its scorers need to know."""

    @property
    def text(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def hardness(self) -> float: ...


class World(Protocol):
    """Prompts, responses and their exact reward. Responses are plain text: words and spaces."""

    @property
    def name(self) -> str: ...
    @property
    def vocabulary_size(self) -> int: ...
    @property
    def max_new_tokens(self) -> int:
        """A response, <eos> included, is never longer."""

    def prompts(self, count: int, dice: random.Random) -> list[Any]:
        """Draw `count` prompts."""

    def encode_prompt(self, prompt: Any) -> list[int]:
        """Prompt to ids, ready for a response to follow."""

    def encode_response(self, response: str) -> list[int]:
        """Response to ids, closing <eos> included."""

    def decode_response(self, ids: list[int]) -> str:
        """Ids up to the first <eos> back to text."""

    def scores(self, prompt: Any, response: str) -> dict[str, float]:
        """Every scorer's value, each in [0, 1]."""

    def reward(self, prompt: Any, response: str) -> float:
        """The true reward: what the simulated annotators care about."""
