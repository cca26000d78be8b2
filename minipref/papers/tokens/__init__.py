"""Rows on methods that weigh single tokens."""
