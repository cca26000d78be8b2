"""Held-out accuracy: an order, its ties, and how sure it is."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.own_data.encoding import Bytes
from minipref.data.records import Pair, Point, Ranking
from minipref.data.streams import stream
from minipref.data.texts import batch_of
from minipref.evaluation.own_data.accuracy import by_length, mean_win, scored_by, scores, wins
from minipref.losses.registry import get
from minipref.model.logprobs import sequence_logps
from minipref.model.transformer import Config, Transformer

pytestmark = pytest.mark.slow

numbers = st.integers(-3, 3).map(float)
two = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=12)


def accuracy(batch, score, by_prompt=True):
    return mean_win(batch, wins(batch, score), by_prompt=by_prompt)


def of_points(score, desirable):
    records = [Point(str(i), "a", bool(label)) for i, label in enumerate(desirable)]
    return accuracy(batch_of(Bytes(), records), score)


def pairs_of(count, prompts=None):
    asked = prompts or [str(i) for i in range(count)]
    return batch_of(Bytes(), [Pair(prompt, "yes", "no") for prompt in asked])


@given(found=two)
def test_of_pairs_it_is_the_share_that_is_ordered_rightly(found):
    estimate = accuracy(pairs_of(len(found)), torch.tensor(found).flatten())
    wins = torch.tensor([(a > b) + (a == b) / 2 for a, b in found], dtype=torch.float64)
    assert estimate.value == pytest.approx(float(wins.mean()))
    assert estimate.se == pytest.approx(float(wins.std() / len(wins) ** 0.5))


@given(found=two)
def test_swapped_sides_turn_it_round_and_only_the_order_counts(found):
    batch, score = pairs_of(len(found)), torch.tensor(found).flatten()
    once = accuracy(batch, score)
    assert accuracy(batch, -score).value == pytest.approx(1 - once.value)
    assert accuracy(batch, 7 * score.exp()) == once


@given(found=two, copies=st.integers(2, 4))
def test_a_prompt_that_comes_often_is_one_piece_of_evidence(found, copies):
    names = [str(i) for i in range(len(found))]
    repeated = torch.tensor(found * copies).flatten()
    batch = pairs_of(0, names * copies)
    once = accuracy(pairs_of(len(found)), torch.tensor(found).flatten())
    grouped = accuracy(batch, repeated)
    assert grouped.value == pytest.approx(once.value)
    assert grouped.se == pytest.approx(once.se)
    if once.se:
        assert accuracy(batch, repeated, by_prompt=False).se < once.se


@given(rows=st.lists(st.permutations([0.0, 1.0, 2.0]), min_size=2, max_size=6))
def test_of_rankings_all_pairs_count(rows):
    batch = batch_of(Bytes(), [Ranking(str(i), ("a", "b", "c")) for i in range(len(rows))])
    right = [sum(row[i] > row[j] for i in range(3) for j in range(i + 1, 3)) / 3 for row in rows]
    assert accuracy(batch, torch.tensor(rows).flatten()).value == pytest.approx(
        sum(right) / len(right)
    )


points = st.tuples(
    st.lists(numbers, min_size=2, max_size=9), st.lists(numbers, min_size=2, max_size=9)
)


@given(found=points)
def test_of_points_it_is_the_area_under_the_curve(found):
    good, bad = found
    score = torch.tensor(good + bad)
    desirable = torch.tensor([True] * len(good) + [False] * len(bad))
    wins = [(a > b) + (a == b) / 2 for a in good for b in bad]
    estimate = of_points(score, desirable)
    assert estimate.value == pytest.approx(sum(wins) / len(wins))
    flipped = of_points(-score, desirable)
    assert (flipped.value, flipped.se) == pytest.approx((1 - estimate.value, estimate.se))


@given(found=st.lists(st.tuples(numbers, numbers, numbers), min_size=2, max_size=12))
def test_a_lead_is_measured_on_the_same_records(found):
    """The error of a difference is that of the records' differences: none between equals."""
    batch = pairs_of(len(found))
    one = torch.tensor([(a, b) for a, b, _ in found]).flatten()
    other = torch.tensor([(a, b) for a, _, b in found]).flatten()
    lead = mean_win(batch, wins(batch, one) - wins(batch, other))
    assert lead.value == pytest.approx(accuracy(batch, one).value - accuracy(batch, other).value)
    assert mean_win(batch, wins(batch, one) - wins(batch, one)).se == 0


def test_the_standard_error_of_points_is_the_spread_over_samples():
    rng = stream(0, "points")
    draws = []
    for _ in range(400):
        good, bad = torch.randn(30, generator=rng) + 0.7, torch.randn(50, generator=rng)
        desirable = torch.arange(80) < 30
        draws.append(of_points(torch.cat([good, bad]), desirable))
    values = torch.tensor([draw.value for draw in draws])
    errors = torch.tensor([draw.se for draw in draws])
    assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.12)


@given(seeds=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_scores_are_log_probs_less_the_references(seeds):
    sizes = Config(260, 8, 1, 1, 16)
    policy, reference = (Transformer(sizes, stream(seed, "w")) for seed in seeds)
    batch = batch_of(Bytes(), [Pair("a", "bc", "d"), Pair("e", "", "fgh")])
    own, other = (sequence_logps(model, batch.rows) for model in (policy, reference))
    lengths = batch.rows.completion_mask.sum(1)
    for mean, divisor in ((False, 1), (True, lengths)):
        assert torch.allclose(scores(batch, policy, mean=mean), own / divisor)
        expected = (own - other) / divisor
        assert torch.allclose(scores(batch, policy, reference, mean=mean), expected, atol=1e-6)
    assert not scores(batch, policy).requires_grad


def test_many_rows_are_scored_in_their_order():
    policy = Transformer(Config(260, 8, 1, 1, 16), stream(0, "w"))
    batch = batch_of(Bytes(), [Pair(str(i), "a" * (i % 5), "b") for i in range(70)])
    assert torch.allclose(scores(batch, policy), sequence_logps(policy, batch.rows), atol=1e-5)


def test_what_ranks_is_what_the_loss_moves():
    said = {name: scored_by(get(name)) for name in ("dpo", "ipo", "simpo", "cpo", "kto")}
    assert said == {
        "dpo": "implicit reward", "kto": "implicit reward", "ipo": "implicit reward a token",
        "simpo": "log-prob a token", "cpo": "log-prob",
    }  # fmt: skip


def test_length_is_that_of_the_uncut_text():
    batch = batch_of(Bytes(max_new_tokens=2), [Pair("p", "aaaa", "bé")])
    assert by_length(batch).tolist() == [4.0, 3.0]
