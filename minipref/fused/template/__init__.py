"""Modules to print: each runs as it stands here, and anywhere once its CUDA text is written out."""
