"""A loss from hidden states against the same loss of log_softmax under autograd, in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from minipref.fused import emulated, in_torch, linear_logps, linear_loss
from minipref.fused.in_kernels import starts_at_16
from minipref.fused.linear_logps import chunks
from minipref.fused.linear_loss import whole_items
from minipref.losses import dpo, grpo, kto, simpo

few = settings(max_examples=20)
PAIRED = ["dpo", "simpo"]
EPS = {torch.float64: 1e-12, torch.float32: 3e-6, torch.bfloat16: 2e-2, torch.float16: 4e-3}


def losses(targets, reference):
    """Each loss as a function of some items' token log-probs, and of which items they are."""
    mask, sums = targets != -100, reference.sum(-1)

    def of_dpo(logps, pairs):
        chosen, rejected = logps.sum(-1).unbind(1)
        return dpo(chosen, rejected, sums[pairs, 0], sums[pairs, 1], beta=0.5)

    def of_simpo(logps, pairs):
        means = logps.sum(-1) / mask[pairs].sum(-1).clamp(min=1)
        return simpo(*means.unbind(1))

    def of_kto(logps, items):
        good = torch.arange(len(targets))[items] % 2 == 0
        return kto(logps.sum(-1), sums[items], good, torch.tensor(0.3))

    def of_grpo(logps, items):
        advantages = torch.arange(len(targets))[items].cos()
        references = 0.9 * reference[items]
        return grpo(logps, reference[items], advantages, mask[items], references).sum()

    return {"dpo": of_dpo, "simpo": of_simpo, "kto": of_kto, "grpo": of_grpo}


def numbers(draw, *shape, bound=2.0):
    count = math.prod(shape)
    values = draw(st.lists(st.floats(-bound, bound), min_size=count, max_size=count))
    return torch.tensor(values, dtype=torch.float64).view(shape)


@st.composite
def problems(draw, names=("dpo", "simpo", "kto", "grpo"), dtypes=tuple(EPS)):
    """Hidden states, matrix, targets, a loss of them, and options."""
    name, dtype = draw(st.sampled_from(names)), draw(st.sampled_from(dtypes))
    items, tokens, width, words = (draw(st.integers(1, most)) for most in (4, 3, 3, 6))
    shape = (items, 2, tokens) if name in PAIRED else (items, tokens)
    word = st.sampled_from([-100, *range(words)])
    targets = draw(st.lists(word, min_size=math.prod(shape), max_size=math.prod(shape)))
    targets = torch.tensor(targets).view(shape)
    hidden, weight = numbers(draw, *shape, width).to(dtype), numbers(draw, words, width).to(dtype)
    reference = numbers(draw, *shape).sub(2).where(targets != -100, 0.0)
    options = {
        "temperature": draw(st.floats(0.5, 2)),
        "chunk": draw(st.one_of(st.none(), st.integers(1, 9))),
    }
    return hidden, weight, targets, losses(targets, reference)[name], options


def by_log_softmax(hidden, weight, targets, loss, temperature):
    logits = hidden @ weight.T / temperature
    logps = logits.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    logps = logps.where(targets != -100, 0.0)
    return loss(logps, slice(None)).sum(), logps.detach()


def leaves(*tensors):
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


def agree(found, expected, dtype):
    for ours, theirs in zip(found, expected, strict=True):
        ours, theirs = ours.detach().double(), theirs.detach()
        room = 30 * EPS[dtype] * (1 + float(theirs.abs().max()))
        assert torch.allclose(ours, theirs, rtol=0, atol=room), (ours, theirs)


@given(problem=problems(), up=st.floats(-2, 2))
def test_value_log_probs_and_gradients(problem, up):
    hidden, weight, targets, loss, options = problem
    ours, exact = leaves(hidden, weight), leaves(hidden.double(), weight.double())
    found = linear_loss(*ours, targets, loss, **options)
    expected = by_log_softmax(*exact, targets, loss, options["temperature"])
    assert found[0].shape == ()
    assert found[0].dtype == torch.promote_types(hidden.dtype, torch.float32)
    assert not found[1].requires_grad
    assert not found[1][targets == -100].any()
    (up * found[0]).backward()
    (up * expected[0]).backward()
    agree(found, expected, hidden.dtype)
    agree([x.grad for x in ours], [x.grad for x in exact], hidden.dtype)
    assert not ours[0].grad[targets == -100].any()
    assert [x.grad.dtype for x in ours] == [hidden.dtype] * 2


@few
@given(problem=problems(dtypes=(torch.float32, torch.bfloat16, torch.float16)))
def test_kernels_and_torch_agree(problem):
    hidden, weight, targets, loss, options = problem
    ours, theirs = leaves(hidden, weight), leaves(hidden, weight)
    with emulated():
        found = linear_loss(*ours, targets, loss, **options)
        found[0].backward()
    expected = linear_loss(*theirs, targets, loss, **options)
    expected[0].backward()
    agree(found, [x.double() for x in expected], hidden.dtype)
    agree([x.grad for x in ours], [x.grad.double() for x in theirs], hidden.dtype)


@few
@given(problem=problems(dtypes=(torch.float64,)), sizes=st.lists(st.integers(1, 40), min_size=2))
def test_chunks_change_nothing(problem, sizes):
    hidden, weight, targets, loss, options = problem
    found = []
    for chunk in sizes:
        own = leaves(hidden, weight)
        total, logps = linear_loss(*own, targets, loss, **{**options, "chunk": chunk})
        total.backward()
        found.append([total, logps, *(x.grad for x in own)])
    for values in zip(*found, strict=True):
        for value in values[1:]:
            assert torch.allclose(value, values[0], rtol=1e-11, atol=1e-11)


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4)), st.integers(1, 9))
def test_items_stay_whole_and_chunks_are_full(kept, chunk):
    targets = torch.where(torch.tensor(kept, dtype=torch.bool).view(-1, 2, 2), 5, -100)
    items, groups = whole_items(targets, chunk)
    assert [i for each in items for i in range(each.start, each.stop)] == list(range(len(kept)))
    counts = [sum(each) for each in kept]
    for some, rows in zip(items, groups, strict=True):
        here = (targets[some] != -100).flatten().nonzero()[:, 0] + 4 * some.start
        assert torch.equal(rows, here)
        assert len(rows) <= chunk or some.stop - some.start == 1
        if some.stop < len(kept):
            assert len(rows) + counts[some.stop] > chunk, "one more would have fitted"


@few
@given(problem=problems(), chunk=st.integers(1, 9))
def test_rows_of_a_chunk_start_where_the_one_pass_wants_them(problem, chunk):
    hidden, weight, targets, *_ = problem
    flat = hidden.flatten(0, -2)
    for rows, states, logits in chunks(flat, weight, whole_items(targets, chunk)[1]):
        assert starts_at_16(logits) or not len(rows)
        assert torch.equal(states, flat[rows])
        torch.testing.assert_close(logits, states @ weight.T)


@few
@given(problem=problems(dtypes=(torch.float32,)), data=st.data())
def test_only_what_is_wanted_is_made(problem, data):
    hidden, weight, targets, loss, options = problem
    of_hidden, of_weight, enabled = (data.draw(st.booleans()) for _ in range(3))
    hidden.requires_grad_(of_hidden), weight.requires_grad_(of_weight)
    calls = []
    with pytest.MonkeyPatch.context() as patch, torch.set_grad_enabled(enabled):
        one_pass, add = in_torch.one_pass, torch.Tensor.addmm_
        patch.setattr(in_torch, "one_pass", lambda *given: calls.append("pass") or one_pass(*given))
        patch.setattr(torch.Tensor, "addmm_", lambda *given: calls.append("weight") or add(*given))
        total, _ = linear_loss(hidden, weight, targets, loss, **options)
    wanted = enabled and (of_hidden or of_weight)
    assert total.requires_grad == wanted
    assert ("pass" in calls) == wanted
    assert ("weight" in calls) == (enabled and of_weight)
    expected = by_log_softmax(hidden, weight, targets, loss, options["temperature"])[0]
    assert torch.allclose(total, expected.to(total.dtype), rtol=1e-4, atol=1e-4)
    if wanted:
        total.backward()
    assert (hidden.grad is not None) == (wanted and of_hidden)
    assert (weight.grad is not None) == (wanted and of_weight)


@few
@given(problem=problems(dtypes=(torch.float32,)))
def test_checkpointing_and_accumulation_change_nothing(problem):
    hidden, weight, targets, loss, options = problem
    hidden.requires_grad_(), weight.requires_grad_()

    def total(hidden, weight):
        return linear_loss(hidden, weight, targets, loss, **options)[0]

    plain = torch.autograd.grad(total(hidden, weight), (hidden, weight))
    checkpoint(total, hidden, weight, use_reentrant=False).backward()
    total(hidden, weight).backward()
    assert torch.equal(hidden.grad, 2 * plain[0])
    assert torch.equal(weight.grad, 2 * plain[1])


def example(dtype=torch.float32, words=5):
    rng = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 2, 2, 4, generator=rng).to(dtype).requires_grad_()
    weight = torch.randn(words, 4, generator=rng).to(dtype).requires_grad_()
    targets = torch.randint(words, (3, 2, 2), generator=rng)
    targets[0, 1, 1] = -100
    return hidden, weight, targets, losses(targets, torch.full(targets.shape, -1.5))["dpo"]


def test_autocast_makes_the_products_in_half_precision_and_the_rest_in_float32():
    hidden, weight, targets, loss = example()

    def by_product(logps, items):
        found = logps.flatten(1) @ torch.ones(logps[0].numel())
        assert found.dtype == torch.float32
        return found

    with torch.autocast("cpu", torch.bfloat16):
        total, logps = linear_loss(hidden, weight, targets, loss)
        same = linear_logps(hidden.flatten(0, -2), weight, targets.flatten())
        assert torch.allclose(logps.flatten(), same)
        linear_loss(hidden, weight, targets, by_product)
    assert total.dtype == logps.dtype == torch.float32
    total.backward()
    assert weight.grad.dtype == hidden.grad.dtype == torch.float32
    exact, _ = by_log_softmax(*leaves(hidden, weight), targets, loss, 1.0)
    assert torch.allclose(total, exact, atol=0.05)


def test_targets_hidden_states_and_items_of_other_strides_and_shapes():
    hidden, weight, targets, loss = example(torch.float64)
    total = linear_loss(hidden, weight, targets, loss)[0]
    turned = hidden.transpose(1, 2).contiguous().transpose(1, 2)
    strided = targets.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(linear_loss(turned, weight, strided, loss, chunk=3)[0], total)
    one_each = linear_loss(hidden[:, 0, 0], weight, targets[:, 0, 0], lambda logps, _: -logps)
    rows = linear_logps(hidden[:, 0, 0], weight, targets[:, 0, 0])
    assert torch.allclose(one_each[0], -rows.sum())
    assert one_each[1].shape == (3,)


@pytest.mark.parametrize("inside", [False, True])
def test_all_left_out_and_no_items(inside):
    hidden, weight, targets, loss = example()
    with emulated() if inside else torch.enable_grad():
        total, logps = linear_loss(hidden, weight, torch.full_like(targets, -100), loss)
        total.backward()
        assert not any(x.any() for x in (logps, hidden.grad, weight.grad))
        plain = by_log_softmax(hidden, weight, torch.full_like(targets, -100), loss, 1.0)[0]
        assert torch.allclose(total, plain)
        total, logps = linear_loss(hidden[:0], weight, targets[:0], loss)
        assert torch.equal(total, torch.tensor(0.0))
        total.backward()
        assert not weight.grad.any()
        assert logps.shape == (0, 2, 2)


def test_rows_left_out_are_not_looked_at():
    hidden, weight, targets, loss = example()
    with torch.no_grad():
        hidden[0, 1, 1] = torch.nan
    total, _ = linear_loss(hidden, weight, targets, loss)
    total.backward()
    assert total.isfinite()
    assert hidden.grad.isfinite().all()
    assert weight.grad.isfinite().all()


def test_a_second_backward_raises():
    hidden, weight, targets, loss = example()
    total, _ = linear_loss(hidden, weight, targets, loss)
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch.compile looks at it
def test_compiled_around_it():
    hidden, weight, targets, loss = example()

    def step(hidden, weight):
        return 0.5 * linear_loss(2 * hidden, weight, targets, loss)[0]

    compiled = torch.compile(step, backend="aot_eager")
    grads = [torch.autograd.grad(f(hidden, weight), (hidden, weight)) for f in (step, compiled)]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*grads, strict=True))
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_torch_func_and_a_second_derivative_are_refused():
    hidden, weight, targets, loss = example()
    with pytest.raises(ValueError, match="cannot look into fused"):
        torch.func.grad(lambda x: linear_loss(x, weight, targets, loss)[0])(hidden.detach())
    total, _ = linear_loss(hidden, weight, targets, loss)
    slope = torch.autograd.grad(total.square(), hidden, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        slope.sum().backward()


HIDDEN, WEIGHT, TARGETS = torch.zeros(2, 3, 4), torch.zeros(5, 4), torch.zeros(2, 3).long()
WRONG = r"loss: expected \(\) or \(2,\) numbers, got \(2, 3\)"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hidden": HIDDEN[0, 0]}, r"hidden: expected floating-point \(items, ..., width\), got"),
        ({"hidden": HIDDEN.long()}, r"hidden: .* got torch.int64 \(2, 3, 4\)"),
        ({"weight": WEIGHT[:, :3]}, "weight: expected width 4, got 3"),
        ({"weight": WEIGHT.double()}, "weight: expected hidden's dtype"),
        ({"weight": WEIGHT[:0]}, "vocabulary: expected at least one word"),
        ({"targets": TARGETS[0]}, r"targets: expected \(2, 3\), got \(3,\)"),
        ({"targets": TARGETS.int()}, r"targets: expected int64 .* got torch.int32"),
        ({"targets": TARGETS + 5}, "targets: expected -100 or words from 0 to 4, got 5"),
        ({"temperature": 0.0}, "temperature: expected a number"),
        ({"chunk": 0}, "chunk: expected at least 1 row, got 0"),
        ({"loss": lambda logps, items: logps}, WRONG),
        ({"loss": lambda logps, items: torch.ones(2)}, "loss: expected a differentiable"),
    ],
)
def test_bad_input(changed, message):
    given_ = {
        "hidden": HIDDEN.clone().requires_grad_(),
        "weight": WEIGHT,
        "targets": TARGETS,
        "loss": lambda logps, items: logps.sum(),
    }
    with pytest.raises(ValueError, match=message):
        linear_loss(**{**given_, **changed})
