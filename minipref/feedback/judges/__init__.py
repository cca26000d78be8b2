"""Judges: language models that are asked which of two answers is better."""

from .pairwise import Judge

__all__ = ["Judge"]
