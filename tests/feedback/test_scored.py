"""Scores without verdicts: pairs as they come, and a scale that only differences decide."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.streams import stream
from minipref.data.work import counting
from minipref.feedback.scored import Scored, spread, stretched

WORLD = Bandit(3, 5, seed=2)


@st.composite
def batches(draw):
    """`k` responses to each of some prompts, in groups that stand side by side."""
    groups, k = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    prompts = [WORLD.all_prompts[draw(st.integers(0, 2))] for _ in range(groups) for _ in range(k)]
    said = [f"r{draw(st.integers(0, 4))}" for _ in range(groups * k)]
    return Batch.of(WORLD, prompts, said, torch.arange(groups * k) // k)


def by_table(batch, offset=0.0):
    """A score by word, and an offset by group."""
    words = torch.tensor([int(said[1:]) for said in batch.responses], dtype=torch.float64)
    return words.square() - offset * batch.groups


@given(batches())
def test_every_row_scores_and_pairs_come_as_they_stand(batch):
    with counting() as work:
        told = Scored(by_table).label(batch, stream(0, "x"))
    assert work.queries == len(batch)
    assert work.labels == 0
    assert told.columns["scores"].tolist() == by_table(batch).tolist()
    assert told.columns["rewards"].tolist() == by_table(batch).tolist()
    assert bool((told.pairs[:, 0] < told.pairs[:, 1]).all())
    assert bool((told.groups[told.pairs[:, 0]] == told.groups[told.pairs[:, 1]]).all())
    assert len(told.pairs.unique()) == told.pairs.numel()


@given(batches(), st.floats(0.1, 10), st.floats(-3, 3))
def test_a_stretched_score_has_the_spread_whatever_its_scale_and_offset(batch, to, offset):
    batch = Scored(by_table).label(batch, stream(0, "x"))
    if spread(by_table(batch), batch.pairs) == 0:
        with pytest.raises(ValueError, match="score alike"):
            stretched(by_table, batch, to)
        return
    first = stretched(by_table, batch, to)(batch)
    second = stretched(lambda asked: 7 * by_table(asked, offset), batch, to)(batch)
    assert spread(first, batch.pairs) == pytest.approx(to)
    for told in (first, second):
        gaps = told[batch.pairs[:, 0]] - told[batch.pairs[:, 1]]
        assert float(gaps.square().mean().sqrt()) == pytest.approx(to)
    factor = to / spread(by_table(batch), batch.pairs)
    torch.testing.assert_close(first, factor * by_table(batch))


def test_spread_by_hand():
    assert spread(torch.tensor([1.0, 4.0, 2.0, 6.0]), torch.tensor([[0, 1], [3, 2]])) == (
        pytest.approx((25 / 2) ** 0.5)
    )


def test_bad_input():
    batch = Batch.of(WORLD, [WORLD.all_prompts[0]] * 2, ["r0", "r1"], torch.zeros(2).long())
    with pytest.raises(ValueError, match="expected pairs, got None"):
        stretched(by_table, batch, 1.0)
    with pytest.raises(ValueError, match="nan for row 0"):
        Scored(lambda asked: torch.full((len(asked),), torch.nan)).label(batch, stream(0, "x"))
    paired = Scored(by_table).label(batch, stream(0, "x"))
    for to in (0.0, -1.0, float("inf")):
        with pytest.raises(ValueError, match="to: expected"):
            stretched(by_table, paired, to)
