"""Steps of a policy as a tree, pairs of siblings, and the source that yields them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.objective import Objective
from minipref.algorithm.search.step_pairs import (
    Collected,
    StepPair,
    as_batch,
    best_and_worst,
    searched,
    sibling_pair,
)
from minipref.algorithm.search.steps import Partial, Steps, StepValue, root
from minipref.algorithm.search.tree import Node, search
from minipref.data.corpora import REASON
from minipref.data.streams import dice, stream
from minipref.data.vocabulary import EOS
from minipref.data.work import count, counting
from minipref.feedback.judges.steps import StepJudge
from minipref.model.bases import load_base
from minipref.model.logprobs import sequence_logps

STOP = REASON.vocabulary.encode(".")[0]
BASE = load_base("reason", 0)
PROMPTS = REASON.prompts(12, dice(0, "test/search"))
few = settings(max_examples=5)


def right(prompt, text):
    return REASON.answer(text) == prompt.answer


def trees(seed, simulations=6, breadth=3, **options):
    roots = [root(REASON, prompt) for prompt in PROMPTS]
    steps = Steps(REASON, BASE, StepValue(right), stream(seed, "steps"), STOP, breadth, **options)
    search(roots, simulations, expand=steps)
    return roots


def below(node):
    return [node, *(other for child in node.children for other in below(child))]


@few
@given(st.integers(0, 999))
def test_a_path_spells_a_response(seed):
    for tree in trees(seed):
        for node in below(tree)[1:]:
            state = node.state
            assert state.context == node.parent.state.context + state.step
            assert state.text == REASON.decode_response([*state.before, *state.step])
            assert node.terminal or state.step[-1] == STOP
            assert STOP not in state.step[:-1]
            assert state.ended == (state.step[-1] == EOS)
            assert state.depth == node.depth


@few
@given(st.integers(0, 999), st.integers(1, 4))
def test_siblings_differ_and_are_at_most_as_many_as_asked_for(seed, breadth):
    for tree in trees(seed, breadth=breadth):
        for node in below(tree):
            steps = [child.state.step for child in node.children]
            assert len(set(steps)) == len(steps) <= breadth


def test_siblings_that_mean_the_same_are_one():
    def meaning(prompt, text):
        return len(text.split()) % 2

    for tree in trees(1, meaning=meaning):
        for node in below(tree):
            meant = [meaning(None, child.state.text) for child in node.children]
            assert len(set(meant)) == len(meant)


@few
@given(st.integers(0, 999), st.floats(0.0, 2.0))
def test_prior_is_the_policy_s_probability_tempered_for_length(seed, power):
    tree = trees(seed, simulations=1, length_power=power)[0]
    for child in tree.children:
        pair = StepPair(None, tree.state.context, child.state.step, child.state.step)
        with torch.no_grad():
            logp = sequence_logps(BASE, as_batch(REASON, [pair]).rows)[0]
        expected = (logp / len(child.state.step) ** power).exp()
        assert child.prior == pytest.approx(float(expected), rel=1e-4)


@given(st.floats(0, 1), st.integers(1, 6), st.booleans(), st.booleans())
def test_value_of_a_state(confidence, depth, ended, good):
    prompt = PROMPTS[0]
    text = REASON.solution(prompt) if good else "so zero"
    state = Partial(prompt, (), text=text, depth=depth, ended=ended)
    outcome = (1.0 if good else -1.0) if ended else 0.0
    value = StepValue(right, lambda prompts, texts: [confidence] * len(texts))
    assert value([state]) == [pytest.approx(confidence / max(depth - 3, 1) + outcome)]
    assert StepValue(right)([state]) == [outcome]


def family(*children):
    """A node with children of (Q, N)."""
    node = Node(Partial(PROMPTS[0], (1, 5, 2)))
    for i, (q, visits) in enumerate(children):
        child = node.add(Partial(PROMPTS[0], (1, 5, 2), (), (i + 10,)), 0.5, 0.0)
        child.q, child.visits = q, visits
    return node


def test_the_highest_q_against_the_lowest():
    pair = sibling_pair(family((0.1, 4), (0.9, 3), (-0.5, 1)))
    assert (pair.chosen, pair.rejected, pair.visits) == ((11,), (12,), (3, 1))
    assert pair.context == (1, 5, 2)


@given(st.lists(st.floats(-1, 1), max_size=1) | st.floats(-1, 1).map(lambda q: [q, q, q]))
def test_no_pair_without_a_difference(values):
    assert sibling_pair(family(*((q, 1) for q in values))) is None


@few
@given(st.integers(0, 999), st.integers(0, 8))
def test_the_loss_does_not_see_how_long_the_shared_part_is(seed, shared):
    """Both steps lengthened at the front by words that the context ends in: the same loss."""
    response = tuple(REASON.encode_response(REASON.solution(PROMPTS[seed % 12])))
    asked = tuple(REASON.encode_prompt(PROMPTS[seed % 12]))
    other = (*response[:-2], response[-2] - 1, EOS)
    whole = StepPair(PROMPTS[0], asked, response, other)
    at = min(shared, len(response) - 2)
    part = StepPair(PROMPTS[0], asked + response[:at], response[at:], other[at:])
    policy, losses = load_base("reason", 1), []
    for pair in (whole, part):
        objective = Objective.of("mcts_dpo", reference=BASE)
        losses.append(float(objective(policy, as_batch(REASON, [pair]))[0].detach()))
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_searched_pairs_share_their_context_and_differ_in_the_step():
    options = {"world": REASON, "value": StepValue(right), "stop": STOP, "simulations": 6}
    pairs = searched(BASE, PROMPTS, stream(0, "pairs"), **options)
    again = searched(BASE, PROMPTS, stream(0, "pairs"), **options)
    assert pairs == again
    assert len(pairs) > 3
    for pair in pairs:
        asked = tuple(REASON.encode_prompt(pair.prompt))
        assert pair.context[: len(asked)] == asked
        assert pair.chosen != pair.rejected


def test_best_and_worst_are_right_and_wrong():
    pairs = best_and_worst(BASE, PROMPTS, stream(0, "best"), world=REASON, right=right, samples=8)
    assert len(pairs) > 3
    for pair in pairs:
        assert right(pair.prompt, REASON.decode_response(list(pair.chosen)))
        assert not right(pair.prompt, REASON.decode_response(list(pair.rejected)))
        assert pair.visits == (1, 0)  # no smoothing: plain DPO


def test_rows_of_pairs():
    pairs = [
        StepPair(PROMPTS[0], (1, 5, 2), (6, 7), (8,), (5, 2)),
        StepPair(None, (1,), (9,), (4,)),
    ]
    batch = as_batch(REASON, pairs)
    assert batch.pairs.tolist() == [[0, 2], [1, 3]]
    assert batch.columns["visits"].tolist() == [5, 1, 2, 0]
    assert batch.rows.completion_mask.sum(1).tolist() == [2, 1, 1, 1]
    assert batch.groups.tolist() == [0, 1, 0, 1]


def test_a_source_spends_its_tokens_round_by_round():
    asked = []

    def collect(policy, prompts, rng):
        asked.append(list(prompts))
        count(sampled=100)
        return [StepPair(prompt, (1, 5, 2), (6,), (7,)) for prompt in prompts]

    source = Collected(REASON, PROMPTS, collect, BASE, every=3, tokens=150, batch_size=2, chunk=5)
    rng = stream(0, "source")
    sizes, spent = [], []
    for step in range(7):
        batch = source.batch(BASE, step, rng)
        assert len(batch) == 4
        assert "ref_logps" in batch.columns
        sizes.append(len(source.pairs))
        spent.append(source.spent)
    assert spent == [200, 200, 200, 300, 300, 300, 500]
    assert sizes == [10, 10, 10, 15, 15, 15, 25]
    assert [prompt for part in asked for prompt in part] == [PROMPTS[i % 12] for i in range(25)]


@given(st.floats(0, 0.5), st.integers(0, 99))
def test_a_judge_of_steps_errs_as_often_as_it_says(error, seed):
    judge = StepJudge(lambda prompt, text: text == "right", stream(seed, "judge"), error)
    with counting() as work:
        said = judge([None] * 400, ["right", "wrong"] * 200)
    assert work.queries == 400
    assert set(said) <= {1 - error, error}
    slips = sum((p < 0.5) == (i % 2 == 0) for i, p in enumerate(said))
    if error < 0.5:
        assert abs(slips / 400 - error) < 5 * (error * (1 - error) / 400) ** 0.5 + 1e-9


def test_bad_input():
    with pytest.raises(ValueError, match=r"error: expected a share from 0 to 0\.5, got 0\.6"):
        StepJudge(right, stream(0, "x"), 0.6)
