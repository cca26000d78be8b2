"""A kernel as a Python file that runs by itself: its CUDA text, launcher, autograd and test.

The file is a module of `template/`; only the CUDA text, which that imports, is written out.
"""

from __future__ import annotations

from pathlib import Path

from minipref import __version__

from .sources import gpu_text

PRINTED = ("token_logps",)
LICENCE = f"# From minipref {__version__}, copyright (c) 2026 the minipref authors, MIT licence.\n"
IMPORT = "from minipref.fused.sources import gpu_text\n\n"


def printed(name: str) -> str:
    """The text of a Python file that computes `name` on an NVIDIA GPU, with torch and CuPy alone.

    Raises: ValueError for a name that is not one of `PRINTED`.
    """
    if name not in PRINTED:
        raise ValueError(f"name: expected one of {', '.join(PRINTED)}, got {name!r}")
    text = (Path(__file__).parent / "template" / f"{name}.py").read_text(encoding="utf-8")
    call, cuda = f'gpu_text("{name}.cu")', gpu_text(f"{name}.cu")
    return LICENCE + text.replace(IMPORT, "").replace(call, f'r"""{cuda}"""')
