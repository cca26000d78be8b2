"""The unified view: surveys as rows."""
