"""Order, graphs, waiting and memory: what a launch must not disturb."""

from contextlib import contextmanager

import pytest
import torch
from gpu_rows import check_logps, exact, rows_of

from minipref.fused import token_logps
from minipref.fused.backends import ON_GPU

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

HALF_A_SECOND = 1_000_000_000  # cycles, at some 2 GHz


def both_ways(leaf, targets, **options):
    """Log-probs, entropies and the gradient of their sum."""
    logps, entropies = token_logps(leaf, targets, entropy=True, **options)
    (gradient,) = torch.autograd.grad(logps.sum() - 0.3 * entropies.sum(), leaf)
    return logps.detach(), entropies.detach(), gradient


def stats():
    """How often the allocator was asked for memory so far, and for how many bytes."""
    seen = torch.cuda.memory_stats()
    return seen["allocation.all.allocated"], seen["requested_bytes.all.allocated"]


def test_a_launch_waits_for_what_its_stream_does_before():
    """A slow producer on a side stream: in any other stream the kernels would read zeros.

    CPU: test_with_cupy::test_the_stream_is_the_one_that_is_current_at_the_launch
    """
    wanted, targets = rows_of(64, 50257)
    expected = both_ways(wanted.detach().requires_grad_(), targets)
    logits = torch.zeros_like(wanted).requires_grad_()
    side = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        torch.cuda._sleep(HALF_A_SECOND)
        with torch.no_grad():
            logits.copy_(wanted)
        found = both_ways(logits, targets)
    side.synchronize()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_what_follows_in_the_stream_waits_for_the_kernels():
    """The other half: a consumer that overwrites the logits comes after the kernels' reads.

    CPU: test_with_cupy::test_the_stream_is_the_one_that_is_current_at_the_launch
    """
    logits, targets = rows_of(64, 50257)
    expected = token_logps(logits, targets)
    side = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        torch.cuda._sleep(HALF_A_SECOND)
        found = token_logps(logits, targets)
        logits.zero_()
    side.synchronize()
    assert torch.equal(found, expected)


def test_a_graph_replays_on_new_numbers():
    """CPU: test_with_cupy::test_what_a_launch_passes"""
    logits, targets = rows_of(32, 151_936)
    leaf = logits.detach().requires_grad_()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        both_ways(leaf, targets)  # compiles
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = both_ways(leaf, targets)
    for seed in (1, 2):
        other, goals = rows_of(32, 151_936, seed=seed)
        with torch.no_grad():
            leaf.copy_(other)
            targets.copy_(goals)
        graph.replay()
        expected = both_ways(other.detach().requires_grad_(), goals)
        assert all(torch.equal(a, b) for a, b in zip(captured, expected, strict=True))


@contextmanager
def waiting_is_an_error():
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("inplace", [False, True])
def test_the_host_does_not_wait(inplace):
    """It is through while the GPU is still busy with what was there before.

    CPU: test_complaints::test_a_launch_allocates_its_outputs_and_waits_for_nothing
    """
    logits, targets = rows_of(32, 32000)
    leaf = logits.detach().requires_grad_()
    done = torch.cuda.Event()
    both_ways(leaf * 1, targets, inplace_backward=inplace)  # compiles
    torch.cuda.synchronize()
    with waiting_is_an_error():
        torch.cuda._sleep(HALF_A_SECOND)
        done.record()
        found = both_ways(leaf * 1, targets, inplace_backward=inplace)
        assert not done.query(), "the host has waited for the GPU"
    torch.cuda.synchronize()
    check_logps(found[0], exact(logits, targets)[0])


@pytest.mark.parametrize("entropy", [False, True])
@pytest.mark.parametrize("vocabulary", [50257, 128256])
def test_nothing_is_allocated_but_the_outputs(entropy, vocabulary):
    """CPU: test_complaints::test_a_launch_allocates_its_outputs_and_waits_for_nothing"""
    logits, targets = rows_of(64, vocabulary)
    up = torch.ones(64, device="cuda")
    out = torch.empty_like(logits)
    before = stats()
    logps, entropies, seen = ON_GPU.logps_of_rows(logits, targets, 0.7, entropy)
    between = stats()
    outputs = [each for each in (logps, entropies, seen) if each.numel()]
    assert between[0] - before[0] == len(outputs)
    assert between[1] - before[1] == sum(each.nbytes for each in outputs)
    of_entropy = up if entropy else up[:0]
    for written in (out, logits):
        arguments = written, logits, targets, logps, entropies, seen, up, of_entropy, 0.7
        ON_GPU.write_gradient(*arguments)
    assert stats() == between


@pytest.mark.parametrize("inplace", [False, True])
def test_memory_of_a_whole_step(inplace):
    """One tensor of the logits' size for the gradient, none where it is written over them.

    CPU: test_fused_logps::test_in_place_gives_the_bits_of_out_of_place
    """
    logits, targets = rows_of(256, 128_256)
    leaf = logits.detach().requires_grad_()
    given_ = leaf * 1
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    logps = token_logps(given_, targets, inplace_backward=inplace)
    (gradient,) = torch.autograd.grad(logps.sum(), given_)
    more = torch.cuda.max_memory_allocated() - before
    assert gradient.shape == logits.shape
    assert (0 if inplace else logits.nbytes) <= more < (not inplace) * logits.nbytes + 2**22
