"""What `minipref data inspect` takes for a large file: peak memory, and pairs a second.

    python tests/benchmarks/bench_inspect.py [--megabytes 1000] [--parquet]

A file of that size is made of random words in a temporary folder: answers of 5 to 300 words, some
pairs again, some with the sides swapped. The command runs on it in a process of its own, with the
picture and the JSON, and that process's peak memory has to stay under the bar.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minipref.data.jsonl import write
from minipref.data.records import Pair, Record

BAR = 200  # MB of peak memory
WORDS = 20_000
MEGABYTE = 1_000_000


def pairs(megabytes: float, seed: int = 0) -> Iterator[Pair]:
    """Pairs of about so many megabytes; one in 50 comes again, one in 200 the other way round."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(WORDS)])
    written = 0.0
    while written < megabytes * MEGABYTE:
        prompt, chosen, rejected = (
            " ".join(rng.choice(words, rng.integers(5, 300))) for _ in "pcr"
        )
        luck = rng.random()
        yield Pair(prompt, chosen, rejected)
        written += len(prompt) + len(chosen) + len(rejected) + 50
        if luck < 0.02:
            yield Pair(prompt, chosen, rejected)
        elif luck < 0.025:
            yield Pair(prompt, rejected, chosen)


def write_parquet(path: Path, records: Iterator[Record]) -> int:
    """The same as a Parquet file, with row groups of 10 000."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in ("prompt", "chosen", "rejected")])
    rows: list[dict[str, str]] = []
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for record in records:
            count += 1
            rows.append({name: getattr(record, name) for name in schema.names})
            if len(rows) == 10_000:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema))
    return count


def generate(path: Path, megabytes: float, count: Any) -> None:
    """Write the file and say in `count` how many pairs it has."""
    records = pairs(megabytes)
    count.value = (write_parquet if path.suffix == ".parquet" else write)(path, records)


def measured(path: Path) -> tuple[float, float]:
    """Processor seconds and peak MB of the command, in a process of its own."""
    out = [*("--json", str(path) + ".json"), *("--figure", str(path) + ".png")]
    command = ["-m", "minipref", "data", "inspect", str(path), "--max-length", "2048", *out]
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the command failed with status {status}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of `ru_maxrss`
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / MEGABYTE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--parquet", action="store_true", help="write Parquet instead of JSONL")
    options = parser.parse_args()
    # Linux counts a parent's memory as its child's peak, so this process has to stay small.
    context = multiprocessing.get_context("spawn")
    count = context.Value("q")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("pairs.parquet" if options.parquet else "pairs.jsonl")
        writer = context.Process(target=generate, args=(path, options.megabytes, count))
        writer.start()
        writer.join()
        size = path.stat().st_size / MEGABYTE
        seconds, peak = measured(path)
    rate = count.value / seconds
    print(f"{count.value} pairs, {size:.0f} MB: {seconds:.1f} core-seconds, {rate:.0f} pairs each")
    print(f"peak memory {peak:.0f} MB of {BAR} allowed")
    return int(peak > BAR)


if __name__ == "__main__":
    raise SystemExit(main())
