"""sDPO's schedule: implicit rewards telescope, saturation is reset, the bar rises."""

import copy
import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.direct.stepwise import easy_first, log_ratios, stepwise
from minipref.algorithm.objective import Objective
from minipref.algorithm.sources import Stored, with_reference
from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.streams import dice, stream
from minipref.model.tabular import TabularPolicy
from minipref.papers.direct import sdpo_on_bandit as bandit

BETA = 0.5
WORLD = Bandit(3, 5, 7)


def consistent_pairs(count, seed):
    """Pairs of responses to drawn prompts, the better one chosen."""
    draw = dice(seed, "pairs")
    prompts = WORLD.prompts(count, draw)
    texts = []
    for prompt in prompts:
        worse, better = sorted(draw.sample(WORLD.responses(), 2), key=partial(WORLD.reward, prompt))
        texts += [better, worse]
    twice = [prompt for prompt in prompts for _ in range(2)]
    rows = torch.arange(2 * count)
    return Batch.of(WORLD, twice, texts, rows // 2).with_pairs(rows.view(-1, 2))


def drawn(seed):
    policy = TabularPolicy(3, 5)
    policy.table.data = torch.randn(3, 5, generator=stream(seed, "start"))
    return policy


def trained(policy, reference, pairs, first=None):
    """A few steps of DPO; `first` collects the loss that each chunk starts with."""
    data = with_reference(pairs, reference)
    source, dpo = Stored(data, 8), Objective.of("dpo", beta=BETA)
    state = align(policy, source, AsStored(), dpo, 6, step=GradientStep(policy, 0.1, 6))
    if first is not None:
        first.append(state.history[0]["loss"])


@settings(max_examples=15)
@given(st.integers(1, 4), st.integers(0, 99))
def test_every_chunk_starts_from_log_two_and_the_margins_add_up(chunks, seed):
    pairs, start, losses = consistent_pairs(40, seed), drawn(seed), []
    kept = start.table.detach().clone()
    parts = [pairs.take_pairs(part) for part in torch.arange(40).chunk(chunks)]
    models = stepwise(start, parts, lambda p, r, c: trained(p, r, c, losses))
    assert len(models) == chunks + 1
    assert losses == pytest.approx([math.log(2)] * chunks, abs=1e-6)
    gammas = [log_ratios(model, pairs) for model in models]
    steps = [after - before for before, after in pairwise(gammas)]
    assert torch.allclose(sum(steps), gammas[-1] - log_ratios(start, pairs), atol=1e-5)
    assert all(float(step.mean()) > 0 for step in steps)  # the bar rises
    assert torch.equal(start.table, kept)
    tables = {model.table.data_ptr() for model in [start, *models]}
    assert len(tables) == chunks + 2  # nobody shares weights


@given(st.integers(0, 99))
def test_one_chunk_is_dpo(seed):
    pairs, start = consistent_pairs(24, seed), drawn(seed)
    (_, ours) = stepwise(start, [pairs], trained)
    theirs = copy.deepcopy(start)
    trained(theirs, start, pairs)
    assert torch.equal(ours.table, theirs.table)
    assert not torch.equal(ours.table, start.table)


def test_each_chunk_is_trained_against_the_model_before():
    """Models are numbers; a chunk is added, and what it was compared with is written down."""
    seen = []

    class Number(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.zeros(()), requires_grad=False)

    def train(policy, reference, chunk):
        seen.append((float(policy.value), float(reference.value), chunk))
        policy.value += chunk

    models = stepwise(Number(), iter([1.0, 10.0, 100.0]), train)
    assert [float(model.value) for model in models] == [0, 1, 11, 111]
    assert seen == [(0, 0, 1), (1, 1, 10), (11, 11, 100)]


@settings(max_examples=10)
@given(st.integers(0, 99), st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=3))
def test_steps_to_the_end_are_dpo_at_one_looser_beta_and_kl_grows(seed, temperatures):
    made = bandit.table(seed)
    logps = bandit.steps(made, temperatures)  # (T + 1, prompts, responses)
    start, sharpness = logps[0].exp(), 0.0
    distances = [made.bandit.kl(step.exp(), start) for step in logps]
    assert distances == sorted(distances)
    for step, temperature in enumerate(temperatures, 1):
        sharpness += 1 / temperature
        law = made.bandit.optimum(bandit.BETA / sharpness, start)
        assert torch.allclose(logps[step].exp(), law, atol=1e-6)
    if len(temperatures) > 1:
        held = bandit.steps(made, temperatures, moving=False)[-1]
        assert not torch.allclose(held, logps[-1], atol=1e-3)


@given(st.lists(st.tuples(st.floats(-3, 3), st.sampled_from("abc")), min_size=1, max_size=30))
def test_sources_are_read_whole_and_the_easiest_first(drawn_pairs):
    gammas = torch.tensor([gamma for gamma, _ in drawn_pairs], dtype=torch.float64)
    sources = [source for _, source in drawn_pairs]
    order = easy_first(gammas, sources).tolist()
    assert sorted(order) == list(range(len(sources)))
    read = [sources[i] for i in order]
    blocks = list(dict.fromkeys(read))
    assert read == sorted(read, key=blocks.index)  # each source in one piece
    for name in blocks:
        places = [i for i in order if sources[i] == name]
        assert places == sorted(places)  # and in its old order
    right = {
        name: sum((g > 0) + 0.5 * (g == 0) for g, s in drawn_pairs if s == name)
        / sources.count(name)
        for name in blocks
    }
    accuracies = [right[name] for name in blocks]
    assert accuracies == sorted(accuracies, reverse=True)


def test_gamma_by_hand():
    policy = TabularPolicy(1, 3)
    policy.table.data = torch.tensor([[0.0, 1.0, 3.0]])
    world = Bandit(1, 3, 0)
    batch = Batch.of(world, world.all_prompts * 3, ["r0", "r1", "r2"], torch.zeros(3).long())
    pairs = batch.with_pairs(torch.tensor([[2, 0], [0, 1]]))
    assert log_ratios(policy, pairs).tolist() == pytest.approx([3.0, -1.0])
    assert not log_ratios(policy, pairs).requires_grad


def test_bad_input():
    world = Bandit(1, 3, 0)
    batch = Batch.of(world, world.all_prompts, ["r0"], torch.zeros(1).long())
    with pytest.raises(ValueError, match="pairs: the batch has none"):
        log_ratios(TabularPolicy(1, 3), batch)
    with pytest.raises(ValueError, match=r"gammas: expected \(2,\), got \(3,\)"):
        easy_first(torch.zeros(3), ["a", "b"])
