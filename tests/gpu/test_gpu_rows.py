"""Log-probs and their gradient on a GPU against float64: vocabularies, dtypes, far addresses."""

import pytest
import torch
from gpu_rows import IGNORED, ROUNDING, check_gradient, check_logps, exact, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.fused import linear_logps, token_logps
from minipref.fused.backends import ON_GPU

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

dtypes = st.sampled_from(list(ROUNDING))
VOCABULARIES = [1, 2, 31, 1000, 4097, 32000, 50257, 128256, 151936, 262144]


@settings(max_examples=60)
@given(
    rows=st.integers(1, 5),
    vocabulary=st.sampled_from(VOCABULARIES),
    dtype=dtypes,
    temperature=st.sampled_from([1.0, 0.7, 2.0]),
    spread=st.sampled_from([0.01, 1.0, 5.0]),
    start=st.integers(0, 9),
    gap=st.integers(0, 9),
    masks=st.lists(st.booleans(), min_size=5, max_size=5),
    inplace=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_values_and_gradients_are_those_of_float64(
    rows, vocabulary, dtype, temperature, spread, start, gap, masks, inplace, seed
):
    """CPU: test_fused_through_kernels::test_kernels_and_torch_agree"""
    logits, targets = rows_of(
        rows, vocabulary, dtype, seed=seed, spread=spread, start=start, gap=gap
    )
    targets[torch.tensor(masks[:rows], device="cuda")] = IGNORED
    up = torch.linspace(-2, 2, rows, device="cuda")
    leaf, wide = logits.detach().requires_grad_(), logits.double().requires_grad_()
    given_ = leaf * 1 if inplace else leaf  # what a model has put out may be overwritten
    logps, entropies = token_logps(
        given_, targets, temperature=temperature, entropy=True, inplace_backward=inplace
    )
    expected = exact(wide, targets, temperature)
    check_logps(logps, expected[0])
    check_logps(entropies, expected[1])
    (logps @ up + 0.5 * entropies.sum()).backward()
    (expected[0] @ up.double() + 0.5 * expected[1].sum()).backward()
    check_gradient(leaf.grad, wide.grad, expected[2].detach(), scale=20)
    assert not leaf.grad[targets == IGNORED].any()


@settings(max_examples=20)
@given(
    rows=st.integers(1, 9),
    vocabulary=st.sampled_from(VOCABULARIES),
    dtype=dtypes,
    at=st.integers(0, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_row_has_the_same_bits_in_any_batch(rows, vocabulary, dtype, at, seed):
    """CPU: test_token_logps_forward::test_a_row_gets_the_same_bits_whatever_stands_around_it"""
    logits, targets = rows_of(rows, vocabulary, dtype, seed=seed, start=at)

    def bits(logits, targets):
        leaf = logits.detach().requires_grad_()
        logps, entropies = token_logps(leaf, targets, entropy=True)
        (logps.sum() - 0.3 * entropies.sum()).backward()
        return logps, entropies, leaf.grad

    row = at % rows
    order = torch.arange(rows - 1, -1, -1, device="cuda")
    together, mixed = bits(logits, targets), bits(logits[order], targets[order])
    alone = bits(logits[row : row + 1].clone(), targets[row : row + 1])
    for one, all_, other in zip(alone, together, mixed, strict=True):
        assert torch.equal(one[0], all_[row])
        assert torch.equal(all_[order], other)


def test_more_rows_than_a_grid_has_in_y():
    """CPU: test_token_logps_forward::test_more_rows_than_a_grid_has_in_y"""
    logits, targets = rows_of(70_001, 37)
    leaf, wide = logits.detach().requires_grad_(), logits.double().requires_grad_()
    logps, expected = token_logps(leaf, targets), exact(wide, targets)
    check_logps(logps, expected[0])
    logps.sum().backward()
    expected[0].sum().backward()
    check_gradient(leaf.grad, wide.grad, expected[2].detach())


@pytest.mark.parametrize("elements", [2**31, 2**32])
def test_addresses_beyond_32_bits(elements):
    """CPU: test_token_logps_forward::test_rows_that_lie_further_apart_than_32_bits_count"""
    vocabulary = 151_936
    rows = elements // vocabulary + 3
    if torch.cuda.mem_get_info()[0] < 2 * rows * vocabulary + 2**30:
        pytest.skip(f"needs {2 * rows * vocabulary / 2**30:.0f} GiB")
    logits = torch.zeros(rows, vocabulary, dtype=torch.bfloat16, device="cuda")
    some = [0, 1, rows // 2, rows - 2, rows - 1]
    logits[some], goals = rows_of(len(some), vocabulary)
    targets = torch.full((rows,), IGNORED, device="cuda")
    targets[some] = goals
    wide = logits[some].double().requires_grad_()
    expected = exact(wide, goals)

    logps, entropies, seen = ON_GPU.logps_of_rows(logits, targets, 1.0, True)
    check_logps(logps[some], expected[0])
    check_logps(entropies[some], expected[1])
    up = torch.ones(rows, device="cuda")
    ON_GPU.write_gradient(logits, logits, targets, logps, entropies, seen, up, up, 1.0)
    (expected[0] + expected[1]).sum().backward()
    check_gradient(logits[some], wide.grad, expected[2].detach(), scale=20)
    assert not logits[2 :: rows // 7][:6].any(), "rows left out are zeros"


@pytest.mark.parametrize("poison", [torch.nan, torch.inf, -torch.inf])
def test_rows_left_out_may_hold_anything(poison):
    """CPU: test_token_logps_backward::test_masked_rows_become_zeros_unread"""
    logits, targets = rows_of(4, 50257)
    logits[1], targets[1] = poison, IGNORED
    leaf = logits.detach().requires_grad_()
    logps, entropies = token_logps(leaf, targets, entropy=True)
    (logps.sum() + entropies.sum()).backward()
    for tensor in (logps, entropies, leaf.grad):
        assert not tensor[1].any()
        assert tensor.isfinite().all()


@pytest.mark.parametrize("dtype", list(ROUNDING))
def test_a_product_of_hidden_states_and_a_matrix(dtype):
    """CPU: test_fused_through_kernels::test_a_product_through_kernels"""
    generator = torch.Generator("cuda").manual_seed(0)
    hidden, weight = (
        torch.randn(n, 64, device="cuda", generator=generator).to(dtype) for n in (300, 50257)
    )
    targets = torch.randint(50257, (300,), device="cuda", generator=generator)
    targets[::3] = IGNORED
    given_ = [x.detach().requires_grad_() for x in (hidden, weight)]
    wide = [x.double().requires_grad_() for x in (hidden, weight)]
    logps = linear_logps(*given_, targets, chunk=70)
    expected = exact(wide[0] @ wide[1].T, targets)[0]
    tolerance = 1e-4 if dtype == torch.float32 else 30 * ROUNDING[dtype]
    torch.testing.assert_close(logps.double(), expected, rtol=tolerance, atol=tolerance)
    logps.sum().backward()
    expected.sum().backward()
    for ours, theirs in zip(given_, wide, strict=True):
        error = (ours.grad.double() - theirs.grad).norm() / theirs.grad.norm()
        assert error < (1e-5 if dtype == torch.float32 else 4 * ROUNDING[dtype])


def test_tensors_on_a_device_that_is_not_the_current_one():
    """CPU: test_with_cupy::test_a_kernel_is_compiled_once_a_device"""
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    logits, targets = rows_of(3, 1000)
    expected = token_logps(logits, targets)
    found = token_logps(logits.to("cuda:1"), targets.to("cuda:1"))
    assert found.device == torch.device("cuda:1")
    assert torch.cuda.current_device() == 0
    assert torch.equal(found.cpu(), expected.cpu())
