"""Several references: weights, clipping and the merged one, by their limits and bounds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.direct.several_references import (
    MultiDPO,
    adaptive_weights,
    as_reference,
    merged,
    ref_logps,
    regions,
    trusted,
    with_weights,
)
from minipref.algorithm.objective import Objective
from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.model.transformer import Config, Transformer

MODELS = [Transformer(Config(11, width=8, layers=1, heads=2), stream(i, "several")) for i in (0, 1)]
with torch.no_grad():  # far enough apart that it matters which one is asked
    for weight in MODELS[1].parameters():
        weight.mul_(3)
ROWS = Rows.of([[1], [1], [2], [2]], [[3, 4], [5], [6, 7, 8], [9, 10]])
PAIRS = Batch(("",) * 4, ("",) * 4, ROWS, torch.tensor([0, 0, 1, 1]))
PAIRS = PAIRS.with_pairs(torch.tensor([[0, 1], [3, 2]]))
close = torch.testing.assert_close
few = settings(max_examples=10)


@st.composite
def tables(draw, references=3):
    """Log-probs (pairs, 2, references) of responses that no reference finds certain."""
    pairs, seed = draw(st.integers(1, 4)), draw(st.integers(0, 10**6))
    rng = torch.Generator().manual_seed(seed)
    shape = pairs, 2, draw(st.integers(2, references))
    return -0.1 - 20 * torch.rand(shape, generator=rng, dtype=torch.float64)


@given(known=tables())
def test_weights_sum_to_one_and_the_sharpest_reference_has_most(known):
    weights = adaptive_weights(known)
    close(weights.sum(1), torch.ones(len(known), dtype=weights.dtype))
    sharpest = (known[:, 0] - known[:, 1]).abs().argmax(1)
    assert torch.equal(weights.argmax(1), sharpest)
    close(adaptive_weights(known.flip(1)), weights)  # sharp, whichever way


def test_weights_are_even_where_nothing_is_told_apart():
    close(adaptive_weights(torch.full((2, 2, 3), -1.0)), torch.full((2, 3), 1 / 3))


@given(known=tables(), most=st.floats(0, 0.5))
def test_regions_share_what_there_is(known, most):
    room = regions(known, most)
    close(room.sum(1), torch.full((len(known),), most, dtype=room.dtype))
    likelier = known.mean(-1).argmax(1)
    assert bool((room.gather(1, likelier[:, None])[:, 0] <= most / 2 + 1e-12).all())


@given(known=tables(), most=st.floats(0, 0.5))
def test_clipped_references_stay_near_the_first_one(known, most):
    near, first = trusted(known, most), known[..., :1]
    room = regions(known, most)[..., None] * first.abs()
    assert bool(((near - first).abs() <= room + 1e-9).all())
    close(near[..., 0], known[..., 0])
    inside = (known - first).abs() < room
    assert torch.equal(near[inside], known[inside])
    close(trusted(near, 0.0), first.expand_as(near))


def test_regions_must_not_be_negative():
    with pytest.raises(ValueError, match="most"):
        trusted(torch.zeros(1, 2, 2), -0.1)


@given(known=tables())
def test_merged_lies_between_below_the_geometric_mean(known):
    weights = adaptive_weights(known)
    one = merged(known, weights)
    assert bool((one >= known.amin(-1) - 1e-9).all() and (one <= known.amax(-1) + 1e-9).all())
    assert bool((one <= (weights[:, None] * known).sum(-1) + 1e-9).all())
    by_hand = -((weights[:, None] / known.exp()).sum(-1)).log()
    close(one, by_hand, rtol=1e-6, atol=1e-6)


@given(known=tables())
def test_merged_limits(known):
    same = known[..., :1].expand_as(known)
    close(merged(same, adaptive_weights(known)), known[..., 0])
    only = torch.zeros(len(known), known.shape[2], dtype=known.dtype)
    only[:, 1] = 1.0
    close(merged(known, only), known[..., 1])
    close(merged(known + 2.0, only), known[..., 1] + 2.0)


@given(known=tables(references=4))
def test_further_references_have_no_order(known):
    order = torch.cat([torch.tensor([0]), torch.arange(1, known.shape[2]).flip(0)])
    turned = known[..., order]
    close(
        merged(trusted(turned), adaptive_weights(turned)),
        merged(trusted(known), adaptive_weights(known)),
    )


def test_pairs_keep_what_their_reference_says():
    known = ref_logps(PAIRS, MODELS)
    assert known.shape == (2, 2, 2)
    back = as_reference(PAIRS, known[..., 1])
    close(back.columns["ref_logps"][PAIRS.pairs], known[..., 1])
    expected, _ = Objective.of("dpo", reference=MODELS[1], beta=0.5)(MODELS[0], PAIRS)
    close(Objective.of("dpo", beta=0.5)(MODELS[0], back)[0], expected)
    with pytest.raises(ValueError, match="pairs"):
        ref_logps(Batch(("",) * 4, ("",) * 4, ROWS, torch.tensor([0, 0, 1, 1])), MODELS)


@few
@given(share=st.floats(0, 1))
def test_multi_dpo_is_a_weighted_sum_of_dpos(share):
    known = ref_logps(PAIRS, MODELS)
    weights = torch.tensor([share, 1 - share]).expand(2, 2)
    batch = with_weights(as_reference(PAIRS, known), weights)
    found, _ = MultiDPO(beta=0.5)(MODELS[0], batch)
    each = [Objective.of("dpo", reference=m, beta=0.5)(MODELS[0], PAIRS)[0] for m in MODELS]
    close(found, share * each[0] + (1 - share) * each[1])
