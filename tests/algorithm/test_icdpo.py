"""ICDPO's score is a difference of two log-probs, and its pick the best of a group."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.decoding.icdpo import contrast, pick
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.model.logprobs import sequence_logps
from minipref.model.transformer import Config, Transformer

ids = st.lists(st.integers(4, 11), min_size=1, max_size=4)
POLICY = Transformer(Config(vocabulary=12, width=8, layers=1, heads=2, context=24), stream(0, "w"))


@st.composite
def asked(draw):
    count = draw(st.integers(1, 5))
    prompts = [draw(ids) for _ in range(count)]
    shown = [draw(ids) + prompt for prompt in prompts]
    return shown, prompts, [draw(ids) for _ in range(count)]


@given(asked(), st.integers(1, 5))
def test_the_score_is_what_the_context_changes(drawn, batch_size):
    shown, prompts, responses = drawn
    rows = Rows.of(prompts, responses)
    scores = contrast(POLICY, shown, rows, batch_size)
    with torch.no_grad():
        informed = sequence_logps(POLICY, Rows.of(shown, responses))
        expected = informed - sequence_logps(POLICY, rows)
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)
    nothing = contrast(POLICY, prompts, rows, batch_size)
    torch.testing.assert_close(nothing, torch.zeros(len(rows)))


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([-1.0, 0.0, 2.0])), min_size=1))
def test_the_pick_is_the_first_best_of_its_group(drawn):
    groups = torch.tensor([group for group, _ in drawn])
    scores = torch.tensor([score for _, score in drawn])
    picked = pick(scores, groups).tolist()
    assert groups[picked].tolist() == sorted(set(groups.tolist()))
    for row in picked:
        members = [i for i in range(len(drawn)) if groups[i] == groups[row]]
        assert row == min(members, key=lambda i: (-float(scores[i]), i))


def test_bad_input():
    rows = Rows.of([[4], [5]], [[6], [7]])
    with pytest.raises(ValueError, match="shown: expected 2 prompts, one a row, got 1"):
        contrast(POLICY, [[4]], rows)
    with pytest.raises(ValueError, match=r"scores, groups: expected \(rows,\) each"):
        pick(torch.zeros(3), torch.zeros(2))
