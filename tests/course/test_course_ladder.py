"""The ladder as the course tells it: headers, launches, probes, pictures, kernels/README.md."""

import re
import tomllib

import matplotlib.pyplot as plt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.course import style
from minipref.course.ladder import function, rungs
from minipref.course.pictures import log_prob_speed as pictures
from minipref.course.probe import Moved, probe
from minipref.fused.emulate import load_text
from minipref.fused.sources import source
from minipref.resources import resource

pytestmark = pytest.mark.slow

RUNGS = rungs()
README = source("README.md")


def rows_of(rows, vocabulary, dtype=torch.float32):
    logits = torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(rows))
    return logits.to(dtype), torch.arange(rows) * 7 % vocabulary


@pytest.mark.parametrize("name", RUNGS)
@settings(max_examples=5)
@given(st.integers(1, 5), st.integers(1, 300), st.integers(0, 2))
def test_a_rung_finds_log_probs_or_their_gradient(name, rows, vocabulary, seed):
    logits, targets = rows_of(rows, vocabulary)
    before = logits.clone()
    found, _ = RUNGS[name].run(logits, targets, seed=seed)
    assert torch.equal(logits, before)
    logps = logits.log_softmax(1)
    if "logps" in found:
        of_targets = logps.gather(1, targets[:, None])[:, 0]
        torch.testing.assert_close(found["logps"], of_targets, rtol=0, atol=1e-5)
    if "entropies" in found:
        entropies = -(logps.exp() * logps).sum(1)
        torch.testing.assert_close(found["entropies"], entropies, rtol=0, atol=2e-5)
    else:
        gradient = torch.nn.functional.one_hot(targets, vocabulary) - logps.exp()
        torch.testing.assert_close(found["logits"], gradient, rtol=0, atol=1e-5)


def test_the_forward_rungs_come_first_and_every_header_is_read():
    files = {f"ladder/{path.name}" for path in resource("kernels/ladder").glob("*.cu")}
    assert {rung.file for rung in RUNGS.values()} == files
    names = list(RUNGS)
    assert names == [*sorted(name for name in names if name[0] == "k"), "b1"]
    for rung in RUNGS.values():
        header = " ".join(source(rung.file).partition("\n\n")[0].replace("//", "").split())
        assert f": {rung.idea}. " in header
        fields = f"Bytes {rung.bytes} Prediction {rung.prediction}"
        assert re.search(f"{re.escape(fields)} (Needs|Run) ", header)


def test_a_function_ends_with_its_brace():
    text = function(RUNGS["k3"].file, "MP_DEVICE Online merge(")
    assert text.startswith("MP_DEVICE Online merge(")
    assert text.endswith("\n}")
    assert text.count("\n}") == 1


@pytest.mark.slow
@given(st.integers(64, 200))
def test_a_probe_sees_which_lane_reads_what(pieces):
    logits, targets = rows_of(32, 8 * pieces, torch.bfloat16)
    lanes = torch.arange(32)
    reads = {name: probe(RUNGS[name], logits, targets, 2).reads for name in ("k1", "k2", "k3")}
    assert torch.equal(reads["k1"][:32], lanes * logits[0].nbytes)  # a row apart
    assert torch.equal(reads["k1"][32:], torch.full((96,), -1))  # threads without a row
    for name in ("k2", "k3"):
        assert torch.equal(reads[name][:32], lanes * 2)  # neighbours
    wide = probe(RUNGS["k4"], logits, targets, 16).reads
    assert torch.equal(wide[:32], lanes * 16)


@pytest.mark.slow
@given(st.integers(1, 3), st.integers(1, 700))
def test_a_probe_counts_exponentials(rows, vocabulary):
    logits, targets = rows_of(rows, vocabulary, torch.bfloat16)
    taken = {
        name: probe(RUNGS[name], logits, targets, 2).exponentials
        for name in ("k1", "k2", "k3", "b1")
    }
    elements = logits.numel()
    merges = 2 * rows * (256 * 5 + 32 * 5)  # five shuffles of every warp, and of the first again
    expected = {"k1": 2 * elements, "k2": 2 * elements, "k3": 2 * elements + merges, "b1": elements}
    assert taken == expected


@pytest.mark.slow
def test_wide_loads_need_one_exponential_an_element():
    logits, targets = rows_of(1, 128_256, torch.bfloat16)
    for name in ("k4", "k5"):
        taken = probe(RUNGS[name], logits, targets, 2).exponentials
        assert 1 < taken / logits.numel() < 1.1


def test_torch_moves_each_operand_and_each_result():
    x, words = torch.zeros(10, 100), torch.zeros(10, 1, dtype=torch.int64)
    with Moved() as moved:
        x.t().exp()  # a view, then 4000 bytes read and written
        x.gather(1, words)  # 80 bytes of indices, 40 of results
    assert moved.bytes == 2 * x.nbytes + 80 + 40


@given(st.lists(st.integers(0, 500), min_size=1, max_size=32), st.sampled_from([2, 4, 16]))
def test_sectors_are_those_that_hold_a_byte(starts, width):
    held = {byte // 32 for start in starts for byte in range(start, start + width)}
    assert pictures.sectors(torch.tensor(starts), width) == sorted(held)


@pytest.fixture
def shown(monkeypatch):
    """What the pictures show: a list of figures, none of which opens a window."""
    figures = []
    monkeypatch.setattr(plt, "show", lambda: figures.append(plt.gcf()))
    with plt.style.context(style.STYLE):
        yield figures
    plt.close("all")


def words(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_the_picture_of_loads_has_each_lane_and_each_sector(shown):
    loads = {"apart": (torch.arange(32) * 256, 2), "wide": (torch.arange(32) * 16, 16)}
    pictures.first_loads(loads, row_bytes=256)
    apart, wide = shown[0].axes
    assert [len(ax.patches) for ax in (apart, wide)] == [32 + 32, 32 + 16]
    assert apart.get_title("left") == "apart: 64 bytes\nof 32 sectors"
    assert [patch.get_xy() for patch in apart.patches[32:]] == [(0, row) for row in range(32)]
    assert wide.get_title("left") == "wide: 512 bytes\nof 16 sectors"
    assert wide.patches[-1].get_xy() == (240, 1)


def test_the_picture_of_passes_says_what_was_asked_and_what_moved(shown):
    pictures.moved({"even": (3.0, 3.001), "apart": (3.0, 48.0)}, "forward")
    assert words(shown[0]) == ["3.0", "3.0 asked for, 48.0 moved"]


def test_the_other_pictures_have_units_and_names(shown):
    pictures.records(torch.tensor([[1.0, 3.0, 2.0, 5.0]]), {10: 2.9, 100: 5.0})
    times = {"rung 2": (3.0, 1.0), "rung 3": (1.0, 1.1)}
    pictures.bounds({"bf16": times, "float32": times})
    pictures.schedules({"all barriers": [-2.0, -2.0], "one fewer": [-2.0, -3.0]})
    records, bounds, schedules = shown
    assert "counted" in words(records)
    steps = [line for line in records.axes[0].get_lines() if line.get_marker() == "."]
    assert steps[0].get_xdata().tolist() == [1, 2, 4]  # where a new largest came
    assert {"memory", "exponentials"} <= set(words(bounds))
    assert words(schedules) == ["all barriers", "one fewer"]
    for unit, ax in (
        ("nats", records.axes[0]),
        ("ms", bounds.axes[0]),
        ("nats", schedules.axes[0]),
    ):
        assert f"({unit})" in ax.get_xlabel() + ax.get_ylabel()


def test_what_notebook_13_says_of_barriers_is_so():
    rung, logits, targets = RUNGS["k2"], *rows_of(1, 700)
    lines = enumerate(source(rung.file).splitlines(), 1)
    (line,) = (number for number, each in lines if "the result is there" in each)
    runs = [rung.run(logits, targets, seed=seed, without_barrier=line)[0] for seed in range(21)]
    found = torch.cat([each["logps"] for each in runs])
    truth = rung.run(logits, targets)[0]["logps"]
    assert found[0] == truth
    assert (found == truth).sum() < 10


def test_a_largest_that_starts_at_zero_is_another_kernel():
    text = source(RUNGS["k3"].file)
    assert text.count("Online state = {-3e38f,") == 1
    library = load_text(text.replace("{-3e38f,", "{0.0f,"), ("online<float>",), "from_zero.cu")
    call = RUNGS["k3"].call(torch.tensor([[-150.0]]), torch.zeros(1).long())
    call.on(library)
    assert not torch.isfinite(call.arguments["logps"]).any()


@pytest.mark.parametrize("name", RUNGS)
def test_the_readme_has_the_rung(name):
    assert row(name) in README


def test_the_readme_has_no_other_rung():
    assert set(re.findall(r"\]\((ladder/\w+\.cu)\)", README)) == {r.file for r in RUNGS.values()}
    linked = re.findall(r"\]\(([\w./-]+)\)", README)
    assert all((resource("kernels") / link).exists() for link in linked)


def row(name):
    """The line of kernels/README.md: bytes as counted, registers as budgeted, words as in the file.

    Passes are those of 16384 bytes of logits and more: what a row costs besides is left out.
    """
    rung = RUNGS[name]
    logits, targets = rows_of(2, 30_000, torch.bfloat16)
    _, traffic = rung.run(logits, targets)
    read, written = (
        round(count / logits.nbytes) for count in (traffic.global_read, traffic.global_written)
    )
    share = re.search(r"(?:under )?\d+(?: to \d+)? %", rung.prediction)[0]
    (registers,) = tomllib.loads(source("budget.toml"))[rung.file].values()
    return (
        f"| {name} | [{rung.idea}]({rung.file}) | {read} + {written} | {registers} "
        f"| {share} | not measured |"
    )
