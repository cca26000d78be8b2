"""KL of a policy from its own samples: nothing from itself, and the bandit's sum otherwise."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.evaluation import divergence
from minipref.evaluation.divergence import kl
from minipref.evaluation.responses import respond
from minipref.model.tabular import TabularPolicy

PROMPTS, RESPONSES = 3, 4
WORLD = Bandit(PROMPTS, RESPONSES)
logits = st.lists(st.floats(-4, 4), min_size=PROMPTS * RESPONSES, max_size=PROMPTS * RESPONSES)


def policy_of(values):
    policy = TabularPolicy(PROMPTS, RESPONSES)
    with torch.no_grad():
        policy.table.copy_(torch.tensor(values).view(PROMPTS, RESPONSES))
    return policy


def asked_once(policy, copies=1):
    return respond(policy, WORLD, WORLD.all_prompts * copies)


@given(values=logits)
def test_a_policy_is_no_distance_from_itself(values):
    policy = policy_of(values)
    found = kl(policy, policy, asked_once(policy))
    assert (found.value, found.se, found.unit) == (0, 0, "nats")


@given(ours=logits, theirs=logits)
def test_on_a_bandit_it_is_the_exact_sum(ours, theirs):
    """One token a response: no noise is left but the choice of prompts, here each one once."""
    policy, reference = policy_of(ours), policy_of(theirs)
    found = kl(policy, reference, asked_once(policy))
    expected = WORLD.kl(policy.probabilities(), reference.probabilities())
    assert math.isclose(found.value, expected, rel_tol=1e-4, abs_tol=1e-5)
    assert found.value > -1e-5


@given(ours=logits, theirs=logits, rows=st.integers(1, 7))
def test_how_many_rows_go_at_once_changes_nothing(ours, theirs, rows):
    policy, reference = policy_of(ours), policy_of(theirs)
    batch = asked_once(policy, copies=3)
    whole = kl(policy, reference, batch)
    before, divergence.ROWS = divergence.ROWS, rows
    try:
        parts = kl(policy, reference, batch)
    finally:
        divergence.ROWS = before
    assert math.isclose(parts.value, whole.value, rel_tol=1e-5, abs_tol=1e-6)
    assert math.isclose(parts.se, whole.se, rel_tol=1e-5, abs_tol=1e-6)
