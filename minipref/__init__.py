"""minipref: learn preference learning for language models by running it."""

__version__ = "0.1.0"
