"""The kernels on CPU tensors through the emulator, and the same in float64 by torch."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from minipref.fused.emulate import Traffic, load
from minipref.fused.sources import ELEMENTS, constant, kernel

DTYPES = list(ELEMENTS)
ROUNDING = {torch.float32: 2**-24, torch.bfloat16: 2**-8, torch.float16: 2**-11}
LADDER = {  # a rung's file and its kernel: log-probs and entropies
    "ladder/k1_thread_per_row.cu": "thread_per_row",
    "ladder/k2_block_per_row.cu": "block_per_row",
    "ladder/k3_online.cu": "online",
    "ladder/k4_wide_loads.cu": "wide_loads",
    "ladder/k5_never_idle.cu": "never_idle",
}
BACKWARD_RUNG = "ladder/b1_backward.cu"
UPPER_LADDER = {  # log-probs, and the logits become their gradient
    "ladder/k6_one_kernel.cu": "one_kernel",
    "ladder/k7_row_in_registers.cu": "row_in_registers",
    "ladder/k8_row_in_shared.cu": "row_in_shared",
}
FILE = "token_logps.cu"
THREADS, BACKWARD_THREADS = (constant(FILE, each) for each in ("THREADS", "BACKWARD_THREADS"))


@dataclass
class Forward:
    logps: Tensor
    tops: Tensor
    log2_sums: Tensor
    entropies: Tensor
    traffic: Traffic


def unwritten(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.full(shape, torch.nan, dtype=dtype)


def inverse(temperature: float) -> np.float32:
    return np.float32(1 / temperature)


def climb(
    rung: str, logits: Tensor, targets: Tensor, temperature: float = 1.0, blocks: int = 1, **options
):
    """Log-probs, entropies and traffic of a rung; `blocks` of rung 5 share all rows."""
    rows, vocabulary = logits.shape
    logps, entropies = unwritten(rows), unwritten(rows)
    threads = constant(rung, "THREADS")
    grids = {
        "ladder/k1_thread_per_row.cu": -(-rows // threads),
        "ladder/k5_never_idle.cu": blocks,
    }
    traffic = load(rung).launch(
        kernel(LADDER[rung], logits.dtype),
        (grids.get(rung, rows),),
        (threads,),
        [
            *(logits, targets, logps, entropies),
            *(np.int64(rows), np.int64(logits.stride(0)), np.int32(vocabulary)),
            inverse(temperature),
        ],
        **options,
    )
    return logps, entropies, traffic


def climb_on(
    rung: str,
    logits: Tensor,
    targets: Tensor,
    temperature: float = 1.0,
    walkers: int = 1,
    **options,
):
    """Log-probs and traffic of an upper rung, which writes the gradient over the logits.

    Blocks of rung 6 and clusters of rung 8, `walkers` of them, share all rows.
    """
    rows, vocabulary = logits.shape
    logps = unwritten(rows)
    numbers = [np.int64(rows), np.int64(logits.stride(0)), np.int32(vocabulary)]
    if rung == "ladder/k6_one_kernel.cu":
        grid = walkers
    else:
        cluster = constant(rung, "CLUSTER")
        grid = cluster * walkers
        options["cluster"] = cluster
    if rung == "ladder/k7_row_in_registers.cu":
        grid = cluster * rows
        numbers = numbers[1:]
    if rung == "ladder/k8_row_in_shared.cu":
        slice_bytes = 16 * -(-(vocabulary * logits.element_size() // 16) // cluster)
        options["dynamic_shared"] = constant(rung, "SLICES") * slice_bytes
    traffic = load(rung).launch(
        kernel(UPPER_LADDER[rung], logits.dtype),
        (grid,),
        (constant(rung, "THREADS"),),
        [logits, targets, logps, *numbers, inverse(temperature)],
        **options,
    )
    return logps, traffic


def forward(
    logits: Tensor, targets: Tensor, temperature: float = 1.0, entropy: bool = True, **options
) -> Forward:
    rows, vocabulary = logits.shape
    logps, tops, log2_sums, entropies = (unwritten(rows) for _ in range(4))
    traffic = load(FILE).launch(
        kernel("token_logps_forward", logits.dtype, entropy),
        (rows,),
        (THREADS,),
        [
            *(logits, targets, logps, tops, log2_sums, entropies if entropy else None),
            *(np.int64(logits.stride(0)), np.int32(vocabulary), inverse(temperature)),
        ],
        **options,
    )
    return Forward(logps, tops, log2_sums, entropies, traffic)


def backward(
    logits: Tensor,
    gradient: Tensor,
    targets: Tensor,
    seen: Forward,
    coefficients: Tensor,
    entropy_coefficients: Tensor | None = None,
    temperature: float = 1.0,
    blocks: int = 1,
    **options,
) -> Traffic:
    """Write the gradient; `blocks` share a row."""
    rows, vocabulary = logits.shape
    entropy = entropy_coefficients is not None
    strides = [each.stride(0) for each in (logits, gradient, coefficients)]
    strides.append(entropy_coefficients.stride(0) if entropy_coefficients is not None else 0)
    return load(FILE).launch(
        kernel("token_logps_backward", logits.dtype, entropy),
        (rows, blocks),
        (BACKWARD_THREADS,),
        [
            *(logits, gradient, targets, seen.tops, seen.log2_sums),
            *(seen.entropies if entropy else None, coefficients, entropy_coefficients),
            *(*map(np.int64, strides), np.int32(vocabulary), inverse(temperature)),
        ],
        **options,
    )


def exact(logits: Tensor, targets: Tensor, temperature: float = 1.0):
    """Log-probs of all columns, of the targets, and entropies: float64, 0 where masked."""
    masked = (targets == -100)[:, None]
    scaled = logits.double().where(~masked, 0.0) * float(inverse(temperature))
    logps = scaled.log_softmax(-1)
    chosen = logps.gather(1, targets.clamp(min=0)[:, None])
    entropies = -torch.special.xlogy(logps.exp(), logps.exp()).sum(1)
    return logps, chosen.where(~masked, 0.0)[:, 0], entropies.where(~masked[:, 0], 0.0)


def exact_gradient(logits, targets, coefficients, entropy_coefficients=None, temperature=1.0):
    """The gradient by its formula in float64, zeros where masked."""
    logps, _, entropies = exact(logits, targets, temperature)
    p = logps.exp()
    onehot = torch.nn.functional.one_hot(targets.clamp(min=0), logits.shape[1])
    gradient = coefficients.double()[:, None] * (onehot - p)
    if entropy_coefficients is not None:
        surprise = torch.special.xlogy(p, p) + p * entropies[:, None]
        gradient = gradient - entropy_coefficients.double()[:, None] * surprise
    gradient = gradient * float(inverse(temperature))
    return gradient.where((targets != -100)[:, None], 0.0)


@st.composite
def problems(draw, most_rows: int = 3, most_columns: int = 1500):
    """Logits (rows, vocabulary) of any dtype and stride, targets (some masked), a temperature."""
    rows = draw(st.integers(1, most_rows))
    vocabulary = draw(st.one_of(st.integers(1, 40), st.integers(1, most_columns)))
    dtype = draw(st.sampled_from(DTYPES))
    spread = draw(st.sampled_from([0.01, 1.0, 5.0, 30.0]))
    shift = draw(st.sampled_from([0.0, -200.0, 100.0]))
    start, gap = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    numbers = generator.normal(size=start + rows * (vocabulary + gap)) * spread + shift
    buffer = torch.tensor(numbers).to(dtype)
    logits = buffer[start:].view(rows, vocabulary + gap)[:, :vocabulary]
    targets = [
        draw(st.sampled_from([-100, 0, vocabulary - 1, vocabulary // 2])) for _ in range(rows)
    ]
    temperature = draw(st.sampled_from([1.0, 0.7, 1.3]))
    return logits, torch.tensor(targets), temperature
