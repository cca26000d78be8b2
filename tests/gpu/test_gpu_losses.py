"""Losses from logits and from hidden states on a GPU, against the library's in float64."""

import pytest
import torch
from gpu_rows import IGNORED, ROUNDING, check_gradient, check_logps, exact, rows_of

from minipref import fused, losses
from minipref.fused.backends import ON_GPU
from minipref.fused.in_kernels import starts_at_16

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

NAMES = ["dpo", "ipo", "simpo", "kto", "grpo"]


def sides(loss, logps, mask):
    """Of token log-probs, what a loss takes: one number a response, or those of each token."""
    sums = logps.sum(-1)
    if loss in ("ipo", "simpo"):
        sums = sums / mask.sum(-1).clamp(min=1)
    return {"kto": [sums], "grpo": [logps]}.get(loss, sums.chunk(2))


def besides(loss, logps, mask):
    """What else it takes, by name: a reference not far from the policy, and the like."""
    near = [side.detach() + 0.3 * side.detach().cos() for side in sides(loss, logps, mask)]
    order = torch.arange(len(logps), device="cuda")
    if loss in ("dpo", "ipo"):
        kind = "logps" if loss == "dpo" else "mean_logps"
        return {f"ref_chosen_{kind}": near[0], f"ref_rejected_{kind}": near[1]}
    if loss == "kto":
        return {"ref_logps": near[0], "desirable": order % 2 == 0, "kl": near[0].new_tensor(0.4)}
    if loss == "grpo":
        return {
            "old_logps": near[0],
            "advantages": order.cos().double(),
            "ref_logps": near[0] - 0.1,
        }
    return {}


def problem(sequences, tokens, vocabulary, dtype=torch.bfloat16):
    logits, targets = rows_of(sequences * tokens, vocabulary, dtype)
    targets[::7] = IGNORED
    targets[:tokens] = IGNORED  # a whole response
    return logits.view(sequences, tokens, vocabulary), targets.view(sequences, tokens)


def relative(found, expected):
    return float((found.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("dtype", list(ROUNDING))
@pytest.mark.parametrize("loss", NAMES)
def test_a_loss_from_logits_and_its_gradient(loss, dtype, inplace):
    """CPU: test_from_logits::test_a_loss_and_its_gradient_are_those_of_the_longer_way"""
    logits, targets = problem(6, 40, 50257, dtype)
    wide, mask = logits.double().requires_grad_(), targets != IGNORED
    logps = exact(wide.flatten(0, 1), targets.flatten())[0].view(targets.shape)
    given_ = besides(loss, logps, mask)
    masked = {"mask": mask} if loss == "grpo" else {}
    expected = getattr(losses, loss)(*sides(loss, logps, mask), **given_, **masked)
    leaf = logits.detach().requires_grad_()
    narrow = {name: x.float() if x.is_floating_point() else x for name, x in given_.items()}
    found = getattr(fused, loss)(
        leaf * 1 if inplace else leaf, targets, **narrow, inplace_backward=inplace
    )
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=2e-4)
    up = torch.linspace(0.5, 2, len(found), device="cuda")
    (found @ up).backward()
    (expected @ up.double()).backward()
    assert relative(leaf.grad, wide.grad) < 2 * ROUNDING[dtype] + 1e-3
    assert not leaf.grad[~mask].any()


@pytest.mark.parametrize("loss", NAMES)
def test_whichever_block_comes_last_the_bits_are_the_same(loss):
    """CPU: test_sequence_losses::test_the_order_in_which_blocks_come_changes_no_bit"""
    logits, targets = problem(1000, 9, 1003)
    logps = exact(logits.flatten(0, 1), targets.flatten())[0].view(targets.shape)
    given_ = besides(loss, logps.float(), targets != IGNORED)
    given_ = {name: x.float() if x.is_floating_point() else x for name, x in given_.items()}

    def step():
        leaf = logits.detach().requires_grad_()
        found = getattr(fused, loss)(leaf, targets, **given_)
        return found, *torch.autograd.grad(found.sum(), leaf)

    first = step()
    assert first[0].isfinite().all()
    for _ in range(20):
        assert all(torch.equal(a, b) for a, b in zip(first, step(), strict=True))


@pytest.mark.parametrize("dtype", list(ROUNDING))
@pytest.mark.parametrize("vocabulary", [8, 32000, 50257, 50304, 128256, 151936, 262144])
def test_one_pass_replaces_logits_by_onehot_less_softmax(vocabulary, dtype):
    """CPU: test_one_pass::test_the_launcher_finds_what_torch_finds"""
    logits, targets = rows_of(140, vocabulary, dtype)
    assert starts_at_16(logits) == (vocabulary != 50257)
    wide = logits.double().requires_grad_()
    expected = exact(wide, targets, 0.7)
    (slope,) = torch.autograd.grad(0.7 * expected[0].sum(), wide)
    check_logps(ON_GPU.one_pass(logits, targets, 0.7), expected[0])
    check_gradient(logits, slope, expected[2].detach())


@pytest.mark.parametrize("dtype", list(ROUNDING))
def test_dpo_from_hidden_states(dtype):
    """CPU: test_linear_loss::test_value_log_probs_and_gradients"""
    generator = torch.Generator("cuda").manual_seed(0)
    hidden, weight = (
        (torch.randn(*shape, 64, device="cuda", generator=generator) * scale).to(dtype)
        for shape, scale in (((8, 2, 30), 0.3), ((32000,), 1.0))
    )
    targets = torch.randint(32000, (8, 2, 30), device="cuda", generator=generator)
    targets[..., ::3] = IGNORED
    wide = [x.double().requires_grad_() for x in (hidden, weight)]
    rows = exact((wide[0] @ wide[1].T).flatten(0, 2), targets.flatten())[0]
    near = rows.detach().view(targets.shape).sum(-1) + 0.5
    expected = losses.dpo(*rows.view(targets.shape).sum(-1).unbind(1), *near.unbind(1)).sum()

    def loss(logps, pairs):
        chosen, rejected = logps.sum(-1).unbind(1)
        return losses.dpo(chosen, rejected, *near[pairs].float().unbind(1))

    given_ = [x.detach().requires_grad_() for x in (hidden, weight)]
    total, logps = fused.linear_loss(*given_, targets, loss, chunk=130)
    tolerance = 1e-4 if dtype == torch.float32 else 8 * ROUNDING[dtype]
    assert relative(total.detach(), expected.detach()) < tolerance
    assert relative(logps.flatten(), rows.detach()) < tolerance
    total.backward()
    expected.backward()
    for ours, theirs in zip(given_, wide, strict=True):
        assert relative(ours.grad, theirs.grad) < tolerance
