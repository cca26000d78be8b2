"""The row that `minipref papers new KEY` prints: complete, and small enough to read at once."""
