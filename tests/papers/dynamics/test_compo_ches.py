"""Row 004: pairs sorted by a number, and split into halves of the same lengths."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.papers.dynamics.compo_ches import extremes, halves

scores = st.lists(st.integers(-5, 5), min_size=5, max_size=40)


@given(drawn=scores, share=st.sampled_from([0.2, 0.4]))
def test_the_extremes_are_the_extremes(drawn, share):
    score = torch.tensor(drawn).double()
    low, high = extremes(score, share)
    assert len(low) == len(high) == round(share * len(drawn))
    assert not set(low.tolist()) & set(high.tolist())
    assert float(score[low].max()) <= float(score[high].min())


@given(data=st.data(), drawn=scores)
def test_halves_are_alike_in_kind_and_apart_in_score(data, drawn):
    score = torch.tensor(drawn).double()
    cells = st.lists(st.integers(0, 2), min_size=len(drawn), max_size=len(drawn))
    kinds = torch.tensor([data.draw(cells), data.draw(cells)]).T  # (pairs, 2)
    low, high = halves(score, kinds)
    assert len(low) == len(high)
    assert not set(low.tolist()) & set(high.tolist())
    assert torch.equal(kinds[low], kinds[high])  # matched one by one
    for kind in kinds.unique(dim=0):
        of_low, of_high = (score[index][(kinds[index] == kind).all(1)] for index in (low, high))
        members = int((kinds == kind).all(1).sum())
        assert len(of_low) == members // 2
        if members > 1:
            assert float(of_low.max()) <= float(of_high.min())
