"""The `chat` world, which carries most experiments."""

from .prompts import KINDS, ChatPrompt
from .scorers import WEIGHTS
from .world import Chat

__all__ = ["KINDS", "WEIGHTS", "Chat", "ChatPrompt"]
