"""Rows whose data comes from the policy as it is now: its samples, its searches, its judgements."""
