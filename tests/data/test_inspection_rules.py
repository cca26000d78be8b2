"""Dumb rules: accuracies and their errors against a plain count over every comparison."""

import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm

from minipref.data.inspection.features import FEATURES, first_word, marked_up, refuses, unfinished
from minipref.data.inspection.rules import Contest, FirstWords, Tally, placements, word_odds

values = st.lists(st.integers(0, 4), max_size=12)
words = st.sampled_from(["yes", "no", "i", ""])


def contest_of(pairs):
    contest = Contest()
    for pair in pairs:
        contest.add(*pair)
    return contest


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20))
def test_a_contest_is_a_mean_with_the_error_of_a_mean(pairs):
    score = contest_of(pairs).score()
    scores = [float(np.heaviside(a - b, 0.5)) for a, b in pairs]
    assert score.accuracy == pytest.approx(np.mean(scores))
    padded = [*scores, 1.0, 0.0]
    assert score.se == pytest.approx(np.std(padded) / len(padded) ** 0.5)
    decided = [a > b for a, b in pairs if a != b]
    assert score.decided == pytest.approx(len(decided) / len(pairs))
    if decided:
        coin = 0.5 / len(decided) ** 0.5
        assert score.z == pytest.approx((np.mean(decided) - 0.5) / coin)
    opposite = contest_of([(b, a) for a, b in pairs]).score()
    assert opposite == pytest.approx((1 - score.accuracy, score.se, score.decided, -score.z))


@given(st.integers(0, 20))
def test_a_few_wins_in_a_row_are_not_sure(wins):
    assert (Contest(won=wins).score().z >= 3) == (wins >= 9)  # 1 in 512


@given(values, values)
def test_placements_are_a_count_over_every_comparison(winners, losers):
    score = placements(Counter(winners), Counter(losers))
    if not winners or not losers:
        assert score == (0.5, 0.5, 0.0, 0.0)
        return
    over = np.heaviside(np.subtract.outer(winners, losers), 0.5)  # (winners, losers)
    assert score.accuracy == pytest.approx(over.mean())
    assert score.decided == pytest.approx(np.not_equal.outer(winners, losers).mean())
    sides = [np.r_[over.mean(axis), 0, 1] for axis in (0, 1)]
    assert score.se == pytest.approx(sum(side.var() / len(side) for side in sides) ** 0.5)
    opposite = placements(Counter(losers), Counter(winners))
    assert opposite == pytest.approx((1 - score.accuracy, score.se, score.decided, -score.z))


@given(values.filter(bool), values.filter(bool))
def test_placements_are_tested_as_scipy_does(winners, losers):
    score = placements(Counter(winners), Counter(losers))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = mannwhitneyu(winners, losers, use_continuity=False, method="asymptotic").pvalue
    ours = 2 * norm.sf(abs(score.z))
    assert ours == pytest.approx(1.0 if np.isnan(theirs) else theirs)


records = st.lists(st.tuples(st.integers(0, 5), words, words), max_size=40)


def first_words(records, most=100):
    rule = FirstWords(most)
    for record in records:
        rule.add(*record)
    return rule


@given(records)
def test_first_words_are_judged_by_the_other_half(records):
    """Recount with plain loops: nothing that shares a half with a pair has a say on it."""
    odds = []
    for half in (0, 1):
        fitted = [(w, l) for prompt, w, l in records if prompt % 2 != half]  # noqa: E741
        won, lost = Counter(w for w, _ in fitted), Counter(l for _, l in fitted)  # noqa: E741
        odds.append({word: (won[word] + 1) / (lost[word] + 1) for word in ("yes", "no", "i", "")})
    expected = contest_of(
        (odds[prompt % 2][winner], odds[prompt % 2][loser]) for prompt, winner, loser in records
    )
    assert first_words(records).contest() == expected


@given(records)
def test_first_words_are_fitted_so_swapping_all_sides_changes_nothing(records):
    swapped = [(prompt, loser, winner) for prompt, winner, loser in records]
    assert first_words(swapped).contest() == first_words(records).contest()


@given(st.lists(st.tuples(st.just(2), words, words), max_size=20))
def test_one_half_alone_teaches_nothing(records):
    contest = first_words(records).contest()
    assert (contest.won, contest.lost, contest.tied) == (0, 0, len(records))


@given(records, st.integers(0, 4))
def test_words_that_find_no_place_are_undecided(records, most):
    rule = first_words(records, most)
    contest = rule.contest()
    assert contest.won + contest.lost + contest.tied == len(records)
    held = sum(half.total() + half.left_out for half in rule.halves)
    assert held == len(records)
    assert all(len(half) <= most for half in rule.halves)


@given(records)
def test_the_most_frequent_words_come_first(records):
    ranked = first_words(records).most_frequent(2)
    both = Counter(word for _, *sides in records for word in sides)
    assert [w + l for _, w, l in ranked] == sorted(both.values(), reverse=True)[:2]  # noqa: E741
    for word, winners, losers in ranked:
        assert winners == sum(record[1] == word for record in records)
        assert losers == sum(record[2] == word for record in records)


@given(st.integers(1, 5), st.integers(2, 9))
def test_points_may_be_more_of_one_label_without_a_say(count, ratio):
    """A word that is as frequent on both sides has the odds of a word never seen."""
    half = Tally(10)
    for label in (("yes", None), *[(None, "yes")] * ratio) * count:
        half.add(label)
    assert word_odds(half) == {"yes": pytest.approx((ratio * count + 1) / (ratio * count + 1))}


def test_first_words_on_points():
    good, bad = [(p, "yes", None) for p in range(8)], [(p, None, "no") for p in range(8)]
    winners, losers = first_words(good + bad).scores()
    assert placements(winners, losers).accuracy == 1.0
    assert placements(losers, winners).accuracy == 0.0


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (" Well, hello", "well"),
        ("I’m here", "i'm"),
        ("...so", "."),
        ("", ""),
        ("\n\t ", ""),
        ("x" * 50, "x" * 20),
        ("¿Qué?", "¿"),
    ],
)
def test_first_word(text, word):
    assert first_word(text) == word


@pytest.mark.parametrize(
    ("feature", "yes", "no"),
    [
        (refuses, "Oh no. I’m sorry, I CAN'T do that", "I can do that"),
        (unfinished, "and then we", "and then we went. "),
        (unfinished, "", "(see above)"),
        (marked_up, "look:\n- one", "well-known - yes"),
        (marked_up, "# Title", "number #1 is"),
        (marked_up, "so **bold**", "2 * 3 * 4"),
        (marked_up, "1. first", "in 1. place"),
        (marked_up, "```x```", "`x`"),
    ],
)
def test_features_that_are_there_or_not(feature, yes, no):
    assert feature(yes)
    assert not feature(no)


@given(st.text())
def test_every_feature_is_a_number_and_named_once(text):
    assert all(int(feature.of(text)) >= 0 for feature in FEATURES)
    names = [name for feature in FEATURES for name in (feature.more, feature.less)]
    assert len(set(names)) == len(names)
