"""Killed by the operating system at any moment, a run that is resumed ends in the same bits."""

import multiprocessing
import time

import pytest

from minipref.algorithm.own_data.plan import HISTORY, REPORT, SUPERVISED_HISTORY, TINY, Plan
from minipref.data.jsonl import write
from minipref.data.records import Pair
from minipref.data.streams import dice
from minipref.evaluation.own_data.experiment import experiment

KILLS = 20
PLAN = Plan(
    "", "", "dpo", supervised_steps=15, steps=15, batch_size=4, max_length=24, held_out=0.2, seed=3
)  # fmt: skip


class Runs:
    """Runs in processes of their own, forked from one that has torch loaded already."""

    def __init__(self, data):
        self.data = data
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["minipref.evaluation.own_data.experiment"])

    def run(self, out, seconds=None):
        """Begin or resume the run in `out`, kill it after so many seconds; its exit code."""
        process = self.context.Process(
            target=experiment, args=(PLAN, self.data, out), kwargs={"resume": True, "every": 3}
        )
        process.start()
        process.join(seconds)
        process.kill()  # SIGKILL; too late where it has ended
        process.join()
        return process.exitcode


def outputs(out):
    names = (TINY, HISTORY, SUPERVISED_HISTORY, REPORT)
    return {name: (out / name).read_bytes() for name in names}


@pytest.mark.slow
def test_twenty_kills_end_in_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write(tmp_path / "pairs.jsonl", [Pair(f"say {i}", f"yes {i}", f"no {i}") for i in range(24)])
    runs = Runs(tmp_path / "pairs.jsonl")
    assert runs.run(tmp_path / "warm") == 0  # the mother of the processes has started now
    start = time.perf_counter()
    assert runs.run(tmp_path / "whole") == 0
    duration = time.perf_counter() - start
    whole, draw = outputs(tmp_path / "whole"), dice(0, "kills")
    assert outputs(tmp_path / "warm") == whole
    killed = 0
    for point in range(KILLS):
        out = tmp_path / str(point)
        killed += runs.run(out, draw.uniform(0, duration)) == -9
        assert runs.run(out) == 0
        assert outputs(out) == whole, f"kill {point}"
        assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    assert killed >= KILLS / 4  # a busy machine may end a run before its kill comes
