"""Choosing what to learn from: filters and orders of a data set."""
