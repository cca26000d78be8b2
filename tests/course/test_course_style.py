"""Names at lines stand apart, and what trained cells show has a constant text."""

import math
from itertools import pairwise

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from minipref.course import style
from minipref.course.measured import measured, sampled
from minipref.course.predict import compare

places = st.lists(st.floats(-100, 100), min_size=1, max_size=8)


@given(places=places, gap=st.floats(0.5, 20))
def test_spread_keeps_order_and_distance(places, gap):
    moved = style.spread(places, gap)
    order = sorted(range(len(places)), key=lambda i: places[i])
    steps = [moved[b] - moved[a] for a, b in pairwise(order)]
    assert all(step >= gap - 1e-6 for step in steps)
    assert sum(moved) == pytest.approx(sum(places), abs=1e-6)


@given(places=places)
def test_spread_leaves_what_stands_apart(places):
    apart = [50.0 * rank + 10 * math.tanh(place) for rank, place in enumerate(places)]
    assert style.spread(apart, 20.0) == pytest.approx(apart)


@settings(max_examples=10)
@given(
    ends=st.lists(st.floats(0.001, 1), min_size=2, max_size=6),
    scale=st.sampled_from(["linear", "log"]),
)
def test_names_at_lines_do_not_overlap(ends, scale):
    with plt.style.context("default"):
        style.use()
        figure, ax = style.figure()
        for number, end in enumerate(ends):
            ax.plot([0, 1], [0.5, end], label=f"line {number}")
        ax.plot([0, 1], [0, 1])  # unnamed
        ax.set_yscale(scale)
        names = style.name_lines(ax)
        figure.canvas.draw()
        boxes = sorted((name.get_window_extent() for name in names), key=lambda box: box.y0)
        plt.close(figure)
    assert len(names) == len(ends)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))


@given(
    value=st.floats(0.11, 0.19),
    other=st.floats(0.11, 0.19),
)
def test_text_of_a_measured_value_does_not_depend_on_it(value, other):
    first, second = (repr(measured(("chosen", x, (0.1, 0.2)))) for x in (value, other))
    assert first == second == "chosen   in 0.1 .. 0.2"
    assert measured(("chosen", value, (0.1, 0.2)))._repr_png_()[:4] == b"\x89PNG"


@pytest.mark.parametrize("value", [0.09, 0.21, float("nan"), float("inf")])
def test_a_value_outside_its_band_shows_in_the_text(value):
    assert "OUTSIDE" in repr(measured(("chosen", value, (0.1, 0.2))))


def test_measured_wants_a_band():
    with pytest.raises(ValueError, match="band"):
        measured(("chosen", 0.1, (0.2, 0.1)))
    with pytest.raises(ValueError, match="at least one"):
        measured()


def test_sampled_texts_are_counted_not_told():
    card = sampled("after", ["a $x$ b", "c"])
    assert repr(card) == "after: 2 texts, in the picture"
    assert card._repr_png_()[:4] == b"\x89PNG"


def test_a_picture_has_the_same_bytes_each_time():
    cards = [sampled("after", ["one", "two"])._repr_png_() for _ in range(2)]
    assert cards[0] == cards[1]
    assert cards[0] != sampled("after", ["one", "tow"])._repr_png_()


def test_predictions_are_held_against_the_curve():
    fall = [0.5, 0.9, 0.8, 0.2]
    assert compare("down", fall) == (
        'You said "down"; it ends "down", and was "up" as late as step 2.'
    )
    assert compare("up", fall, steps=[0, 10, 20, 30]).endswith('was "up" as late as step 20.')
    assert compare("same", [1.0, 1.0]) == 'You said "same"; it ends "same".'
    assert compare("", fall).startswith("No guess yet")
    with pytest.raises(ValueError, match="curve"):
        compare("up", [1.0])
