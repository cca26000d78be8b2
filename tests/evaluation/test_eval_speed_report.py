"""The benchmark at tiny shapes on a CPU: peers that fail or differ, bars, tables, a picture."""

import io
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from rich.console import Console
from speed_stand_ins import install

from minipref.course import style
from minipref.course.pictures.roofline import roofline
from minipref.evaluation.speed import benchmark, ceilings, machine, ours, peers, tables
from minipref.evaluation.speed.cases import PRODUCTS, Bar, Shape, cases
from minipref.evaluation.speed.clock import CpuClock, Timing
from minipref.evaluation.speed.measure import Cell, Result
from minipref.evaluation.speed.report import Report
from minipref.evaluation.speed.stages import starting

TINY = Shape(pairs=2, tokens=4, vocabulary=60)
ALL = {
    case.name: replace(case, shape=replace(TINY, kept=case.shape.kept, width=8 * case.linear))
    for case in cases()
}


def run(chosen, loaders, rounds=2):
    reports = benchmark.benchmark(
        chosen, CpuClock(), torch.device("cpu"), size=4096, side=8, rounds=rounds, loaders=loaders
    )
    for report in reports:
        assert report.results[-1].case == chosen[len(report.results) - 1]
    return report


@pytest.fixture
def everybody(monkeypatch):
    install(monkeypatch)
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    caches = peers.compiled, peers.compiled_entropy
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()  # what it holds is not compiled


def test_everybody_is_called_as_they_want_and_is_right(everybody):
    report = run(list(ALL.values()), peers.contenders)
    who = {result.case.name: [cell.who for cell in result.cells] for result in report.results}
    assert set(who) == set(ALL)
    for result in report.results:
        assert result.cells[0].who == peers.OURS
        for cell in result.cells:
            if (result.case.name, cell.who) == ("backward", "Liger"):
                assert "before backward comes" in cell.missing
                continue
            assert cell.missing == ""
            assert cell.beyond == (), (result.case.name, cell)
            assert cell.timing.samples == 2
    assert all(set(case.bar.ahead_of) <= set(who[name]) for name, case in ALL.items())
    assert all(PRODUCTS in who[name] for name, case in ALL.items() if case.linear)
    assert {"Liger", "quack", "TRL", "flash-attention"} <= set(who["logps"])
    left_out = {cell["who"] for cell in report.plain()["cases"][1]["cells"] if cell["leaves out"]}
    assert left_out == {"Liger", "flash-attention"}


# Peers that are missing, fail or differ.


def missing():
    raise ModuleNotFoundError("No module named 'fast_one'", name="fast_one")


def broken():
    raise ImportError("libcudart.so.11: cannot open [shared] object file\nand more")


def failing():
    def compute(inputs):
        raise RuntimeError("out of memory")

    return starting("forward", compute)


def tired():
    runs = iter(range(10**6))

    def compute(inputs):
        if next(runs) > 2:
            raise RuntimeError("no more")
        return ours.logps(inputs)

    return starting("forward", compute)


def off(by):
    return lambda: starting("forward", lambda inputs: {"logps": ours.logps(inputs)["logps"] + by})


ODD = {
    peers.OURS: lambda: starting("forward", ours.logps),
    "missing": missing,
    "broken": broken,
    "failing": failing,
    "tired": tired,
    "off": off(0.01),
    "unknown": off(math.nan),
}


@pytest.fixture(scope="module")
def odd():
    return run([ALL["logps"]], lambda case: ODD, rounds=5)


def test_what_fails_says_why_and_harms_nobody(odd):
    (result,) = odd.results
    assert [cell.who for cell in result.cells] == list(ODD)
    missing = {cell.who: cell.missing for cell in result.cells if cell.timing is None}
    assert missing == {
        "missing": "not installed (fast_one)",
        "broken": "ImportError: libcudart.so.11: cannot open [shared] object file",
        "failing": "RuntimeError: out of memory",
        "tired": "RuntimeError: no more",
    }
    assert result.of(peers.OURS).timing.samples == 5


def test_what_differs_is_flagged_and_timed(odd):
    (result,) = odd.results
    beyond = {cell.who: cell.beyond for cell in result.cells if cell.timing}
    assert beyond == {peers.OURS: (), "off": ("logps",), "unknown": ("logps",)}


def test_a_report_is_json_and_a_table(odd):
    plain = json.loads(json.dumps(odd.plain(), allow_nan=False))
    assert plain == odd.plain()
    (case,) = plain["cases"]
    cells = {cell["who"]: cell for cell in case["cells"]}
    assert cells["unknown"]["differences"] == {"logps": "nan"}
    assert cells["missing"] == {"who": "missing", "not measured": "not installed (fast_one)"}
    ours_cell = cells[peers.OURS]
    assert ours_cell["ms"].keys() == {"median", "p20", "p80", "samples"}
    assert ours_cell["GB/s"] * ours_cell["ms"]["median"] == pytest.approx(case["least bytes"] / 1e6)
    assert ours_cell["share"] * ours_cell["ms"]["median"] == pytest.approx(case["floor ms"])
    text = printed(plain)
    for word in (*ODD, "[shared]", "off: differs from float64: logps by", "unknown: differs"):
        assert word in text
    assert text.count("not measured") == 2 * 4


def printed(plain):
    console = Console(width=80, record=True, file=io.StringIO())
    for table in tables.tables(plain):
        console.print(table)
    return console.export_text()


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text)]


def test_the_picture_names_everybody_who_was_measured(odd):
    with plt.style.context(style.STYLE):
        figure = roofline(odd.plain())
    shown = texts(figure)
    assert shown.count("logps") == 1  # at our point
    for who in ODD:
        assert (who in shown) == (who in (peers.OURS, "off", "unknown"))
    assert sum(text.endswith("(differs)") for text in shown) == 2
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.get_title(loc="left")
    plt.close(figure)


def test_a_picture_of_nothing_measured_is_drawn():
    report = run([ALL["logps"]], lambda case: {"missing": missing})
    with plt.style.context(style.STYLE):
        figure = roofline(report.plain())
    plt.close(figure)
    assert "missing: not measured" in printed(report.plain())


# Bars.

BARRED = [case for case in cases() if str(case.bar)]
seconds = st.floats(1e-5, 1.0)


def timing(median):
    return Timing(median, median, median, 1)


def verdict(case, cells, device="NVIDIA H200"):
    rates = ceilings.Ceilings(4e12, 4e12, 8e14, {})
    report = Report("", {"device": device}, rates)
    return report.verdict(Result(case, cells))


@pytest.mark.parametrize("case", BARRED, ids=lambda case: case.name)
@settings(max_examples=20)
@given(data=st.data())
def test_bars_are_met_where_every_number_is_good_enough(case, data):
    bar, near = case.bar, st.floats(0.9, 1.1)  # bars are missed by little
    mine = data.draw(near) * (case.bytes / 4e12 / bar.share if bar.share else 1e-3)
    mine *= bar.milliseconds or 1
    times = {who: mine * data.draw(near) for who in peers.contenders(case)}
    times[peers.OURS] = mine
    good = [
        bar.milliseconds is None or 1e3 * mine <= bar.milliseconds,
        bar.share is None or case.bytes / 4e12 / mine >= bar.share,
        bar.times_products is None or mine / times[PRODUCTS] <= bar.times_products,
        *(mine <= times[who] for who in bar.ahead_of),
    ]
    cells = [Cell(who, timing(median)) for who, median in times.items()]
    found, why = verdict(case, cells)
    assert found == ("met" if all(good) else "missed")
    assert bool(why) == (found == "missed")
    elsewhere, why = verdict(case, cells, data.draw(st.sampled_from(["NVIDIA H100", "cpu"])))
    assert (elsewhere, why) == ("open", "the bar is for an H200")
    wrong = [replace(cells[0], beyond=("logps",)), *cells[1:]]
    assert verdict(case, wrong) == ("missed", "differs from float64 in logps")
    assert verdict(replace(case, bar=Bar()), cells) == ("", "")


@given(mine=seconds, case=st.sampled_from([case for case in BARRED if case.bar.ahead_of]))
def test_a_bar_against_somebody_who_is_not_there_stays_open(mine, case):
    cells = [Cell(who, missing="not installed") for who in peers.contenders(case)]
    assert verdict(case, cells) == ("open", "minipref was not measured")
    found, why = verdict(case, [Cell(peers.OURS, timing(mine)), *cells[1:]])
    late = bool(case.bar.milliseconds) and 1e3 * mine > case.bar.milliseconds
    assert found == ("missed" if late else "open")
    assert late or "Liger was not measured" in why


# The card.


def test_without_a_card_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="nothing was measured"):
        benchmark.on_card(cases())


@pytest.mark.parametrize("free", [2**35, 2**32])
def test_a_card_is_asked_for_its_memory_and_its_cache(monkeypatch, free):
    monkeypatch.setattr(machine, "card", lambda: "a card")
    monkeypatch.setattr(machine, "free_memory", lambda card: free)
    monkeypatch.setattr(machine, "cache_size", lambda card: 2**26)
    monkeypatch.setattr(benchmark, "CudaClock", lambda card: f"the clock of {card}")
    monkeypatch.setattr(benchmark, "benchmark", lambda *given, **more: (given, more))
    logps = cases()[0]
    (fitted, clock, card), more = benchmark.on_card([logps])
    assert fitted == [logps.fitted(free)]
    assert (fitted == [logps]) == (free == 2**35)
    assert (clock, card) == ("the clock of a card", "a card")
    assert more["beyond"] == 2**26
    assert 2**28 < more["size"] <= free // 8


@pytest.mark.parametrize(
    ("answer", "failed", "driver"),
    [
        ("580.65.06, 700.00 W, 1980 MHz\n", 0, "580.65.06"),
        ("No devices were found\n", 6, "unknown"),
        ("580.65.06\n", 0, "unknown"),
    ],
)
def test_the_driver_is_what_nvidia_smi_says(monkeypatch, answer, failed, driver):
    properties = SimpleNamespace(uuid="00ff")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(machine.shutil, "which", lambda name: name)

    def run(command, **options):
        assert command[-1] == "--id=GPU-00ff"
        return SimpleNamespace(stdout=answer, returncode=failed)

    monkeypatch.setattr(machine.subprocess, "run", run)
    assert machine.smi("cuda")["driver"] == driver
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert machine.smi("cuda") == dict.fromkeys(["driver", "power limit", "clock"], "unknown")


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_card_we_are_measured_and_right():
    for report in benchmark.on_card(cases(quick=True), rounds=3):
        cell = report.results[-1].of(peers.OURS)
        assert cell.timing is not None, cell.missing
        assert cell.beyond == ()


def test_what_the_machine_is():
    found = machine.described(torch.device("cpu"))
    assert found["torch"] == torch.__version__
    assert found["minipref runs"] == "plain torch"
    assert found["quack-kernels"] == machine.installed("quack-kernels")
    assert machine.installed("no-such-package") == "not installed"
    assert machine.installed("numpy") != "not installed"


@pytest.mark.slow
def test_trl_as_it_is_installed_rounds_log_probs_on_a_processor():
    report = run(
        [ALL["logps"], ALL["entropy"]], lambda case: {"TRL": peers.contenders(case)["TRL"]}
    )
    for result in report.results:
        (cell,) = result.cells
        assert cell.timing is not None
        assert "logps" in cell.beyond  # bfloat16 log-probs where there is no Triton
        assert cell.differences["logps"] < 0.01
