"""Losses from logits are those of `minipref.losses` on fused log-probs, in torch and by kernels."""

import contextlib
import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref import fused, losses
from minipref.fused.sequence_losses import losses_op

NAMES = ("dpo", "ipo", "simpo", "kto", "grpo")
BACKENDS = {"torch": contextlib.nullcontext, "kernels": fused.emulated}
backends = pytest.mark.parametrize("computes", BACKENDS)
few = settings(max_examples=10)


def logps_of(logits, targets, temperature=1.0):
    rows = logits.reshape(-1, logits.shape[-1])
    return fused.token_logps(rows, targets.flatten(), temperature=temperature).view(targets.shape)


def arguments(loss, sequences, tokens, generator):
    """What a loss takes besides log-probs, by name."""
    items = sequences // 2 if loss in NAMES[:3] else sequences
    entry, given_ = losses.registry.get(loss), {}
    for name in inspect.signature(getattr(fused, loss)).parameters:
        if name in entry.inputs:
            sizes = {"batch": items, "length": tokens}
            drawn = -3 * torch.rand([sizes[axis] for axis in entry.axes(name)], generator=generator)
            given_[name] = drawn > -1.5 if name == "desirable" else drawn
    return given_


def by_the_library(loss, logits, targets, given_, temperature=1.0, **numbers):
    """The same loss the longer way."""
    logps, mask = logps_of(logits, targets, temperature), targets != -100
    function = getattr(losses, loss)
    if loss == "grpo":
        return function(logps, mask=mask, **given_, **numbers)
    sums = logps.sum(-1)
    if losses.registry.get(loss).logps == "mean":
        sums = sums / mask.sum(-1).clamp(min=1)
    sides = sums.chunk(2) if loss in NAMES[:3] else [sums]
    return function(*sides, **given_, **numbers)


@st.composite
def problems(draw, names=NAMES, dtypes=(torch.float64, torch.float32, torch.bfloat16)):
    """A loss's name, logits of any strides, targets and what else it takes."""
    loss = draw(st.sampled_from(names))
    sequences, tokens = 2 * draw(st.integers(0, 2)), draw(st.integers(1, 4))
    vocabulary = draw(st.integers(1, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    logits = 6 * torch.rand(sequences, tokens + 1, vocabulary, generator=generator) - 3
    logits = logits.to(draw(st.sampled_from(dtypes)))[:, :-1]
    if draw(st.booleans()):
        logits = logits.transpose(1, 2).contiguous().transpose(1, 2)
    targets = torch.randint(vocabulary, (sequences, tokens), generator=generator)
    left_out = torch.rand(sequences, tokens, generator=generator) < draw(st.sampled_from([0, 0.5]))
    given_ = arguments(loss, sequences, tokens, generator)
    return loss, logits, targets.masked_fill(left_out, -100), given_


@backends
@given(problem=problems(), temperature=st.sampled_from([1.0, 0.7]), data=st.data())
def test_a_loss_and_its_gradient_are_those_of_the_longer_way(computes, problem, temperature, data):
    loss, logits, targets, given_ = problem
    if data.draw(st.booleans()):
        given_ = {name: x for name, x in given_.items() if (loss, name) != ("grpo", "ref_logps")}
    options = {"aggregate": data.draw(st.sampled_from(["sequence", "token"]))}
    options = options if loss == "grpo" else {}
    poisoned = logits.masked_fill((targets == -100)[..., None], math.nan).requires_grad_()
    inplace = data.draw(st.booleans())
    with BACKENDS[computes]():
        found = getattr(fused, loss)(
            *(poisoned * 1 if inplace else poisoned, targets),
            **given_,
            **options,
            temperature=temperature,
            inplace_backward=inplace,
        )
        found.sum().backward()
    exact = logits.double().requires_grad_()
    wide = {name: x if x.dtype == torch.bool else x.double() for name, x in given_.items()}
    expected = by_the_library(loss, exact, targets, wide, temperature, **options)
    expected.sum().backward()
    assert found.dtype == torch.promote_types(logits.dtype, torch.float32)
    assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-5)
    eps = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-2}[logits.dtype]
    if logits.dtype == torch.float64:
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    scale = 1 + float(exact.grad.abs().max()) if len(logits) else 1
    assert torch.allclose(poisoned.grad.double(), exact.grad, rtol=eps, atol=eps * scale)
    assert not poisoned.grad[targets == -100].any()


@few
@given(problem=problems(dtypes=(torch.float64,)))
def test_gradcheck(problem):
    loss, logits, targets, given_ = problem

    def function(x):
        return getattr(fused, loss)(x, targets, **given_)

    assert torch.autograd.gradcheck(function, logits.detach().requires_grad_())


@pytest.mark.parametrize("loss", NAMES)
def test_names_and_defaults_are_those_of_the_library(loss):
    ours = inspect.signature(getattr(fused, loss)).parameters
    theirs = losses.registry.get(loss)
    options = {"temperature": 1.0, "inplace_backward": False}
    keywords = {n: p.default for n, p in ours.items() if p.kind is p.KEYWORD_ONLY}
    assert keywords == theirs.hyperparameters | options
    positional = [n for n, p in ours.items() if p.kind is not p.KEYWORD_ONLY]
    replaced = {"logps", "mask", "chosen_logps", "rejected_logps"}
    replaced |= {"chosen_mean_logps", "rejected_mean_logps"}
    assert positional == ["logits", "targets", *(n for n in theirs.inputs if n not in replaced)]


def example(loss):
    logits = torch.arange(4 * 3 * 5.0).sin().view(4, 3, 5).requires_grad_()
    targets = torch.tensor([[0, 1, -100], [2, 3, 4], [-100, -100, 1], [4, 4, 0]])
    return logits, targets, arguments(loss, 4, 3, torch.Generator().manual_seed(1))


@backends
@pytest.mark.parametrize("loss", NAMES)
def test_gradients_add_up_and_an_upstream_may_be_anything(computes, loss):
    logits, targets, given_ = example(loss)
    with BACKENDS[computes]():
        found = getattr(fused, loss)(logits, targets, **given_)
        one_by_one = [torch.autograd.grad(x, logits, retain_graph=True)[0] for x in found]
        expanded = torch.autograd.grad(found, logits, torch.tensor(2.0).expand(len(found)))[0]
    assert torch.allclose(sum(one_by_one) * 2, expanded, atol=1e-6)
    pairs = loss in NAMES[:3]
    for i, gradient in enumerate(one_by_one):
        own = {i, i + 2} if pairs else {i}
        assert {j for j in range(4) if gradient[j].any()} == own


@backends
def test_in_place_a_second_backward_is_refused(computes):
    logits, targets, given_ = example("dpo")
    with BACKENDS[computes]():
        out = logits * 1
        found = fused.dpo(out, targets, **given_, inplace_backward=True).sum()
        found.backward(retain_graph=True)
        assert torch.equal(out, logits.grad), "the logits are their gradient now"
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            found.backward()


@pytest.mark.slow
@pytest.mark.parametrize("loss", NAMES)
def test_opcheck(loss):
    logits, targets, given_ = example(loss)
    numbers = [x for x in losses.registry.get(loss).hyperparameters.values() if x != "sequence"]
    aggregate = {"ipo": "mean", "simpo": "mean", "grpo": "token"}.get(loss, "sum")
    rest = targets, list(given_.values()), loss, numbers, aggregate, 0.7
    with fused.emulated():
        torch.library.opcheck(losses_op, (logits, *rest, False))
        torch.library.opcheck(losses_op, (logits.detach(), *rest, True))


@pytest.mark.slow
@backends
@pytest.mark.parametrize("loss", ["dpo", "grpo"])
@pytest.mark.parametrize("inplace", [False, True])
def test_compiles_without_a_graph_break(computes, loss, inplace):
    torch.compiler.reset()  # one function, compiled anew for each loss
    logits, targets, given_ = example(loss)

    def total(logits):
        function = getattr(fused, loss)
        return function(logits * 2, targets, **given_, inplace_backward=inplace).sum()

    compiled = torch.compile(total, fullgraph=True, backend="aot_eager")
    with BACKENDS[computes]():
        grads = [torch.autograd.grad(f(logits), logits)[0] for f in (total, compiled)]
    assert torch.allclose(*grads, atol=1e-6)


@backends
@given(problem=problems(dtypes=(torch.float32,)), data=st.data())
def test_what_else_a_loss_takes_may_be_of_any_float_type_and_strides(computes, problem, data):
    loss, logits, targets, given_ = problem
    dtype = data.draw(st.sampled_from([torch.float64, torch.bfloat16]))
    rounded = {n: x if n == "desirable" else x.to(dtype) for n, x in given_.items()}
    strided = {
        n: x if not x.dim() else x.repeat_interleave(2, -1)[..., ::2] for n, x in rounded.items()
    }
    with BACKENDS[computes]():
        found = getattr(fused, loss)(logits, targets, **strided)
        same = {n: x if n == "desirable" else x.float() for n, x in rounded.items()}
        expected = getattr(fused, loss)(logits, targets, **same)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_the_rest_is_held_constant_and_nothing_is_kept_without_a_gradient():
    logits, targets, given_ = example("dpo")
    given_ = {name: x.requires_grad_() for name, x in given_.items()}
    fused.dpo(logits, targets, **given_).sum().backward()
    assert all(x.grad is None for x in given_.values())
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert not fused.dpo(logits, targets, **given_).requires_grad


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_torch_func_and_a_second_derivative_are_refused():
    logits, targets, given_ = example("kto")
    with pytest.raises(ValueError, match="cannot look into fused"):
        torch.func.grad(lambda x: fused.kto(x, targets, **given_).sum())(logits.detach())
    found = fused.kto(logits, targets, **given_).sum()
    (slope,) = torch.autograd.grad(found, logits, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        slope.sum().backward()


X, Y, REF = torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64), torch.zeros(1)


@pytest.mark.parametrize(
    ("logits", "targets", "refs", "options", "message"),
    [
        (X[0], Y, (REF, REF), {}, r"dpo: logits: expected floating-point \(sequences, tokens"),
        (X.long(), Y, (REF, REF), {}, r"dpo: logits: .* got torch.int64 \(2, 3, 4\)"),
        (X[:, :, :0], Y, (REF, REF), {}, "dpo: logits: .* at least one token and one word"),
        (X[:, :0], Y[:, :0], (REF, REF), {}, "dpo: logits: .* at least one token and one word"),
        (X[:1], Y[:1], (REF, REF), {}, "dpo: logits: expected as many chosen as rejected"),
        (X, Y[:, 1:], (REF, REF), {}, r"dpo: targets: expected int64 \(2, 3\), got"),
        (X, Y.int(), (REF, REF), {}, "dpo: targets: .* got torch.int32"),
        (X, Y + 4, (REF, REF), {}, "targets: expected -100 or words from 0 to 3, got 4"),
        (X, Y, (REF, X[0, 0, :2]), {}, r"dpo: ref_rejected_logps: expected \(1,\) on cpu, got"),
        (X, Y, (REF.long(), REF), {}, "dpo: ref_chosen_logps: expected a tensor of floating"),
        (X, Y, (REF, REF + math.nan), {}, "dpo: ref_rejected_logps holds nan or inf"),
        (X, Y, (REF, REF), {"beta": 0.0}, r"dpo: beta: expected a number in \(0, inf\), got 0.0"),
        (X, Y, (REF, REF), {"temperature": -1.0}, "dpo: temperature: expected a number in"),
    ],
)
def test_bad_input(logits, targets, refs, options, message):
    with pytest.raises(ValueError, match=message):
        fused.dpo(logits, targets, *refs, **options)


def test_bad_input_of_the_others():
    leaf = X.clone().requires_grad_()
    with pytest.raises(ValueError, match="inplace_backward: expected logits that a model"):
        fused.simpo(leaf, Y, inplace_backward=True)
    with pytest.raises(ValueError, match="kto: desirable: expected a tensor of bool"):
        fused.kto(X, Y, X[:, 0, 0], X[:, 0, 0], torch.tensor(0.0))
    with pytest.raises(ValueError, match=r"kto: kl: expected \(\) on cpu, got \(1,\)"):
        fused.kto(X, Y, X[:, 0, 0], Y[:, 0] > 0, REF)
    old, advantages = X[:, :, 0], X[:, 0, 0]
    with pytest.raises(ValueError, match="grpo: aggregate: expected one of"):
        fused.grpo(X, Y, old, advantages, aggregate="sum")
    with pytest.raises(ValueError, match=r"grpo: kl: expected a number in \[0, inf\)"):
        fused.grpo(X, Y, old, advantages, kl=-1.0)
    with pytest.raises(ValueError, match=r"grpo: old_logps: expected \(2, 3\)"):
        fused.grpo(X, Y, advantages, advantages)
    outside = old.masked_fill(Y == 0, math.nan)
    with pytest.raises(ValueError, match="grpo: old_logps holds nan or inf"):
        fused.grpo(X, Y, outside, advantages)
    assert fused.grpo(X, Y - 100, outside, advantages).tolist() == [0.0, 0.0]
