"""Fused log-probs and losses against `log_softmax` and `gather`: time and peak memory.

    python tests/benchmarks/bench_fused.py [--threads 2] [--repeats 3]

Forward and backward, float32; the loss is DPO, of pairs with 128 tokens a response. Times are
medians of interleaved repeats in one process; peaks are the most that a process of its own held
beyond its inputs.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from minipref.data.streams import stream
from minipref.fused import linear_logps, linear_loss, token_logps
from minipref.losses import dpo

Work = Callable[[], None]
TOKENS = 128  # a response


def gathered(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, targets[:, None])[:, 0]


def through_logits(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return gathered(hidden @ weight.T, targets)


def in_place(logits: Tensor, targets: Tensor) -> Tensor:
    return token_logps(logits.view_as(logits), targets, inplace_backward=True)


def drawn(rows: int, width: int, vocabulary: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """What is trained (logits where there is no width), targets, and a number a row."""
    rng = stream(0, "bench_fused")
    targets = torch.randint(vocabulary, (rows,), generator=rng)
    numbers = torch.randn(rows, generator=rng)
    shapes = [(rows, width), (vocabulary, width)] if width else [(rows, vocabulary)]
    spread = 2 * width**-0.5 if width else 2
    inputs = [torch.randn(shape, generator=rng).mul_(spread).requires_grad_() for shape in shapes]
    return inputs, targets, numbers


def steps(
    inputs: list[Tensor], values: Mapping[str, Callable[[], Tensor]], up: Tensor | None
) -> dict[str, Work]:
    """Forward and backward of each value; `up` is what comes from above."""

    def step(value: Callable[[], Tensor]) -> None:
        value().backward(up)
        for tensor in inputs:
            tensor.grad = None

    return {name: functools.partial(step, value) for name, value in values.items()}


def of_logps(rows: int, width: int, vocabulary: int) -> dict[str, Work]:
    """Token log-probs by each: theirs first."""
    inputs, targets, up = drawn(rows, width, vocabulary)
    peers: dict[str, Callable[..., Tensor]]
    if width:
        peers = {"log_softmax": through_logits, "fused": linear_logps}
    else:
        peers = {"log_softmax": gathered, "fused": token_logps, "fused, in place": in_place}
    values = {name: functools.partial(peer, *inputs, targets) for name, peer in peers.items()}
    return steps(inputs, values, up)


def of_dpo(rows: int, width: int, vocabulary: int) -> dict[str, Work]:
    """The mean DPO loss from hidden states by each: theirs first."""
    (hidden, weight), targets, references = drawn(rows, width, vocabulary)
    pairs = (-1, 2, TOKENS)
    references = references.view(pairs).sum(-1) - 2 * TOKENS  # (pairs, 2)

    def loss(logps: Tensor, items: slice) -> Tensor:
        return dpo(*logps.sum(-1).unbind(1), *references[items].unbind(1))

    def theirs() -> Tensor:
        return loss(through_logits(hidden, weight, targets).view(pairs), slice(None)).mean()

    def ours() -> Tensor:
        states = hidden.view(*pairs, width)
        return linear_loss(states, weight, targets.view(pairs), loss)[0] / len(references)

    return steps([hidden, weight], {"log_softmax": theirs, "fused": ours}, None)


CASES = {
    "token_logps, 2048 x 32000": (of_logps, (2048, 0, 32000)),
    "linear_logps, 4096 x 1024, 65536 words": (of_logps, (4096, 1024, 65536)),
    "linear_loss, 4096 x 1024, 65536 words": (of_dpo, (4096, 1024, 65536)),
}


def memory(line: str) -> int:
    """A line of this process's status in Linux, such as VmHWM (the peak), in bytes."""
    status = dict(each.split(":", 1) for each in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(status[line].split()[0])


def peak(case: str, name: str, threads: int) -> int:
    """Bytes beyond the inputs at the worst moment; for a process that does nothing else."""
    torch.set_num_threads(threads)
    peers, sizes = CASES[case]
    work = peers(*sizes)[name]
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
    for case, (peers, sizes) in CASES.items():
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
