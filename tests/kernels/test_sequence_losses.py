"""sequence_losses.cu against `minipref.losses` and autograd in float64."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernels_run import BACKWARD_THREADS, DTYPES, ROUNDING, THREADS, unwritten
from torch import Tensor

from minipref import losses
from minipref.fused.emulate import KernelFault, Traffic, load
from minipref.fused.in_kernels import LOSSES_FILE, Kernels
from minipref.fused.sources import needs, source

pytestmark = pytest.mark.slow

FORWARD_WARPS, BACKWARD_WARPS = THREADS // 32, BACKWARD_THREADS // 32
PAIRS = ("dpo", "ipo", "simpo")
LOSSES = (*PAIRS, "kto", "grpo")


@dataclass
class Problem:
    loss: str
    logits: Tensor  # (sequences, tokens, vocabulary)
    targets: Tensor  # (sequences, tokens)
    inputs: list[Tensor]
    numbers: dict[str, float]
    aggregate: str
    temperature: float = 1.0


class Emulated(Kernels):
    """The kernels under given options of the emulator, and what each launch moved."""

    def __init__(self, **options) -> None:
        self.traffic: list[Traffic] = []
        super().__init__(
            lambda file, *launch, cluster, dynamic_shared, **_: self.traffic.append(
                load(file).launch(*launch, **options)
            )
        )
        launch = self.launch
        self.launch = lambda *given: launch(*given, cluster=1, dynamic_shared=0)

    def forward(self, problem: Problem) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.sequence_losses(
            *(problem.loss, problem.logits, problem.targets, problem.inputs),
            *(list(problem.numbers.values()), problem.aggregate, problem.temperature),
        )

    def backward(self, problem: Problem, found, out: Tensor, d_losses: Tensor) -> None:
        self.write_sequence_gradient(
            *(out, problem.logits, problem.targets, found[1], found[3]),
            *(d_losses, problem.temperature),
        )


def exact(problem: Problem, d_losses: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Losses, log-probs of the tokens, and the gradient by the logits: float64, by autograd."""
    mask = problem.targets != -100
    logits = problem.logits.double().where(mask[..., None], 0.0).requires_grad_()
    temperature = 1 / float(torch.tensor(1 / problem.temperature))  # as float32 has it
    logps = (logits / temperature).log_softmax(-1)
    logps = logps.gather(-1, problem.targets.clamp(min=0)[..., None])[..., 0].where(mask, 0.0)
    inputs = [x.double() if x.is_floating_point() else x for x in problem.inputs]
    loss = getattr(losses, problem.loss)
    if problem.loss == "grpo":
        numbers = problem.numbers | {"aggregate": problem.aggregate}
        found = loss(logps, inputs[0], inputs[1], mask, inputs[2], **numbers)
    else:
        of_sequences = logps.sum(-1)
        if problem.aggregate == "mean":
            of_sequences = of_sequences / mask.sum(-1).clamp(min=1)
        sides = of_sequences.chunk(2) if problem.loss in PAIRS else [of_sequences]
        found = loss(*sides, *inputs, **problem.numbers)
    (gradient,) = torch.autograd.grad((found * d_losses).sum(), logits)
    return found.detach(), logps.detach(), gradient


def inputs_of(loss: str, sequences: int, tokens: int, floats) -> tuple[list[Tensor], dict, str]:
    """What a loss takes besides log-probs; `floats(low, high, *shape)` draws tensors."""
    items = sequences // 2 if loss in PAIRS else sequences
    number = lambda low, high: floats(low, high, 1).item()  # noqa: E731
    if loss == "dpo":
        return [floats(-9, 0, items) for _ in range(2)], {"beta": number(0.01, 2)}, "sum"
    if loss == "ipo":
        return [floats(-4, 0, items) for _ in range(2)], {"tau": number(0.05, 2)}, "mean"
    if loss == "simpo":
        return [], {"beta": number(0.1, 3), "gamma": number(0, 2)}, "mean"
    if loss == "kto":
        names = ("beta", "lambda_desirable", "lambda_undesirable")
        inputs = [floats(-9, 0, items), floats(0, 1, items) > 0.5, floats(0, 3, 1)[0]]
        return inputs, {name: number(0.1, 2) for name in names}, "sum"
    inputs = [floats(-5, 0, items, tokens), floats(-2, 2, items), floats(-5, 0, items, tokens)]
    numbers = {"clip_low": number(0.1, 0.9), "clip_high": number(0.1, 3), "kl": number(0, 1)}
    return inputs, numbers, "token" if number(0, 1) > 0.5 else "sequence"


@st.composite
def problems(draw, names=LOSSES, dtypes=DTYPES):
    """A loss on logits of any strides and alignment; masked tokens, whose logits are NaN."""
    loss = draw(st.sampled_from(names))
    sequences = draw(st.integers(1, 2)) * (2 if loss in PAIRS else 1)
    tokens, vocabulary = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))

    def floats(low, high, *shape):
        return low + (high - low) * torch.rand(shape, generator=generator)

    gaps = draw(st.integers(0, 2)), draw(st.integers(0, 9))  # as logits[:, :-1] has
    shape = sequences, tokens + gaps[0], vocabulary + gaps[1]
    spread = draw(st.sampled_from([1.0, 8.0]))
    logits = floats(-spread, spread, *shape).to(draw(st.sampled_from(dtypes)))
    logits = logits[:, gaps[0] :, gaps[1] :]
    targets = torch.randint(vocabulary, (sequences, tokens), generator=generator)
    share = draw(st.sampled_from([0.0, 0.3, 1.0]))  # of tokens left out
    targets = targets.where(floats(0, 1, sequences, tokens) >= share, -100)
    logits[targets == -100] = draw(st.sampled_from([torch.nan, torch.inf, 0.0]))
    temperature = draw(st.sampled_from([1.0, 0.7, 1.3]))
    return Problem(
        *(loss, logits, targets, *inputs_of(loss, sequences, tokens, floats), temperature)
    )


def upstream_of(draw, items: int) -> Tensor:
    """d / d each loss: of its own, or expanded as sum() has it, or every second of a tensor."""
    each = torch.tensor([draw(st.floats(-2, 2, width=32)) for _ in range(2 * items)])
    return draw(st.sampled_from([each[:items], each[0].expand(items), each[::2]]))


def away_from_the_clips(problem: Problem, logps: Tensor) -> bool:
    """No token's ratio is where GRPO's gradient jumps."""
    ratio = (logps - problem.inputs[0]).exp()
    ends = 1 - problem.numbers["clip_low"], 1 + problem.numbers["clip_high"]
    return all(bool(((ratio - end).abs() > 3e-5).all()) for end in ends)


def close(actual: Tensor, expected: Tensor, room: float, rounding: float = 0.0) -> None:
    scale = 1 + float(expected.abs().max()) if expected.numel() else 1.0
    error = (actual.double() - expected).abs()
    assert bool((error <= room * scale + 1.02 * rounding * expected.abs()).all()), float(
        error.max()
    )


@given(problem=problems(), data=st.data())
def test_losses_and_gradients_are_those_of_the_library(problem, data):
    draw = data.draw
    kernels = Emulated(seed=draw(st.integers(0, 3)))
    found = kernels.forward(problem)
    d_losses = upstream_of(draw, len(found[0]))
    expected, logps, gradient = exact(problem, d_losses)
    if problem.loss == "grpo":
        assume(away_from_the_clips(problem, logps))
    close(found[0], expected, 1e-5)
    close(found[2], logps, 4e-6)
    masked = problem.targets == -100
    assert not found[1][masked].any(), "no push on what is left out"
    in_place = draw(st.booleans())
    written = problem.logits if in_place else unwritten(*gradient.shape, dtype=problem.logits.dtype)
    kernels.backward(problem, found, written, d_losses)
    fp16 = problem.logits.dtype == torch.float16
    close(written, gradient, 1e-5 + 2**-25 * fp16, ROUNDING[problem.logits.dtype])
    assert torch.equal(written[masked], torch.zeros_like(written[masked]))
    assert len(kernels.traffic) == 2, "two launches"


@given(problem=problems(dtypes=[torch.float32]), seeds=st.lists(st.integers(1, 99), min_size=2))
def test_the_order_in_which_blocks_come_changes_no_bit(problem, seeds):
    first, *others = (Emulated(seed=seed).forward(problem) for seed in seeds[:3])
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@given(problem=problems(names=(*PAIRS, "kto")), data=st.data())
def test_an_item_has_the_same_bits_whatever_the_others_are(problem, data):
    found = Emulated().forward(problem)
    items = len(found[0])
    item = data.draw(st.integers(0, items - 1))
    own = [item, item + items] if problem.loss in PAIRS else [item]
    problem.logits, problem.targets = problem.logits[own], problem.targets[own]
    problem.inputs = [x[item : item + 1] if x.dim() else x for x in problem.inputs]
    alone = Emulated().forward(problem)
    assert torch.equal(alone[0][0], found[0][item])
    assert torch.equal(alone[1], found[1][own])


def long(loss: str) -> Problem:
    """Sequences of more tokens than a block has threads, of which every seventh is left out."""
    sequences, tokens = 2, 700
    at = torch.arange(sequences * tokens).view(sequences, tokens)
    logits = (at[..., None] * torch.tensor([1, 3, 7]) % 11 / 4).float()
    generator = torch.Generator().manual_seed(7)
    given = inputs_of(
        *(loss, sequences, tokens),
        lambda low, high, *shape: low + (high - low) * torch.rand(shape, generator=generator),
    )
    return Problem(loss, logits, (at % 3).where(at % 7 > 0, -100), *given)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_more_tokens_than_threads(loss):
    problem = long(loss)
    kernels = Emulated(seed=1)
    found = kernels.forward(problem)
    one = torch.ones(len(found[0]))
    expected, logps, gradient = exact(problem, one)
    assert loss != "grpo" or away_from_the_clips(problem, logps)
    close(found[0], expected, 1e-5)
    kernels.backward(problem, found, problem.logits, one)
    close(problem.logits, gradient, 1e-5)


def small(loss: str) -> Problem:
    logits = (torch.arange(4 * 3 * 9) * 37 % 101 / 30).view(4, 3, 9)
    targets = torch.tensor([[1, 2, 8], [0, -100, 3], [4, -100, -100], [-100, 7, 6]])
    generator = torch.Generator().manual_seed(3)
    given = inputs_of(
        loss,
        4,
        3,
        lambda low, high, *shape: low + (high - low) * torch.rand(shape, generator=generator),
    )
    return Problem(loss, logits, targets, *given)


@pytest.mark.parametrize("loss", LOSSES)
@given(data=st.data(), aggregate=st.sampled_from(["sequence", "token"]))
@settings(max_examples=8)
def test_each_item_counts_by_itself_and_has_its_own_tokens(loss, data, aggregate):
    problem = small(loss)
    problem.aggregate = aggregate if loss == "grpo" else problem.aggregate
    kernels = Emulated()
    found = kernels.forward(problem)
    items = len(found[0])
    numbers = [i + data.draw(st.floats(-0.25, 0.25)) for i in range(1, items + 1)]
    expected, logps, gradient = exact(problem, torch.tensor(numbers))
    assert loss != "grpo" or away_from_the_clips(problem, logps)
    close(found[0], expected, 1e-6)
    kernels.backward(problem, found, problem.logits, torch.tensor(numbers))
    close(problem.logits, gradient, 1e-6)


def barriers(name: str) -> list[int]:
    lines = enumerate(source(name).splitlines(), 1)
    return [number for number, line in lines if "mp_sync_" in line]


@pytest.mark.parametrize("line", barriers(LOSSES_FILE))
def test_a_removed_barrier_is_seen(line):
    differing = 0
    for seed in range(1, 9):
        try:
            differing += any(
                not torch.equal(
                    Emulated().forward(small(loss))[0],
                    Emulated(seed=seed, without_barrier=line).forward(small(loss))[0],
                )
                for loss in ("dpo", "kto", "grpo")
            )
        except KernelFault:
            differing += 1
    assert differing > 4


def test_there_are_barriers_to_remove_and_no_other_has_their_line():
    assert len(barriers(LOSSES_FILE)) == 4
    assert not set(barriers(LOSSES_FILE)) & set(barriers("online_softmax.cuh"))


def test_tickets_are_drawn_between_fences():
    """The emulator takes threads in turns, so what only a fence orders is not seen by running."""
    body = source(LOSSES_FILE).split("bool last_to_come")[1].split("mp_sync_block")[0]
    steps = [line.split(";")[0].strip() for line in body.splitlines()]
    drawn = steps.index("ticket[0] = mp_atomic_add(arrivals, 1)")
    assert steps[drawn - 1] == steps[drawn + 1] == "mp_fence()"


@given(
    st.sampled_from(LOSSES),
    st.sampled_from(DTYPES),
    st.integers(1, 4),
    st.integers(1, 40),
    st.data(),
)
def test_bytes_are_those_of_the_header(loss, dtype, tokens, vocabulary, data):
    sequences, size = 4, dtype.itemsize
    at = torch.arange(sequences * tokens).view(sequences, tokens)
    left_out = data.draw(st.integers(1, 9))
    targets = (at % vocabulary).where(at % left_out > 0, -100)
    rows, kept = targets.numel(), int((targets != -100).sum())
    given = inputs_of(
        loss, sequences, tokens, lambda low, high, *shape: torch.full(shape, -0.5 + high)
    )
    problem = Problem(
        loss, torch.zeros(sequences, tokens, vocabulary, dtype=dtype), targets, *given
    )
    kernels = Emulated()
    found = kernels.forward(problem)
    items = len(found[0])
    read = kept * (vocabulary + 1) * size + rows * (8 * FORWARD_WARPS + 4)
    inputs = {"dpo": 8, "ipo": 8, "simpo": 0, "kto": 9, "grpo": 4}[loss] * FORWARD_WARPS * items
    written = rows * (12 + 4) + 4 * items
    if loss == "grpo":
        around = rows if problem.aggregate == "sequence" else items * rows
        read += inputs + rows * (8 + 4) + kept * 12 + around * 8
        written += rows * (4 + 4)
    else:
        read += inputs + rows * 20
        written += rows * 4
    # an item's inputs are read once a warp, or twice where its lanes are not in step
    assert read <= kernels.traffic[0].global_read <= read + inputs
    assert kernels.traffic[0].global_written == written

    aligned = 16 * vocabulary  # rows that start at multiples of 16 bytes
    logits = torch.zeros(sequences, tokens, aligned, dtype=dtype)
    problem = Problem(loss, logits, targets, *given)
    kernels.backward(problem, found, logits, torch.ones(items))
    warps = BACKWARD_WARPS * -(-aligned * size // (16 * 4 * BACKWARD_THREADS))
    assert kernels.traffic[1].global_read == kept * aligned * size + warps * (8 * rows + 16 * kept)
    assert kernels.traffic[1].global_written == rows * aligned * size


@pytest.mark.parametrize("loss", LOSSES)
@given(margin=st.sampled_from([-1e4, -90.0, 90.0, 1e4]), left_out=st.booleans())
def test_margins_of_ten_thousand(loss, margin, left_out):
    problem = small(loss)
    if left_out:
        problem.targets = torch.full_like(problem.targets, -100)
    sequences, tokens = problem.targets.shape
    if loss == "simpo":  # without a reference the logits themselves have to be far
        problem.logits[0] *= margin
    elif loss == "kto":
        problem.inputs[2] = torch.tensor(margin / problem.numbers["beta"])
    elif loss == "grpo":
        problem.inputs[0] = torch.full((sequences, tokens), -abs(margin))
        problem.inputs[2] = torch.full((sequences, tokens), margin)
    else:
        problem.inputs[0] += margin / problem.numbers.get("beta", 1.0)
    kernels = Emulated()
    found = kernels.forward(problem)
    one = torch.ones(len(found[0]))
    expected, _, gradient = exact(problem, one)
    assert found[0].isfinite().all()
    close(found[0], expected, 1e-5)
    kernels.backward(problem, found, problem.logits, one)
    close(problem.logits, gradient, 1e-5)
    if left_out:
        assert not found[1].any()
        assert not problem.logits.any()


@given(nats=st.floats(-40, 40), sign=st.sampled_from([-1.0, 1.0]), of_kl=st.booleans())
def test_grpo_counts_no_log_ratio_above_20_nats(nats, sign, of_kl):
    """There it passes no gradient on, in the surrogate and in the estimate of the KL."""
    assume(abs(nats - 20) > 1e-3)
    logits, targets = torch.zeros(1, 1, 2), torch.zeros(1, 1, dtype=torch.int64)
    at, far = torch.full((1, 1), 0.5).log(), torch.full((1, 1), nats)
    numbers = {"clip_low": 0.2, "clip_high": 1e30, "kl": float(of_kl)}
    inputs = [at, torch.zeros(1), at + far] if of_kl else [at - far, sign * torch.ones(1), at]
    problem = Problem("grpo", logits, targets, inputs, numbers, "token")
    found = Emulated().forward(problem)
    expected, _, gradient = exact(problem, torch.ones(1))
    assume(of_kl or away_from_the_clips(problem, at))
    close(found[0], expected, 1e-5)
    close(found[1][0, 0] / 2, gradient[0, 0, 0], 1e-5)
    if nats > 20:
        assert found[1].item() == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_a_target_that_is_no_column_gives_nan_to_its_item_alone(loss):
    problem, right = small(loss), Emulated().forward(small(loss))
    problem.aggregate = problem.aggregate.replace("token", "sequence")
    problem.targets[0, 0] = 9
    found = Emulated().forward(problem)
    assert found[0][0].isnan()
    assert found[0][1:].isfinite().all()
    if loss != "grpo":
        assert torch.equal(found[0][1:], right[0][1:])


def test_texts_that_stand_before():
    assert needs(source(LOSSES_FILE)) == ("online_softmax.cuh", "softmax_gradient.cuh")
    assert needs("// Bytes  none") == ()
