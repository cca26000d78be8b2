"""Rows on more than one language: what a preference learnt in one is worth in another."""
