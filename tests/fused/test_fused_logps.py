"""Fused log-probs against float64, whatever the shapes, dtypes, strides and masks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from minipref.fused import in_torch, linear_logps, token_logps
from minipref.fused.linear_logps import linear_op
from minipref.fused.token_logps import rows_op

EPS = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 1e-2, torch.float16: 2e-3}
few = settings(max_examples=15)
temperatures = st.floats(0.25, 4)


def draw_floats(draw, shape, bound):
    count = math.prod(shape)
    values = draw(st.lists(st.floats(-bound, bound), min_size=count, max_size=count))
    return torch.tensor(values, dtype=torch.float64).view(shape)


@st.composite
def blocks(draw, dtypes=tuple(EPS), bound=30.0):
    """Logits (rows, vocabulary) of any strides, targets, and d loss / d logp of every row."""
    rows, vocabulary = draw(st.integers(0, 5)), draw(st.integers(1, 9))
    logits = draw_floats(draw, (rows, vocabulary), bound).to(draw(st.sampled_from(dtypes)))
    if draw(st.booleans()):
        logits = logits.T.contiguous().T
    targets = torch.tensor(
        draw(
            st.lists(
                st.sampled_from([-100, *range(vocabulary)]),
                min_size=rows,
                max_size=rows,
            )
        ),
        dtype=torch.int64,
    )
    return logits, targets, draw_floats(draw, (rows,), 3.0)


def oracle(logits, targets, temperature):
    """Log-probs and entropies in float64 under autograd; rows left out are 0."""
    kept = targets != -100
    some = (logits[kept].double() / temperature).log_softmax(-1)
    logps = torch.zeros(len(logits), dtype=torch.float64)
    entropies = torch.zeros_like(logps)
    logps = logps.masked_scatter(kept, some.gather(1, targets[kept, None])[:, 0])
    return logps, entropies.masked_scatter(kept, torch.special.entr(some.exp()).sum(-1))


@given(block=blocks(), temperature=temperatures)
def test_logps_entropies_and_gradient_are_those_of_float64(block, temperature):
    logits, targets, up = block
    given_, exact = logits.clone().requires_grad_(), logits.double().requires_grad_()
    found = token_logps(given_, targets, temperature=temperature, entropy=True)
    expected = oracle(exact, targets, temperature)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.promote_types(logits.dtype, torch.float32)
        assert torch.allclose(ours.double(), theirs, rtol=1e-5, atol=1e-4)
    (found[0] @ up.to(found[0].dtype) + 0.5 * found[1].sum()).backward()
    (expected[0] @ up + 0.5 * expected[1].sum()).backward()
    close = {"rtol": EPS[logits.dtype], "atol": 40 * EPS[logits.dtype]}
    assert given_.grad.dtype == logits.dtype
    assert torch.allclose(given_.grad.double(), exact.grad, **close)
    assert not given_.grad[targets == -100].any()


@few
@given(block=blocks(dtypes=(torch.float64,), bound=5.0), temperature=temperatures)
def test_gradcheck(block, temperature):
    logits, targets, _ = block
    logits = logits.detach().requires_grad_()

    def both(x):
        return token_logps(x, targets, temperature=temperature, entropy=True)

    assert torch.autograd.gradcheck(both, logits)


@given(block=blocks(dtypes=(torch.float32, torch.bfloat16)), temperature=temperatures)
def test_in_place_gives_the_bits_of_out_of_place(block, temperature):
    logits, targets, up = block
    grads = []
    for inplace in (False, True):
        leaf = logits.clone().requires_grad_()
        logps = token_logps(leaf * 1, targets, temperature=temperature, inplace_backward=inplace)
        logps.backward(up.to(logps.dtype))
        grads.append(leaf.grad)
    assert torch.equal(*grads)


@given(block=blocks(), temperature=temperatures, elements=st.integers(1, 30))
def test_a_row_has_the_same_bits_whatever_the_batch(block, temperature, elements):
    logits, targets, up = block
    up = up.to(torch.promote_types(logits.dtype, torch.float32))

    def bits(rows):
        leaf = logits[rows].clone().requires_grad_()
        logps, entropies = token_logps(leaf, targets[rows], temperature=temperature, entropy=True)
        (logps @ up[rows] + entropies @ up[rows]).backward()
        return logps, entropies, leaf.grad

    together = bits(slice(None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_torch, "ELEMENTS", elements)
        for i in range(len(logits)):
            for ours, theirs in zip(bits(slice(i, i + 1)), together, strict=True):
                assert torch.equal(ours[0], theirs[i])


def test_a_single_row_is_not_cut_between_threads():
    logits = torch.randn(3, 70001, generator=torch.Generator().manual_seed(0))
    targets, threads = torch.tensor([1, 2, 3]), torch.get_num_threads()
    together = token_logps(logits, targets, entropy=True)
    try:
        torch.set_num_threads(2)
        alone = token_logps(logits[:1], targets[:1], entropy=True)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(alone, together, strict=True))


@given(block=blocks(dtypes=(torch.float32, torch.bfloat16, torch.float16)), draw=st.data())
def test_rows_left_out_may_hold_anything(block, draw):
    logits, targets, up = block
    targets[::2] = -100
    poison = draw.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    bad = logits.clone()
    bad[::2] = poison
    results = []
    for values in (logits, bad):
        leaf = values.clone().requires_grad_()
        logps, entropies = token_logps(leaf, targets, entropy=True)
        (logps @ up.float() + entropies.sum()).backward()
        results.append((logps, entropies, leaf.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert not any(result[::2].any() for result in results[1])


@given(
    high=st.sampled_from([1e4, -1e4, 3e38]), spread=st.floats(0, 90), vocabulary=st.integers(2, 9)
)
def test_extremes_stay_finite(high, spread, vocabulary):
    logits = torch.full((3, vocabulary), float(high))
    logits[1, 1:] -= spread
    logits[2, 1:] = -math.inf  # one word is possible
    leaf = logits.requires_grad_()
    logps, entropies = token_logps(leaf, torch.zeros(3, dtype=torch.int64), entropy=True)
    (logps.sum() + entropies.sum()).backward()
    assert all(x.isfinite().all() for x in (logps, entropies, leaf.grad))
    assert logps[2] == 0
    assert entropies[2] == 0
    assert math.isclose(logps[0].detach(), -math.log(vocabulary), rel_tol=1e-5)


def test_an_upstream_gradient_may_be_expanded():
    logits = torch.arange(6.0).view(2, 3).requires_grad_()
    targets = torch.tensor([0, 2])
    token_logps(logits, targets).backward(torch.tensor(2.0).expand(2))
    expected = 2 * (torch.eye(3)[targets] - logits.detach().softmax(-1))
    assert torch.allclose(logits.grad, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@given(lead=st.floats(1, 12))
def test_the_slope_of_a_likely_word_is_rounded_once(dtype, lead):
    """onehot - p cancels where p is near 1: it has to be taken in float32."""
    logits = torch.tensor([[lead, 0.0]], dtype=dtype, requires_grad=True)
    token_logps(logits, torch.tensor([0])).sum().backward()
    exact = (logits.detach()[0, 1] - logits.detach()[0, 0]).double().sigmoid()  # 1 - p
    assert math.isclose(logits.grad[0, 0], exact, rel_tol=2 * torch.finfo(dtype).eps, abs_tol=1e-7)


def test_a_second_backward_after_in_place_raises():
    logits, targets = torch.zeros(2, 3, requires_grad=True), torch.tensor([0, 1])
    logps = token_logps(logits * 1, targets, inplace_backward=True).sum()
    logps.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logps.backward()


@st.composite
def products(draw, dtype=torch.float64):
    """Hidden states, a matrix, targets, temperature and a chunk."""
    rows, width, words = (draw(st.integers(low, high)) for low, high in ((0, 5), (1, 4), (1, 6)))
    hidden, weight = (draw_floats(draw, (size, width), 2.0).to(dtype) for size in (rows, words))
    word = st.sampled_from([-100, *range(words)])
    targets = draw(st.lists(word, min_size=rows, max_size=rows))
    chunk = draw(st.one_of(st.none(), st.integers(1, 4)))
    targets = torch.tensor(targets, dtype=torch.int64)
    return hidden, weight, targets, {"temperature": draw(temperatures), "chunk": chunk}


@few
@given(product=products())
def test_gradcheck_of_the_product(product):
    hidden, weight, targets, options = product
    hidden.requires_grad_(), weight.requires_grad_()

    def both(hidden, weight):
        return linear_logps(hidden, weight, targets, entropy=True, **options)

    assert torch.autograd.gradcheck(both, (hidden, weight))


@given(product=products(), dtype=st.sampled_from(list(EPS)), data=st.data())
def test_a_product_is_that_of_float64(product, dtype, data):
    hidden, weight, targets, options = product
    wanted = data.draw(st.sampled_from([(True, True), (True, False), (False, True)]))
    given_ = [
        x.to(dtype).requires_grad_(want) for x, want in zip((hidden, weight), wanted, strict=True)
    ]
    exact = [x.detach().double().requires_grad_() for x in given_]
    found = linear_logps(*given_, targets, entropy=True, **options)
    expected = oracle(exact[0] @ exact[1].T, targets, options["temperature"])
    tolerance = 300 * EPS[dtype]
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours.double(), theirs, rtol=tolerance, atol=tolerance)
    sum(x.sum() for x in found).backward()
    sum(x.sum() for x in expected).backward()
    for ours, theirs, want in zip(given_, exact, wanted, strict=True):
        assert (ours.grad is not None) == want
        if want:
            assert ours.grad.dtype == dtype
            assert torch.allclose(ours.grad.double(), theirs.grad, rtol=tolerance, atol=tolerance)


@few
@given(product=products(dtype=torch.float32))
def test_checkpointing_and_accumulation_change_nothing(product):
    hidden, weight, targets, options = product
    hidden.requires_grad_(), weight.requires_grad_()

    def logps(hidden, weight):
        return linear_logps(hidden, weight, targets, **options)

    plain = torch.autograd.grad(logps(hidden, weight).sum(), (hidden, weight))
    for _ in range(2):
        checkpoint(logps, hidden, weight, use_reentrant=False).sum().backward()
    assert torch.equal(hidden.grad, plain[0] + plain[0])
    assert torch.equal(weight.grad, plain[1] + plain[1])


def test_autocast_makes_the_product_in_half_precision_and_the_rest_in_float32():
    rng = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(n, 8, generator=rng).requires_grad_() for n in (5, 7))
    targets = torch.tensor([0, 1, -100, 3, 4])
    with torch.autocast("cpu", torch.bfloat16):
        logps = linear_logps(hidden, weight, targets)
        rows = token_logps(hidden @ weight.T, targets)
    assert logps.dtype == rows.dtype == torch.float32
    assert torch.equal(logps, rows)
    logps.sum().backward()
    assert weight.grad.dtype == torch.float32
    exact = torch.autograd.grad(linear_logps(hidden, weight, targets).sum(), weight)[0]
    assert torch.allclose(weight.grad, exact, atol=0.05)
    full = linear_logps(hidden, weight, targets)
    with torch.autocast("cpu", torch.bfloat16):  # a backward inside keeps forward's precision
        assert torch.equal(torch.autograd.grad(full.sum(), weight)[0], exact)


def test_what_stands_beyond_the_words_is_nothing():
    hidden, weight, targets = torch.ones(18, 7), torch.ones(33, 7), torch.arange(18)
    leaves = [each.bfloat16().requires_grad_() for each in (hidden, weight)]
    for _ in range(5):
        rubbish = [torch.full((size,), math.nan, dtype=torch.bfloat16) for size in (18 * 40, 4096)]
        del rubbish  # the next allocation of this size finds it
        linear_logps(*leaves, targets).sum().backward()
    assert all(leaf.grad.isfinite().all() for leaf in leaves)


def operands():
    logits = torch.arange(12.0).view(3, 4).sin().requires_grad_()
    weight = torch.arange(8.0).view(4, 2).cos().requires_grad_()
    return logits, weight, torch.tensor([1, -100, 3])


@pytest.mark.slow
@pytest.mark.parametrize("entropy", [False, True])
def test_opcheck(entropy):
    logits, weight, targets = operands()
    hidden = logits.detach()[:, :2].clone().requires_grad_()
    torch.library.opcheck(rows_op, (logits, targets, 0.7, entropy, False))
    torch.library.opcheck(rows_op, (logits.detach(), targets, 0.7, entropy, True))
    torch.library.opcheck(linear_op, (hidden, weight, targets, 0.7, 2, entropy))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("inplace", [False, True])
def test_compiles_without_a_graph_break(backend, inplace):
    logits, weight, targets = operands()

    def loss(logits, weight):
        rows = token_logps(logits * 2, targets, temperature=0.7, inplace_backward=inplace)
        return (rows + linear_logps(logits[:, :2], weight, targets)).sum()

    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    grads = [torch.autograd.grad(f(logits, weight), (logits, weight)) for f in (loss, compiled)]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*grads, strict=True))
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_torch_func_and_a_second_derivative_are_refused():
    logits, weight, targets = operands()
    plain = logits.detach()
    with pytest.raises(ValueError, match="cannot look into fused"):
        torch.func.grad(lambda x: token_logps(x, targets).sum())(plain)
    with pytest.raises(ValueError, match="cannot look into fused"):
        torch.func.jvp(lambda x: linear_logps(x, weight, targets), (plain[:, :2],), (plain[:, :2],))
    slope = torch.autograd.grad(token_logps(logits, targets).sum(), logits, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="no autograd formula"):
        slope.sum().backward()


LOGITS, TARGETS = torch.zeros(2, 3), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("logits", "targets", "options", "message"),
    [
        (LOGITS[0], TARGETS, {}, r"logits: expected floating-point \(rows, vocabulary\), got"),
        (LOGITS.long(), TARGETS, {}, r"logits: .* got torch.int64 \(2, 3\)"),
        (LOGITS, TARGETS[:1], {}, r"targets: expected int64 \(2,\), got torch.int64 \(1,\)"),
        (LOGITS, TARGETS.float(), {}, r"targets: .* got torch.float32 \(2,\)"),
        (LOGITS, TARGETS + 2, {}, "targets: expected -100 or words from 0 to 2, got 3"),
        (LOGITS, TARGETS - 1, {}, "targets: .* got -1"),
        (LOGITS[:, :0], TARGETS, {}, "vocabulary: expected at least one word"),
        (LOGITS, TARGETS, {"temperature": 0.0}, r"temperature: expected a number in \(0, inf\)"),
        (LOGITS, TARGETS, {"temperature": math.nan}, "temperature: .* got nan"),
    ],
)
def test_bad_input(logits, targets, options, message):
    with pytest.raises(ValueError, match=message):
        token_logps(logits, targets, **options)


def test_bad_input_of_the_product_and_of_in_place():
    hidden, weight = torch.zeros(2, 4), torch.zeros(3, 4)
    with pytest.raises(ValueError, match="weight: expected width 4, got 3"):
        linear_logps(hidden, weight[:, :3], TARGETS)
    with pytest.raises(ValueError, match="weight: expected hidden's dtype"):
        linear_logps(hidden, weight.double(), TARGETS)
    with pytest.raises(ValueError, match="chunk: expected at least 1 row, got 0"):
        linear_logps(hidden, weight, TARGETS, chunk=0)
    with pytest.raises(ValueError, match="inplace_backward: expected logits that a model"):
        token_logps(LOGITS.clone().requires_grad_(), TARGETS, inplace_backward=True)
    for one in (LOGITS[:1], LOGITS[:, :1]):
        with pytest.raises(ValueError, match="inplace_backward: expected logits that each have"):
            token_logps(one.expand(2, 3), TARGETS, inplace_backward=True)
