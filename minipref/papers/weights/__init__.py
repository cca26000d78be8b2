"""Weights: policies that arithmetic makes of policies."""
