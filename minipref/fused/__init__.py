"""The Python face of `kernels/`: what their sources are, and who runs them.

sources    the text of a kernel with the primitives of a GPU or of a CPU before it
emulate    compile that text with a C++ compiler and run it on CPU tensors
compiling  compile it for a GPU, with nvcc or NVRTC, and read what each kernel costs

token_logps, linear_logps    log-probs of tokens from logits, or from hidden states and a matrix
linear_loss                  a loss of log-probs, from hidden states and a matrix: cheaper to train
from_logits                  dpo, ipo, simpo, kto and grpo from logits, in two launches
in_torch                     the rows' arithmetic in plain torch, for every device
in_kernels                   the same by the kernels, whoever launches them
with_cupy                    a launch on a GPU
backends                     which of them computes where a tensor lies; `emulated()`
"""

from .backends import emulated
from .from_logits import dpo, grpo, ipo, kto, simpo
from .linear_logps import linear_logps
from .linear_loss import linear_loss
from .token_logps import token_logps

__all__ = [
    "dpo",
    "emulated",
    "grpo",
    "ipo",
    "kto",
    "linear_logps",
    "linear_loss",
    "simpo",
    "token_logps",
]
