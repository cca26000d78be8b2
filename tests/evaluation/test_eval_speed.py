"""What is measured and how: floors, clocks that take turns, and an oracle that sees mistakes."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from minipref import losses
from minipref.evaluation.speed import clock, oracle, ours, peers
from minipref.evaluation.speed.cases import PRODUCTS, Bar, Shape, cases
from minipref.evaluation.speed.ceilings import measured as ceilings_measured
from minipref.evaluation.speed.clock import CpuClock, CudaClock, Timing, interleaved, reason
from minipref.evaluation.speed.inputs import BETA, drawn, ring
from minipref.evaluation.speed.measure import compared
from minipref.evaluation.speed.stages import products, starting

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
ALL = {case.name: case for case in cases()}
seconds = st.floats(1e-6, 10)


@st.composite
def small(draw, names=tuple(ALL)):
    """A case of a few rows."""
    case = ALL[draw(st.sampled_from(names))]
    shape = Shape(
        pairs=draw(st.integers(1, 3)),
        tokens=draw(st.integers(1, 6)),
        vocabulary=draw(st.integers(2, 70)),
        width=draw(st.integers(1, 9)) if case.linear else 0,
        kept=draw(st.sampled_from([1.0, 0.5, 0.34])),
    )
    assume(shape.kept_rows > 0)
    return replace(case, shape=shape)


# The floors.


@given(case=small())
def test_floors_count_rows_that_are_kept_and_gradients_that_are_written(case):
    shape = case.shape
    assert shape.kept_rows == 2 * shape.pairs * (shape.tokens - shape.prompt)
    if case.linear:  # what goes in is read, its gradients and the logits are written and read
        sources = (shape.rows + shape.vocabulary) * shape.width
        assert case.bytes == 2 * 2 * (shape.kept_rows * shape.vocabulary + sources)
        return
    logits = shape.rows * shape.vocabulary * 2  # bytes
    reads = {"forward": 1, "backward": 1, "both": 2}[case.stage]
    writes = case.stage != "forward"
    share = shape.kept_rows / shape.rows
    assert case.bytes == pytest.approx(logits * (reads * share + writes))
    whole = replace(case, shape=replace(shape, kept=1.0))
    assert case.operations == pytest.approx(share * whole.operations)


@pytest.mark.parametrize(
    ("name", "milliseconds"),
    [("logps", 0.579), ("backward", 1.158), ("nll", 1.737), ("dpo", 2.932), ("dpo-half", 1.955)],
)
def test_floors_at_the_bandwidth_that_they_were_worked_out_for(name, milliseconds):
    assert 1e3 * ALL[name].bytes / 4.3e12 == pytest.approx(milliseconds, abs=1e-3)


@settings(max_examples=15)
@given(case=small(("linear-nll", "linear-dpo")))
def test_operations_are_those_of_three_products(case):
    inputs = drawn(case, 0, CPU)
    for start in (products, starting("both", ours.linear_dpo)):
        with FlopCounterMode(display=False) as counted:
            start(inputs)()
        assert counted.get_total_flops() == case.operations


@given(name=st.sampled_from(tuple(ALL)), free=st.integers(2**20, 2**38))
def test_a_case_is_cut_to_the_memory_that_is_free(name, free):
    case = ALL[name]
    fixed = 8 * 2 * case.shape.vocabulary * case.shape.width  # bytes
    a_token = 8 * 2 * 2 * case.shape.pairs * case.shape.vocabulary
    if free < fixed + a_token:
        with pytest.raises(ValueError, match=name):
            case.fitted(free)
        return
    cut = case.fitted(free)
    shape = cut.shape
    assert fixed + shape.tokens * a_token <= free
    if cut == case:
        return
    assert shape.tokens < case.shape.tokens
    assert cut.bar == Bar()
    assert f"cut from {case.shape.tokens} to {shape.tokens} tokens" in cut.says
    assert replace(cut, shape=case.shape, says=case.says, bar=case.bar) == case
    assert fixed + (shape.tokens + 1) * a_token > free


def test_room_for_everything_changes_nothing_and_small_shapes_have_no_bars():
    assert all(case.fitted(2**50) == case for case in ALL.values())
    quick = cases(quick=True)
    assert [case.name for case in quick] == list(ALL)
    assert not any(str(case.bar) for case in quick)
    assert all(8 * 2 * case.shape.rows * case.shape.vocabulary < 2 * 2**30 for case in quick)


@settings(max_examples=20)
@given(case=small(), beyond=st.integers(0, 10000))
def test_sets_differ_and_together_exceed_the_cache(case, beyond):
    sets = ring(case, beyond, CPU)
    assert len(sets) >= 3
    assert sum(each.nbytes for one in sets for each in one.sources) > beyond
    masked = sets[0].targets < 0
    assert masked.sum() == case.shape.rows - case.shape.kept_rows
    assert bool((masked[:, : case.shape.prompt]).all())
    again = drawn(case, 0, CPU)
    assert all(map(torch.equal, sets[0].sources, again.sources))
    if case.shape.rows * case.shape.vocabulary > 20:
        assert not torch.equal(sets[0].sources[0], sets[1].sources[0])


# The clocks.


@given(taken=st.lists(seconds, min_size=1), factor=seconds, data=st.data())
def test_a_timing_is_of_a_sample_whatever_its_order(taken, factor, data):
    timing = Timing.of(taken)
    assert min(taken) <= timing.p20 <= timing.median <= timing.p80 <= max(taken)
    assert timing == Timing.of(data.draw(st.permutations(taken)))
    scaled = Timing.of([factor * each for each in taken])
    assert scaled.p80 == pytest.approx(factor * timing.p80)
    assert timing.milliseconds()["median"] == 1e3 * timing.median
    assert timing.milliseconds()["samples"] == len(taken)


class Told:
    """A clock that is told what a run takes."""

    def time(self, run):
        return run()


@given(
    takes=st.lists(seconds, min_size=1, max_size=5),
    warmup=st.integers(0, 3),
    rounds=st.integers(1, 6),
    data=st.data(),
)
def test_works_take_turns_and_what_fails_is_left_out(takes, warmup, rounds, data):
    fails_in = data.draw(
        st.lists(st.none() | st.integers(0, 9), min_size=len(takes), max_size=len(takes))
    )
    calls = []

    def work(each):
        def start(number):
            calls.append((number, each))

            def run():
                if number == fails_in[each]:
                    raise RuntimeError(f"in round {number}")
                return takes[each] if number >= warmup else 1e6

            return run

        return start

    found = interleaved([work(i) for i in range(len(takes))], Told(), warmup=warmup, rounds=rounds)
    total = warmup + rounds
    for each, timing in enumerate(found):
        fails = fails_in[each]
        if fails is not None and fails < total:
            assert timing == f"RuntimeError: in round {fails}"
            assert [number for number, i in calls if i == each] == list(range(fails + 1))
        else:
            assert timing.samples == rounds
            assert timing.median == pytest.approx(takes[each])
    assert [number for number, _ in calls] == sorted(number for number, _ in calls)
    assert len(set(calls)) == len(calls)


def test_nobody_always_follows_the_same_one():
    calls = []
    works = [lambda number, i=i: lambda: calls.append(i) or 1.0 for i in range(3)]
    interleaved(works, Told(), warmup=0, rounds=3)
    assert calls == [0, 1, 2, 1, 2, 0, 2, 0, 1]


def test_a_processor_s_clock_measures_the_run(monkeypatch):
    now = iter([1.0, 3.5])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(now))
    assert CpuClock().time(lambda: None) == 2.5


def test_a_card_s_clock_records_right_around_the_run(monkeypatch):
    seen = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            seen.append("record")

        def synchronize(self):
            seen.append("wait")

        def elapsed_time(self, other):
            return 4.0  # milliseconds

    properties = SimpleNamespace(L2_cache_size=4096)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: seen.append("idle"))
    timer = CudaClock(CPU)
    assert timer.time(lambda: seen.append("run")) == 0.004
    assert seen == ["idle", "record", "run", "record", "wait"]
    assert timer._other.nbytes == 2 * 4096


def test_reasons_are_one_line():
    assert reason(ModuleNotFoundError("no", name="quack")) == "not installed (quack)"
    assert reason(RuntimeError("a\nb")) == "RuntimeError: a"
    assert reason(ValueError()) == "ValueError: no message"
    assert len(reason(RuntimeError("word " * 500))) < 130


@given(
    size=st.integers(1, 8),
    side=st.integers(1, 4),
    takes=st.tuples(seconds, seconds, seconds),
)
def test_ceilings_are_bytes_and_operations_over_medians(size, side, takes):
    turns = iter(range(10**6))

    class Clock:
        def time(self, run):
            run()
            turn = next(turns)
            return takes[(turn % 3 + turn // 3) % 3]

    found = ceilings_measured(Clock(), CPU, size=4 * size, side=side, warmup=1, rounds=2)
    copy, read, matmul = takes
    assert found.copy == pytest.approx(2 * 4 * size / copy)
    assert found.read == pytest.approx(4 * size / read)
    assert found.matmul == pytest.approx(2 * side**3 / matmul)
    assert found.floor("copy", 1000, 7) == pytest.approx(1000 / found.copy)
    assert found.floor("matmul", 1000, 7) == pytest.approx(7 / found.matmul)


# The oracle, and what it sees.


@given(case=small())
def test_what_is_right_is_what_autograd_gives_in_float64(case):
    inputs = drawn(case, 0, CPU)
    sources = [each.double().requires_grad_() for each in inputs.sources]
    logits = sources[0] @ sources[1].T if case.linear else sources[0]
    each = logits.log_softmax(-1)
    kept = (inputs.targets >= 0).double()
    logps = each.gather(-1, inputs.targets.clamp_min(0)[..., None])[..., 0] * kept
    if case.stage == "forward":
        entropies = torch.distributions.Categorical(logits=logits).entropy() * kept
        expected = {"logps": logps.flatten(), "entropies": entropies.flatten()}
    else:
        loss = -logps.sum()
        if case.task.endswith("dpo"):
            sums, zeros = logps.sum(-1), torch.zeros(case.shape.pairs)
            loss = losses.dpo(*sums.chunk(2), zeros, zeros, beta=BETA).mean()
        names = ("d_hidden", "d_weight") if case.linear else ("d_logits",)
        expected = dict(zip(names, torch.autograd.grad(loss, sources), strict=True))
        if case.stage == "both":
            expected["loss"] = loss
    found = oracle.right(case, inputs)
    assert found.keys() == expected.keys()
    for name, right in oracle.sampled(expected, inputs).items():
        torch.testing.assert_close(found[name], right, rtol=1e-9, atol=1e-12)


@given(case=small())
def test_we_are_right_and_so_are_torch_and_the_products(case):
    inputs, loaders = drawn(case, 0, CPU), peers.contenders(case)
    expected, allowed = oracle.right(case, inputs), oracle.tolerances(case)
    for who in (peers.OURS, "torch", *([PRODUCTS] if case.linear else [])):
        for name, size in compared(loaders[who](), inputs, expected).items():
            assert size <= allowed[name] or small_norm(expected[name]), (who, name, size)


def small_norm(expected):
    """Nothing is there to compare with: a gradient of a certain token."""
    return float(expected.norm()) < 1e-3


def scaled(outputs):
    return {name: 1.05 * output for name, output in outputs.items()}


def flipped(outputs):
    return {name: -output for name, output in outputs.items()}


def unknown(outputs):
    return {name: output * math.nan for name, output in outputs.items()}


@pytest.mark.parametrize("wrong", [scaled, flipped, unknown])
@pytest.mark.parametrize("name", ["logps", "entropy", "nll", "dpo", "linear-nll"])
def test_mistakes_are_seen(name, wrong):
    shape = Shape(pairs=2, tokens=4, vocabulary=50, width=8 * ALL[name].linear)
    case = replace(ALL[name], shape=shape)
    inputs = drawn(case, 0, CPU)
    start = starting(case.stage, lambda inputs: wrong(ours.TASKS[case.task](inputs)))
    allowed = oracle.tolerances(case)
    found = compared(start, inputs, oracle.right(case, inputs))
    assert all(not size <= allowed[name] for name, size in found.items())


def test_writing_over_the_inputs_is_seen():
    case = replace(ALL["logps"], shape=Shape(pairs=1, tokens=2, vocabulary=5))
    inputs = drawn(case, 0, CPU)

    def compute(inputs):
        inputs.sources[0].add_(1)
        return ours.logps(inputs)

    with pytest.raises(RuntimeError, match="written over its inputs"):
        compared(starting("forward", compute), inputs, oracle.right(case, inputs))
