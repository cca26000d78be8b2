"""What every process of a grading run needs, read once by the server that they are forked from.

These are what the first cells of notebooks import. No notebook is read here: a student's process
is a copy of the server and must not find a solution in its own memory.
"""

import importlib

import torch
from matplotlib import font_manager

MODULES = (
    *("hypothesis.strategies", "sympy", "nbformat", "matplotlib.pyplot", "minipref.losses"),
    *("minipref.data.bandit", "minipref.data.chat", "minipref.course.checks"),
    *("minipref.course.logps_checks", "minipref.course.predict", "minipref.course.properties"),
    *("minipref.course.style", "minipref.course.grading.judge", "minipref.course.grading.worker"),
)
for name in MODULES:
    importlib.import_module(name)

torch.set_num_threads(1)
font_manager.fontManager.findfont("DejaVu Sans")  # needs a cache folder, which nobody has later
