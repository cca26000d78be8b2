"""The taxonomy of survey 061: it is right, and what a wrong leaf would look like."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.papers.unified_view.pointers import checked, faults, repointed, resolve
from minipref.papers.unified_view.preference_tuning_survey import PAPER
from minipref.papers.unified_view.preference_tuning_taxonomy import (
    ANY,
    BOTH,
    OFFLINE,
    ONLINE,
    TAXONOMY,
    Leaf,
    points,
)

LEAF = {leaf.name: leaf for leaf in TAXONOMY}


def test_the_taxonomy_has_no_fault_and_no_name_twice():
    assert checked(TAXONOMY)["faults"] == []
    assert len(LEAF) == len(TAXONOMY)
    assert {leaf.sampling for leaf in TAXONOMY} == {ONLINE, OFFLINE, BOTH, ANY}


@given(st.sampled_from(repointed(TAXONOMY)))
def test_every_wrong_pointer_is_noticed(leaf):
    found = faults(leaf)
    assert found
    assert all(fault.startswith(f"{leaf.name}: ") for fault in found)


@given(st.sampled_from([leaf for leaf in TAXONOMY if leaf.to.startswith("loss:")]), st.data())
def test_a_wrong_attribute_is_noticed(leaf, data):
    wrong = data.draw(
        st.sampled_from(
            [
                replace(leaf, unit="list" if leaf.unit != "list" else "pair"),
                replace(leaf, reference=not leaf.reference),
                replace(leaf, arxiv="0000.00000"),
            ]
        )
    )
    assert len(faults(wrong)) == 1


def test_policy_gradients_are_online():
    assert "wants the policy's own responses" in faults(replace(LEAF["RLOO"], sampling=OFFLINE))[0]
    assert faults(replace(LEAF["DPO"], sampling=ONLINE)) == []  # DPO may be either


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("loss:dop", "there is no loss called 'dop'"),
        ("row:no-such-row", "there is no row 'no-such-row'"),
        ("code:minipref.feedback.kept.Worst", "there is no minipref.feedback.kept.Worst"),
        ("code:minipref.nothing.here", "there is no minipref.nothing.here"),
        ("code:os.path", "there is no os.path"),
        ("planned:", "says 'planned:'"),
        ("later: perhaps", "says 'later: perhaps'"),
    ],
)
def test_a_pointer_to_nowhere(to, why):
    assert why in faults(Leaf("X", ONLINE, "PPO", to))[0]


def test_the_row_says_how_many_leaves_point_nowhere():
    pointless = sum(not points(leaf) for leaf in TAXONOMY)
    assert f"{pointless} of its {len(TAXONOMY)} leaves" in PAPER.limit


def test_a_reason_is_no_pointer():
    assert not points(LEAF["PTR-PPO"])
    assert points(LEAF["DPO"])
    assert resolve("minipref.feedback.kept.Best").__name__ == "Best"
