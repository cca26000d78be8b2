"""The area under the ROC curve, against its definition, pair by pair."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.auc import auc

scores = st.lists(st.integers(-3, 3), min_size=1, max_size=8)  # few numbers: many ties


def found(above, below):
    both = torch.tensor([*above, *below], dtype=torch.float32)
    return auc(both, torch.arange(len(both)) < len(above))


@given(above=scores, below=scores)
def test_it_is_the_share_of_pairs_in_order(above, below):
    wins = [(a > b) + 0.5 * (a == b) for a in above for b in below]
    assert math.isclose(found(above, below), sum(wins) / len(wins), rel_tol=1e-6)


@given(above=scores, below=scores)
def test_roles_exchanged(above, below):
    assert math.isclose(found(above, below) + found(below, above), 1, rel_tol=1e-6)


@given(above=scores, below=scores)
def test_only_the_order_of_the_scores_counts(above, below):
    assert found(above, below) == found(
        [3 * a**3 + 1 for a in above], [3 * b**3 + 1 for b in below]
    )


def test_blind_and_perfect():
    assert found([1, 1], [1, 1, 1]) == 0.5
    assert found([2, 3], [0, 1]) == 1.0


@pytest.mark.parametrize("positive", [[True, True], [False, False], [1, 0]])
def test_one_of_either_kind(positive):
    with pytest.raises(ValueError, match="positive: expected bool with a True and a False in it"):
        auc(torch.zeros(2), torch.tensor(positive))


def test_shapes():
    with pytest.raises(ValueError, match=r"scores, positive: expected \(n,\) both, got \(2,\)"):
        auc(torch.zeros(2), torch.tensor([True, False, True]))
