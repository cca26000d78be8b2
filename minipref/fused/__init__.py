"""The Python face of `kernels/`: what their sources are, and who runs them.

sources    the text of a kernel with the primitives of a GPU or of a CPU before it
emulate    compile that text with a C++ compiler and run it on CPU tensors
compiling  compile it for a GPU, with nvcc or NVRTC, and read what each kernel costs

token_logps, linear_logps    log-probs of tokens from logits, or from hidden states and a matrix
in_torch                     the same rows' arithmetic in plain torch, for every device
"""

from .linear_logps import linear_logps
from .token_logps import token_logps

__all__ = ["linear_logps", "token_logps"]
