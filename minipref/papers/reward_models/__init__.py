"""Rows on reward models: what they learn from, how sure they are, and whom they listen to."""
