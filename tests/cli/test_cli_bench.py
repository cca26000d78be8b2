"""`minipref bench --gpu`, with a CPU in the place of the card."""

import json
from dataclasses import replace

import pytest
import torch

from minipref.evaluation.speed import benchmark
from minipref.evaluation.speed.cases import Shape
from minipref.evaluation.speed.clock import CpuClock
from minipref.evaluation.speed.peers import OURS, contenders

PNG = b"\x89PNG\r\n"


@pytest.fixture
def card(monkeypatch):
    """Measure at tiny shapes on a CPU, ours and torch; the case "nll" breaks if asked to."""
    breaks = []

    def loaders(case):
        if case.name in breaks:
            raise OSError("the card fell out")
        return {who: contenders(case)[who] for who in (OURS, "torch")}

    def on_card(cases):
        shape = Shape(pairs=1, tokens=2, vocabulary=20)
        tiny = [replace(case, shape=replace(shape, width=4 * case.linear)) for case in cases]
        cpu = torch.device("cpu")
        return benchmark.benchmark(
            tiny, CpuClock(), cpu, size=4096, side=8, rounds=2, loaders=loaders
        )

    monkeypatch.setattr(benchmark, "on_card", on_card)
    return breaks


def test_one_benchmark_prints_a_table_and_leaves_two_files(run, card, tmp_path):
    out = tmp_path / "new"
    code, text, err = run("bench", "--gpu", "logps", "--out", str(out))
    assert code == 0
    assert err == "measured 1 of 1\n"
    assert text.split()[-2:] == [str(out / "bench-gpu.json"), str(out / "bench-gpu.png")]
    assert sorted(path.name for path in out.iterdir()) == ["bench-gpu.json", "bench-gpu.png"]
    assert (out / "bench-gpu.png").read_bytes().startswith(PNG)
    report = json.loads((out / "bench-gpu.json").read_text(encoding="utf-8"))
    (case,) = report["cases"]
    assert case["name"] == "logps"
    for cell in case["cells"]:
        assert f"{cell['ms']['median']:.3f}" in text
    assert report["machine"]["torch"] == torch.__version__


def test_what_was_measured_before_a_break_is_kept(run, card, tmp_path):
    card.append("nll")
    code, text, err = run("bench", "--gpu", "--quick", "--out", str(tmp_path))
    assert (code, text) == (2, "")
    assert err.endswith("minipref: the card fell out\n")
    assert [path.name for path in tmp_path.iterdir()] == ["bench-gpu.json"]
    report = json.loads((tmp_path / "bench-gpu.json").read_text(encoding="utf-8"))
    assert [case["name"] for case in report["cases"]] == ["logps", "entropy", "backward"]


def test_without_a_card_there_is_one_line_and_nothing_else(run, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, text, err = run("bench", "--gpu", "--out", str(tmp_path))
    assert (code, text) == (2, "")
    assert err.count("\n") == 1
    assert "NVIDIA" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--gpu", "dop"], "did you mean dpo"),
        (["--gpu", "--cpu"], "`minipref bench --cpu` or `minipref bench --gpu`"),
        (["--cpu", "--quick"], "only --gpu"),
    ],
)
def test_mistakes(run, arguments, says):
    code, text, err = run("bench", *arguments)
    assert (code, text) == (2, "")
    assert says in err


def test_help_names_every_benchmark(run):
    code, text, _ = run("bench", "--help")
    assert code == 0
    for name in ("logps", "entropy", "backward", "nll", "dpo-half", "linear-nll", "linear-dpo"):
        assert name in text
