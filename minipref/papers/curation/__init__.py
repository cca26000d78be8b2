"""Rows on which data to learn from, and in which order."""
