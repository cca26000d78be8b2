"""ComPO: it steps where both sides agreed, and stays where nobody said yes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minipref.algorithm.direct.comparison import (
    ComparisonStep,
    Queue,
    Side,
    clean_and_noisy,
    frozen,
    margin_oracle,
    oracle,
    output_logps,
)
from minipref.algorithm.sources import with_reference
from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.data.work import counting
from minipref.model.logprobs import sequence_logps
from minipref.model.transformer import Config, Transformer
from minipref.model.untied import Untied

seeds = st.integers(0, 999)
logps = st.lists(st.floats(-20, 0, width=32), min_size=1, max_size=4)
tokens = st.lists(st.integers(4, 9), min_size=1, max_size=4)


class Head(nn.Module):
    """An output layer of five words on three numbers."""

    def __init__(self, seed):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 3, generator=stream(seed, "head")))


def pair(seed, chosen=3, rejected=4):
    rng = stream(seed, "pair")
    sides = [
        Side(torch.randn(length, 3, generator=rng) + 1, torch.randint(5, (length,), generator=rng))
        for length in (chosen, rejected)
    ]
    return sides[0], sides[1]


def policy(seed):
    model = Transformer(Config(10, 8, 1, 2), stream(seed, "policy"))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(10)
    return model


def batch(rows):
    prompts, responses = zip(*rows, strict=True)
    made = Batch(("",) * len(rows), ("",) * len(rows), Rows.of(prompts, responses), torch.zeros(4))
    return made.with_pairs(torch.tensor([[1, 0], [2, 3]]))


@given(before=logps, data=st.data())
def test_the_oracle_wants_both_and_the_margin_oracle_their_difference(before, data):
    moves = st.lists(st.floats(-5, 5, width=32), min_size=len(before), max_size=len(before))
    start = torch.tensor(before)
    up, down = torch.tensor(data.draw(moves)), torch.tensor(data.draw(moves))
    after = start + up, start - 1 + down
    told = oracle((start, start - 1), after)
    yes = any(
        bool(a > b) and bool(c < d)
        for a, b, c, d in zip(after[0], start, after[1], start - 1, strict=True)
    )
    assert told == (-1 if yes else 1)
    if told == -1:  # both sides agreed, so the margin grew too
        assert margin_oracle((start, start - 1), after) == -1


@given(before=logps)
def test_both_directions_can_be_refused(before):
    """Sheet, property 2: C(a, b) = C(b, a) = +1 is possible; a preference would forbid it."""
    low = torch.tensor(before), torch.tensor(before)
    high = low[0] + 1, low[1] + 1
    assert oracle(low, high) == oracle(high, low) == oracle(low, low) == 1
    more = low[0] + 1, low[1] + 2  # both up, the rejected one faster: no one's wish
    assert margin_oracle(low, more) == 1
    assert margin_oracle(more, low) == -1  # but backwards is DPO's


@given(seed=seeds, rate=st.floats(0.01, 0.5))
def test_a_step_that_is_taken_passes_the_oracle_at_the_trial(seed, rate):
    """Sheet, properties 1 and 4; and the step is as long as rate * share of successes."""
    head, sides = Head(seed), pair(seed)
    origin, before = head.weight.detach().clone(), output_logps(head, sides)
    step = ComparisonStep(head.weight, perturbations=40, rate=rate, trial=0.05)
    with counting() as work:
        told = step(head, output_logps, sides, stream(seed, "z"))
    assert work.queries == 40
    moved = head.weight.detach() - origin
    if not told["compo/accepted"]:
        assert not moved.any()
        return
    assert told["compo/successes"] > 0
    assert float(moved.norm()) == pytest.approx(rate * told["compo/successes"], rel=1e-3)
    with torch.no_grad():
        head.weight.copy_(origin + 0.05 * moved / moved.norm())
        chosen, rejected = output_logps(head, sides)
    assert float(chosen - before[0].detach()) > -1e-5
    assert float(rejected - before[1].detach()) < 1e-5


@given(seed=seeds)
def test_the_step_follows_what_succeeded(seed):
    """An oracle that likes one half-space: the step goes into it, against the failures."""
    head = Head(seed)
    wish = torch.randn(5, 3, generator=stream(seed, "wish"))

    def along(head, _):
        value = (head.weight * wish).sum()[None]
        return value, -value

    origin = head.weight.detach().clone()
    step = ComparisonStep(head.weight, perturbations=60, trial=0.1)
    told = step(head, along, None, stream(seed, "z"))
    moved = head.weight.detach() - origin
    assert told["compo/accepted"] == 1
    assert float(torch.cosine_similarity(moved.flatten(), wish.flatten(), dim=0)) > 0.5


@given(seed=seeds)
def test_where_nobody_says_yes_nothing_moves(seed):
    head = Head(seed)
    origin = head.weight.detach().clone()
    side = pair(seed)[0]  # against itself: what raises it raises it
    told = ComparisonStep(head.weight, perturbations=10)(
        head, output_logps, (side, side), stream(seed, "z")
    )
    assert told == {"compo/successes": 0.0, "compo/accepted": 0.0}
    assert torch.equal(head.weight.detach(), origin)


def test_thresholds_drop_small_entries_and_few_successes():
    def moved(**settings):
        head = Head(1)
        origin = head.weight.detach().clone()
        step = ComparisonStep(head.weight, perturbations=50, trial=0.01, **settings)
        step(head, lambda h, _: (h.weight.sum()[None], -h.weight.sum()[None]), None, stream(0, "z"))
        return head.weight.detach() - origin

    plain, cut = moved(), moved(threshold=0.25)
    small = (plain / plain.norm()).abs() < 0.25
    assert small.any()
    assert torch.equal(cut == 0, small)
    assert torch.allclose(cut[~small], plain[~small], atol=1e-6)
    assert not moved(successes=51).any()


@settings(max_examples=10)
@given(seed=seeds)
def test_margin_only_is_dpo_without_gradients(seed):
    head, sides = Head(seed), pair(seed)
    chosen, rejected = output_logps(head, sides)
    (wanted,) = torch.autograd.grad((chosen - rejected).sum(), head.weight)
    origin = head.weight.detach().clone()
    step = ComparisonStep(
        head.weight, perturbations=200, radius=1e-3, trial=1e-3, asks=margin_oracle
    )
    step(head, output_logps, sides, stream(seed, "z"))
    moved = head.weight.detach() - origin
    if float(wanted.norm()) > 0.1:  # else float32 hides the difference
        assert float(torch.cosine_similarity(moved.flatten(), wanted.flatten(), dim=0)) > 0.7


@settings(max_examples=15)
@given(rows=st.lists(st.tuples(tokens, tokens), min_size=4, max_size=4), seed=seeds)
def test_frozen_states_give_the_log_probs_of_the_policy(rows, seed):
    made, model = batch(rows), Untied(policy(seed))
    logps = sequence_logps(model, made.rows).detach()
    for (chosen, rejected), found in zip(made.pairs.tolist(), frozen(model, made), strict=True):
        above, below = output_logps(model, found)
        assert torch.allclose(above.detach(), logps[chosen], rtol=1e-4, atol=1e-4)
        assert torch.allclose(below.detach(), logps[rejected], rtol=1e-4, atol=1e-4)


@given(rows=st.lists(st.tuples(tokens, tokens), min_size=4, max_size=4), gap=st.floats(0, 9))
def test_every_pair_is_clean_or_noisy(rows, gap):
    made = with_reference(batch(rows), policy(0))
    clean, noisy = clean_and_noisy(made, gap)
    for part, is_clean in ((clean, True), (noisy, False)):
        for chosen, rejected in part.pairs.tolist():
            ref_logps = made.columns["ref_logps"]
            assert (abs(float(ref_logps[chosen] - ref_logps[rejected])) > gap) == is_clean
    assert len(clean.pairs) + len(noisy.pairs) == 2


def test_the_queue_begins_again():
    queue = Queue([pair(0), pair(1)])
    drawn = [queue.batch(None, step, stream(0, "x"))[0].tokens.tolist() for step in range(3)]
    assert drawn[0] == drawn[2] != drawn[1]


def test_bad_input_is_named():
    made = batch([([4], [5])] * 4)
    for call in (
        lambda: Queue([]),
        lambda: clean_and_noisy(made),
        lambda: frozen(policy(0), made.take(torch.arange(4))),
    ):
        with pytest.raises(ValueError, match="pairs"):
            call()
