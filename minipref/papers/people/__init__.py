"""Rows on people who want different things, and on what a model can learn about each."""
