"""The report says what the numbers say, and no text of a file can break it."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.estimate import Estimate
from minipref.evaluation.own_data.findings import BEFORE, LONGER, SEEN, SHORTER, Findings, Sample
from minipref.evaluation.own_data.report import block, clearly, one_sample, verdicts

PLAN = SimpleNamespace(loss="dpo")


def findings(after, longer=0.5, seen=None, liked=0.0, other=0.0, se=0.02):
    accuracy = {
        LONGER: Estimate(longer, se),
        SHORTER: Estimate(1 - longer, se),
        BEFORE: Estimate(0.5, se),
        "after": Estimate(after, se),
        SEEN: Estimate(after if seen is None else seen, se),
    }
    lead = {who: Estimate(after - found.value, se) for who, found in accuracy.items()}
    gained = {"liked": Estimate(liked, 0.1), "other": Estimate(other, 0.1)}
    return Findings(1, accuracy, lead, "after", gained, [])


@given(gap=st.floats(-1, 1), error=st.floats(0, 0.5))
def test_a_difference_below_two_standard_errors_is_none(gap, error):
    told = {1: "above", -1: "below", 0: "not to be told from"}
    sign = (gap > 0) - (gap < 0)
    assert clearly(Estimate(gap, error)) == told[sign if abs(gap) > 2 * error else 0]


@pytest.mark.parametrize(
    ("found", "told", "untold"),
    [
        (findings(0.5), "of dpo is not to be told from chance", "by heart"),
        (findings(0.7), "dpo is above chance", "told from chance"),
        (findings(0.3), "dpo is below chance", "by heart"),
        (findings(0.7, longer=0.72), "0.720: dpo is not to be told from", "shorter"),
        (findings(0.7, longer=0.2), "taking the shorter text", "longer"),
        (findings(0.7), "the model before, has 0.500: dpo is above that (+0.200", "below"),
        (findings(0.6, seen=0.9), "it learnt some of them by heart", "below"),
        (findings(0.7, liked=-3, other=-6), "both became less likely", "by heart"),
        (findings(0.7, liked=2, other=-6), "liked responses by +2.00", "both became"),
    ],
)
def test_the_words_follow_the_numbers(found, told, untold):
    text = "\n".join(verdicts(PLAN, found))
    assert told in text
    assert untold not in text


@given(text=st.text())
def test_no_text_leaves_its_block(text):
    lines = block(text).splitlines()
    assert all(line.startswith("    ") for line in lines)
    shown = "".join(line[4:] for line in lines)
    assert all(c.isprintable() for c in shown)
    assert len(shown) >= len(text.replace("\n", ""))


@given(prompt=st.text("abc", max_size=400))
def test_a_long_prompt_is_shown_by_its_end(prompt):
    text = one_sample(Sample(prompt, "x", "y"))
    assert (prompt[-200:] or "(nothing)") in text
    assert ("    ... " in text) == (len(prompt) > 240)
