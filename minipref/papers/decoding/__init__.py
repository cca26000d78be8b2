"""Alignment without training: what can be done while decoding, or by asking again."""
