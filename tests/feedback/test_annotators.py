"""The annotators' algebra: laws of composition, closed forms, and labels that obey them."""

import math
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.reason import Reason
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.feedback.annotators import (
    Annotator,
    bt,
    coin,
    cue,
    flip,
    group,
    length,
    malicious,
    position,
    tie,
    votes,
)
from minipref.feedback.annotators.bradley_terry import sigmoid
from minipref.feedback.rewards import weighted

shares = st.floats(0, 1)
gaps = st.floats(-30, 30)
texts = st.lists(st.sampled_from(["good", "bad", "so", "cue", "cues"]), max_size=6).map(" ".join)


def reader(gap: float) -> Annotator:
    """A Bradley-Terry reader for whom text "a" is better than "b" by `gap`, others as long."""
    return bt(lambda prompt, text: {"a": gap, "b": 0.0}.get(text, float(len(text))))


symmetric = st.one_of(
    st.builds(flip, shares),
    st.builds(tie, st.floats(0, 3)),
    st.builds(length, st.floats(-2, 2)),
    st.builds(cue, st.just("cue"), st.floats(-5, 5)),
    st.builds(malicious, shares),
    st.builds(votes, st.integers(1, 7)),
    st.builds(coin),
)


@st.composite
def annotators(draw) -> Annotator:
    """A reader under up to four effects, none of which looks at the order."""
    temperature = draw(st.sampled_from([0.0, 0.3, 1.0, 4.0]))
    annotator = bt(lambda prompt, text: 0.37 * text.count("good") - text.count("bad"), temperature)
    for effect in draw(st.lists(symmetric, max_size=4)):
        annotator |= effect
    return annotator


@given(annotators(), texts, texts)
def test_outcomes_are_probabilities_and_mirror_each_other(annotator, a, b):
    outcomes = annotator.outcomes(None, a, b)
    assert all(0 <= part <= 1 for part in outcomes)
    assert sum(outcomes) == pytest.approx(1)
    assert annotator.outcomes(None, b, a) == pytest.approx(outcomes[::-1], abs=1e-12)
    forwards, backwards = annotator.probability(None, a, b), annotator.probability(None, b, a)
    assert forwards + backwards == pytest.approx(1)
    assert annotator.probability(None, a, a) == pytest.approx(0.5)


@given(annotators(), texts, texts, st.floats(0.1, 5))
def test_only_position_cares_for_the_order(annotator, a, b, strength):
    biased = annotator | position(strength)
    assert biased.probability(None, a, b) >= annotator.probability(None, a, b) - 1e-12
    plain = bt(lambda prompt, text: 0.0) | position(strength)
    assert plain.probability(None, a, b) == pytest.approx(sigmoid(strength))
    there_and_back = biased | position(-strength)
    assert there_and_back.outcomes(None, a, b) == pytest.approx(annotator.outcomes(None, a, b))


@given(gaps, st.sampled_from([0.1, 1.0, 7.0]))
def test_bradley_terry_is_the_sigmoid_of_the_gap(gap, temperature):
    annotator = bt(lambda prompt, text: gap if text == "a" else 0.0, temperature)
    exact = 1 / (1 + math.exp(-gap / temperature))
    assert annotator.probability(None, "a", "b") == pytest.approx(exact, rel=1e-9)


@given(gaps, shares, shares)
def test_two_flips_make_one(gap, e, f):
    twice, once = reader(gap) | flip(e) | flip(f), reader(gap) | flip(e + f - 2 * e * f)
    assert twice.outcomes(None, "a", "b") == pytest.approx(once.outcomes(None, "a", "b"))
    composed = reader(gap) | (flip(e) | flip(f))
    assert composed.outcomes(None, "a", "b") == twice.outcomes(None, "a", "b")


@given(gaps, shares)
def test_a_flip_shrinks_towards_the_middle(gap, e):
    clean = reader(gap).probability(None, "a", "b")
    noisy = (reader(gap) | flip(e)).probability(None, "a", "b")
    assert noisy - 0.5 == pytest.approx((1 - 2 * e) * (clean - 0.5))


@given(gaps, st.floats(-5, 5), st.floats(-5, 5))
def test_shifts_add_up_in_the_log_odds(gap, one, two):
    shifted = reader(gap) | position(one) | position(two)
    assert shifted.probability(None, "a", "b") == pytest.approx(sigmoid(gap + one + two))


@given(texts, texts, st.floats(-2, 2), st.floats(-5, 5))
def test_length_and_cue_shift_by_what_they_count(a, b, per_word, strength):
    indifferent = bt(lambda prompt, text: 0.0)
    words = len(a.split()) - len(b.split())
    by_length = indifferent | length(per_word)
    assert by_length.probability(None, a, b) == pytest.approx(sigmoid(per_word * words))
    holds = ("cue" in a.split()) - ("cue" in b.split())
    by_cue = indifferent | cue("cue", strength)
    assert by_cue.probability(None, a, b) == pytest.approx(sigmoid(strength * holds))


@given(gaps, st.floats(0.01, 5))
def test_ties_follow_rao_and_kupper(gap, band):
    prefers_a, tied, prefers_b = (reader(gap) | tie(band)).outcomes(None, "a", "b")
    assert prefers_a == pytest.approx(sigmoid(gap - band), rel=1e-9)
    assert prefers_b == pytest.approx(sigmoid(-gap - band), rel=1e-9)
    assert tied <= math.tanh(band / 2) + 1e-12  # its largest value, at gap 0 (paper 039)
    at_zero = (reader(0.0) | tie(band)).outcomes(None, "a", "b")[1]
    assert at_zero == pytest.approx(math.tanh(band / 2))


@given(gaps, st.floats(0, 3))
def test_no_band_is_no_tie_and_a_coin_undoes_ties(gap, band):
    assert (reader(gap) | tie(0.0)).outcomes(None, "a", "b") == pytest.approx(
        reader(gap).outcomes(None, "a", "b")
    )
    tossed = reader(gap) | tie(band) | coin()
    assert tossed.outcomes(None, "a", "b")[1] == 0
    assert tossed.probability(None, "a", "b") == pytest.approx(
        (reader(gap) | tie(band)).probability(None, "a", "b")
    )


@given(annotators(), texts, texts)
def test_one_vote_is_no_vote(annotator, a, b):
    assert (annotator | votes(1)).outcomes(None, a, b) == pytest.approx(
        annotator.outcomes(None, a, b), abs=1e-12
    )


@given(st.floats(-10, 10), st.floats(-10, 10), st.integers(1, 15), st.floats(0, 2))
def test_votes_keep_the_order_and_more_of_them_are_surer(low, high, count, band):
    low, high = sorted((low, high))
    worse = (reader(low) | tie(band) | votes(count)).probability(None, "a", "b")
    better = (reader(high) | tie(band) | votes(count)).probability(None, "a", "b")
    assert worse <= better + 1e-12
    odd = 2 * (count // 2) + 1
    few, many = (
        abs((reader(high) | votes(k)).probability(None, "a", "b") - 0.5) for k in (odd, odd + 2)
    )
    assert few <= many + 1e-12


@given(gaps)
def test_three_votes_by_hand(gap):
    p = reader(gap).probability(None, "a", "b")
    expected = 3 * p**2 * (1 - p) + p**3
    assert (reader(gap) | votes(3)).probability(None, "a", "b") == pytest.approx(expected)
    two = (reader(gap) | votes(2)).outcomes(None, "a", "b")
    assert two == pytest.approx((p**2, 2 * p * (1 - p), (1 - p) ** 2))


def test_many_votes_do_not_overflow():
    prefers_a, tied, prefers_b = (reader(0.4) | tie(0.5) | votes(500)).outcomes(None, "a", "b")
    assert prefers_a + tied + prefers_b == pytest.approx(1)
    assert prefers_a > 0.99


@given(gaps, shares)
def test_malice_is_certain_and_its_place_matters(gap, share):
    p = reader(gap).probability(None, "a", "b")
    worse = 0.5 if abs(gap) < 1e-11 else float(p < 0.5)
    annotator = reader(gap) | malicious(share)
    assert annotator.probability(None, "a", "b") == pytest.approx(
        (1 - share) * p + share * worse, abs=1e-9
    )
    assert (reader(gap) | malicious(0.0)).probability(None, "a", "b") == p


def test_the_order_of_effects_matters():
    before = (reader(1.0) | malicious(0.2) | votes(5)).probability(None, "a", "b")
    after = (reader(1.0) | votes(5) | malicious(0.2)).probability(None, "a", "b")
    assert abs(before - after) > 0.01
    first = (reader(1.0) | flip(0.3) | position(2.0)).probability(None, "a", "b")
    second = (reader(1.0) | position(2.0) | flip(0.3)).probability(None, "a", "b")
    assert abs(first - second) > 0.1
    composed = reader(1.0) | (flip(0.3) | position(2.0))
    assert composed.probability(None, "a", "b") == first


@given(gaps, gaps, shares)
def test_a_group_is_the_mixture_of_its_members(one, two, share):
    members = [reader(one), reader(two) | tie(0.5)]
    population = group(members, [share, 1 - share])
    expected = [
        share * x + (1 - share) * y
        for x, y in zip(*(m.outcomes(None, "a", "b") for m in members), strict=True)
    ]
    assert population.outcomes(None, "a", "b") == pytest.approx(expected)
    assert group([reader(one)]).outcomes(None, "a", "b") == pytest.approx(
        reader(one).outcomes(None, "a", "b")
    )
    scaled = group(members, [3 * share, 3 - 3 * share])
    assert scaled.outcomes(None, "a", "b") == pytest.approx(expected)


@given(st.floats(1e4, 1e300), st.sampled_from([1, -1]))
def test_extremes_stay_probabilities(size, sign):
    annotator = reader(sign * size) | tie(700.0) | length(1e5) | position(sign * 1e6) | flip(0.1)
    outcomes = annotator.outcomes(None, "a", "b")
    assert all(0 <= part <= 1 for part in outcomes)
    assert sum(outcomes) == pytest.approx(1)


# ---- labels --------------------------------------------------------------------------------------


def compare(bandit: Bandit, times: int) -> Batch:
    """Responses r0 and r1 to prompt 0, so many times."""
    prompts = [bandit.all_prompts[0]] * (2 * times)
    rows = Rows.of([[0]] * (2 * times), [[0], [1]] * times)
    groups = torch.arange(2 * times) // 2
    return Batch(tuple(prompts), ("r0", "r1") * times, rows, groups)


@pytest.mark.parametrize(
    "effects",
    [(), (flip(0.3),), (tie(0.8),), (votes(3), position(1.0)), (malicious(0.25),)],
    ids=str,
)
def test_labels_come_as_often_as_stated(effects):
    bandit, times = Bandit(1, 2, seed=3), 20_000
    annotator = bt(bandit.reward)
    for effect in effects:
        annotator |= effect
    labelled = annotator.label(compare(bandit, times), stream(0, f"test/{annotator}"))
    exact = annotator.outcomes(bandit.all_prompts[0], "r0", "r1")
    first = int((labelled.pairs[:, 0] % 2 == 0).sum())
    tied = int(labelled.columns["tie"].sum()) // 2
    for count, p in zip((first, tied, times - first - tied), exact, strict=True):
        assert abs(count / times - p) <= 4.5 * math.sqrt(p * (1 - p) / times)
    assert len(labelled.pairs) == times - tied
    stated = annotator.probability(bandit.all_prompts[0], "r0", "r1")
    expected = torch.tensor([stated, 1 - stated]).repeat(times)
    torch.testing.assert_close(labelled.columns["preference"], expected)


def test_labels_depend_on_the_stream_alone():
    bandit = Bandit(1, 2)
    batch, annotator = compare(bandit, 200), bt(bandit.reward)
    one, same = (annotator.label(batch, stream(7, "labels")).pairs for _ in range(2))
    assert torch.equal(one, same)
    assert not torch.equal(one, annotator.label(batch, stream(8, "labels")).pairs)


def test_one_more_effect_leaves_the_other_draws_alone():
    bandit = Bandit(1, 2)
    batch, rng = compare(bandit, 2000), stream(7, "labels")
    annotator = bt(bandit.reward)
    clean = annotator.label(batch, rng).pairs[:, 0]
    noisy = (annotator | flip(0.01)).label(batch, stream(7, "labels")).pairs[:, 0]
    assert 0 < int((clean != noisy).sum()) < 60


def test_rows_of_a_group_are_paired_as_they_come():
    bandit = Bandit(3, 6)
    prompts = [bandit.all_prompts[i] for i in (0, 1, 0, 0, 1, 2, 0, 0)]
    groups = torch.tensor([0, 1, 0, 0, 1, 2, 0, 0])  # five of group 0, two of 1, one of 2
    responses = ["r0", "r1", "r2", "r3", "r4", "r5", "r1", "r0"]
    batch = Batch.of(bandit, prompts, responses, groups)
    labelled = bt(bandit.reward, temperature=0).label(batch, stream(0, "x"))
    assert {tuple(sorted(pair)) for pair in labelled.pairs.tolist()} == {(0, 2), (1, 4), (3, 6)}
    for chosen, rejected in labelled.pairs.tolist():
        assert bandit.reward(prompts[chosen], responses[chosen]) >= bandit.reward(
            prompts[rejected], responses[rejected]
        )
        assert labelled.columns["preference"][chosen] == 1
    assert labelled.columns["preference"].isnan().tolist() == [False] * 5 + [True, False, True]


def test_ties_are_left_out_unless_kept():
    bandit = Bandit.of(torch.tensor([[1.0, 1.0]]))
    annotator, batch = bt(bandit.reward, temperature=0), compare(bandit, 3)
    dropped = annotator.label(batch, stream(0, "x"))
    assert dropped.pairs.shape == (0, 2)
    assert dropped.columns["tie"].all()
    kept = annotator.keeping_ties().label(batch, stream(0, "x"))
    assert kept.pairs.tolist() == [[0, 1], [2, 3], [4, 5]]
    still = (annotator.keeping_ties() | flip(0.1)).label(batch, stream(0, "x"))
    assert still.pairs.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_an_annotator_reads_as_it_was_written():
    assert repr(bt(len) | flip(0.3) | votes(3)) == "bt(temperature=1.0) | flip(0.3) | votes(3)"
    assert repr(flip(0.3) | length(-0.1)) == "flip(0.3) | length(-0.1)"
    assert repr(group([bt(len), bt(len, 2.0)], [3, 1])) == (
        "group(0.75: bt(temperature=1.0), 0.25: bt(temperature=2.0))"
    )


def test_tastes_weigh_scores():
    world = Reason()
    prompt = world.prompts(1, Random(0))[0]
    text = world.solution(prompt)
    assert weighted(world.scores, world.weights)(prompt, text) == world.reward(prompt, text)
    assert weighted(world.scores, {"brief": -2.0})(prompt, text) == -2.0
    with pytest.raises(ValueError, match=r"no scorer is called \['bright'\]"):
        weighted(world.scores, {"bright": 1.0})(prompt, text)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bt(len, temperature=-1), "temperature: expected a number of at least 0, got -1"),
        (lambda: bt(len, temperature=math.nan), "temperature"),
        (lambda: flip(1.1), "rate: expected a number from 0 to 1.0, got 1.1"),
        (lambda: flip(math.nan), "rate"),
        (lambda: tie(-0.1), "band"),
        (lambda: tie(math.inf), "band"),
        (lambda: length(math.nan), "length"),
        (lambda: cue("two words", 1.0), "word: expected one word, got 'two words'"),
        (lambda: position(math.inf), "position"),
        (lambda: malicious(-0.1), "share"),
        (lambda: votes(0), "count: expected 1 to 500 votes, got 0"),
        (lambda: votes(501), "count"),
        (lambda: group([]), "weights"),
        (lambda: group([bt(len)], [1, 2]), "weights: expected one for each of 1, got 2"),
        (lambda: group([bt(len), bt(len)], [1, -1]), "weights"),
        (lambda: group([bt(len)], [0]), "weights"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_batch_without_two_rows_to_a_prompt_is_refused():
    bandit = Bandit(2, 2)
    batch = Batch.of(bandit, bandit.all_prompts, ["r0", "r1"], torch.arange(2))
    with pytest.raises(ValueError, match="no group has two rows"):
        bt(bandit.reward).label(batch, stream(0, "x"))
