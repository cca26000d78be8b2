"""The tree: what visits, values and selection must satisfy, whatever is expanded."""

import math
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.search.tree import (
    Node,
    committed,
    descend,
    improve,
    puct,
    reward,
    search,
    state_value,
)

numbers = st.floats(-3, 3)


def expander(draw, deepest=4):
    """Adds one to three children of any prior and value to every leaf."""

    def expand(leaves):
        for leaf in leaves:
            for _ in range(draw(st.integers(1, 3))):
                over = leaf.depth + 1 == deepest or draw(st.booleans())
                leaf.add(None, draw(st.floats(0.01, 1)), draw(numbers), terminal=over)

    return expand


def below(node):
    return [node, *(other for child in node.children for other in below(child))]


@st.composite
def searched(draw, trees=1):
    """Trees that were searched, and how often."""
    roots, simulations = [Node(None) for _ in range(trees)], draw(st.integers(1, 8))
    search(roots, simulations, expand=expander(draw))
    return roots, simulations


@settings(max_examples=25)
@given(searched(trees=2))
def test_visits_add_up(drawn):
    roots, simulations = drawn
    for root in roots:
        assert root.visits == simulations == sum(child.visits for child in root.children)
        for node in below(root)[1:]:
            if node.children:  # at most one visit ended here: that before it had children
                assert node.visits - sum(child.visits for child in node.children) in (0, 1)


@given(searched())
def test_value_of_a_state_lies_among_its_children(drawn):
    for node in below(drawn[0][0]):
        if node.children:
            found = [child.q for child in node.children]
            assert min(found) - 1e-9 <= state_value(node) <= max(found) + 1e-9
            assert node.q == pytest.approx(reward(node) + state_value(node))
        elif node.visits == 0 or node.terminal:
            assert node.q == reward(node)


@given(st.lists(numbers, min_size=1, max_size=6), st.integers(1, 5))
def test_rewards_of_a_path_telescope_to_the_value_of_its_end(values, times):
    path = [Node(None, value=values[0])]
    for value in values[1:]:
        path.append(path[-1].add(None, 1.0, value))
    for _ in range(times):
        improve(path)
    assert sum(map(reward, path)) == pytest.approx(values[-1])
    assert path[0].q == pytest.approx(values[-1])
    assert all(node.visits == times for node in path)


@given(numbers, numbers, st.floats(0, 1))
def test_discount_of_what_comes_later(value, later, gamma):
    root = Node(None, value=value)
    child = root.add(None, 1.0, later)
    improve([root, child], gamma)
    assert child.q == pytest.approx(later - value)
    assert root.q == pytest.approx(value + gamma * (later - value))


def test_state_value_by_hand():
    root = Node(None)
    for q, visits in ((1.0, 3), (-1.0, 1), (1.5, 0)):
        child = root.add(None, 1.0, 0.0)
        child.q, child.visits = q, visits
    assert state_value(root) == pytest.approx((3 * 1 - 1 + 1.5) / 5)
    root.visits = 4
    assert puct(root.children[0], c=2.0) == pytest.approx(1 + 2 * 2 / 4)


@given(st.data())
def test_no_exploration_is_greedy_and_much_of_it_follows_the_priors(data):
    root = Node(None, visits=data.draw(st.integers(1, 20)))
    priors = data.draw(st.lists(st.floats(0.01, 1), min_size=2, max_size=5, unique=True))
    for prior in priors:
        root.add(None, prior, data.draw(numbers))
    best = descend(root, partial(puct, c=0.0))[1]
    assert best.q == max(child.q for child in root.children)
    likely = descend(root, partial(puct, c=1e9))[1]
    gap = sorted(priors)[-1] - sorted(priors)[-2]
    assert likely.prior == max(priors) or gap < 1e-6


@given(st.data())
def test_a_visit_makes_the_next_one_less_urgent(data):
    root = Node(None, visits=data.draw(st.integers(1, 20)))
    child = root.add(None, data.draw(st.floats(0.01, 1)), data.draw(numbers))
    before = puct(child)
    child.visits += 1
    assert puct(child) < before


@given(st.data())
def test_trees_do_not_see_each_other(data):
    tables = [data.draw(st.lists(numbers, min_size=12, max_size=12)) for _ in range(2)]

    def expand(leaves):
        for leaf in leaves:
            for i in range(2):
                at = (leaf.state[1] * 2 + i + 1) % 12
                leaf.add((leaf.state[0], at), 0.5, tables[leaf.state[0]][at], leaf.depth == 2)

    def shape(node):
        return (node.visits, node.q, [shape(child) for child in node.children])

    together = [Node((0, 0)), Node((1, 0))]
    search(together, 8, expand=expand)
    for name, root in enumerate(together):
        alone = Node((name, 0))
        search([alone], 8, expand=expand)
        assert shape(alone) == shape(root)


def test_the_better_arm_gets_the_visits_and_is_committed_to():
    def expand(leaves):
        for leaf in leaves:
            for value in (0.0, 1.0, 0.2):
                leaf.add(value, 1 / 3, value, terminal=True)

    root = Node(None)
    search([root], 30, expand=expand)
    assert committed(root).state == 1.0
    assert committed(root).visits > 20


def test_committed_takes_visits_first_and_q_between_equals():
    root = Node(None)
    for q, visits in ((9.0, 1), (0.1, 4), (0.2, 4)):
        child = root.add(q, 1.0, q)
        child.visits = visits
    assert committed(root).q == 0.2


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=10))
def test_another_rule_of_selection_and_backup(payoffs):
    """As iTool keeps it: W is the sum of what the visits below paid (paper 082)."""
    paid = iter(payoffs)

    def expand(leaves):
        for leaf in leaves:
            for _ in range(2):
                leaf.add(None, 0.5, 0.0, leaf.depth == 2)

    def add_up(path):
        gain = next(paid)
        for node in path:
            node.q, node.visits = node.q + gain, node.visits + 1

    def uct(child):
        parent = child.parent.visits or 1
        explore = child.prior * math.sqrt(math.log(parent) / (child.visits + 1))
        return child.q / (child.visits + 1) + explore

    root = Node(None)
    search([root], len(payoffs), expand=expand, select=uct, backup=add_up)
    assert root.q == pytest.approx(sum(payoffs))
    assert root.q == pytest.approx(sum(child.q for child in root.children))


def test_bad_input():
    with pytest.raises(ValueError, match="simulations: expected at least 1, got 0"):
        search([Node(None)], 0, expand=lambda leaves: None)
    with pytest.raises(ValueError, match="node: it has no children"):
        committed(Node(None))
