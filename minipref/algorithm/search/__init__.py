"""Search: look ahead before answering, and learn from what was seen."""
