"""Fused log-probs against `log_softmax` and `gather` under autograd: time and peak memory.

    python tests/benchmarks/bench_fused.py [--threads 2] [--repeats 3]

Forward and backward, float32. Times are medians of interleaved repeats in one process; peaks are
the most that a process of its own held beyond its inputs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from minipref.data.streams import stream
from minipref.fused import linear_logps, token_logps

Work = Callable[[], None]
CASES = {
    "token_logps, 2048 x 32000": (2048, 0, 32000),
    "linear_logps, 4096 x 1024, 65536 words": (4096, 1024, 65536),
}


def gathered(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, targets[:, None])[:, 0]


def peers(rows: int, width: int, vocabulary: int) -> dict[str, Work]:
    """Forward and backward, ours and theirs: from logits where there is no width."""
    rng = stream(0, "bench_fused")
    targets = torch.randint(vocabulary, (rows,), generator=rng)
    up = torch.randn(rows, generator=rng)  # d loss / d logp
    shapes = [(rows, width), (vocabulary, width)] if width else [(rows, vocabulary)]
    inputs = [
        torch.randn(shape, generator=rng).mul_(2 * width**-0.5 if width else 2).requires_grad_()
        for shape in shapes
    ]

    def step(logps: Callable[..., Tensor]) -> None:
        logps(*inputs, targets).backward(up)
        for tensor in inputs:
            tensor.grad = None

    def through_logits(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        return gathered(hidden @ weight.T, targets)

    def in_place(logits: Tensor, targets: Tensor) -> Tensor:
        return token_logps(logits.view(-1, vocabulary), targets, inplace_backward=True)

    if width:
        return {"log_softmax": lambda: step(through_logits), "fused": lambda: step(linear_logps)}
    return {
        "log_softmax": lambda: step(gathered),
        "fused": lambda: step(token_logps),
        "fused, in place": lambda: step(in_place),
    }


def memory(line: str) -> int:
    """A line of this process's status in Linux, such as VmHWM (the peak), in bytes."""
    status = dict(each.split(":", 1) for each in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(status[line].split()[0])


def peak(case: str, name: str, threads: int) -> int:
    """Bytes beyond the inputs at the worst moment; for a process that does nothing else."""
    torch.set_num_threads(threads)
    work = peers(*CASES[case])[name]
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = memory("VmRSS")
    work()
    return memory("VmHWM") - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    spawn = multiprocessing.get_context("spawn")
    for case, sizes in CASES.items():
        works = peers(*sizes)
        peaks = {}
        for name in works:
            with spawn.Pool(1) as pool:
                peaks[name] = pool.apply(peak, (case, name, options.threads))
        times: dict[str, list[float]] = {name: [] for name in works}
        for repeat in range(options.repeats + 1):
            for name, work in works.items():
                start = time.perf_counter()
                work()
                if repeat:  # the first warms up
                    times[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(seconds) for name, seconds in times.items()}
        base = next(iter(works))
        for name in works:
            speed, held = medians[base] / medians[name], peaks[name] / peaks[base]
            print(
                f"{case:40s} {name:16s} {1e3 * medians[name]:8.0f} ms {peaks[name] / 1e6:6.0f} MB  "
                f"speed {speed:.2f}  memory {held:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
