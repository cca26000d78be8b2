"""Pairs that are chosen for labelling, and how unsure dropout says that a policy is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.online.asked import Asked
from minipref.algorithm.online.dropout import dropped, uncertain_logps
from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.corpora import CHAT
from minipref.data.rows import Rows
from minipref.data.streams import dice, stream
from minipref.data.work import counting
from minipref.feedback.annotators import bt
from minipref.model.bases import load_base
from minipref.model.logprobs import sequence_logps
from minipref.model.tabular import TabularPolicy

SEEDS = st.integers(0, 10**6)
WORLD, POLICY = Bandit(8, 6), TabularPolicy(8, 6)


def source_of(seed, worth, pairs=40, **settings):
    rng = stream(seed, "pool")
    prompts = WORLD.prompts(pairs, dice(seed, "pool"))
    said = [f"r{i}" for i in torch.randint(6, (2 * pairs,), generator=rng).tolist()]
    twice = [prompt for prompt in prompts for _ in range(2)]
    pool = Batch.of(WORLD, twice, said, torch.arange(2 * pairs) // 2)
    return Asked(pool, bt(WORLD.reward), worth, **settings)


def difference(policy, pairs, rng):
    """Of the numbers of the two responses."""
    ids = pairs.rows.ids[:, 1].view(-1, 2)
    return (ids[:, 0] - ids[:, 1]).abs().float()


@given(SEEDS, st.integers(1, 5))
def test_labels_are_counted_and_no_pair_is_asked_about_twice(seed, labels):
    source = source_of(seed, difference, labels=labels, every=1, batch_size=4)
    rng = stream(seed, "steps")
    with counting() as work:
        for step in range(8):
            batch = source.batch(POLICY, step, rng)
            assert len(source.pairs) == labels * (step + 1)
            for chosen, rejected in batch.pairs.tolist():
                assert batch.prompts[chosen] == batch.prompts[rejected]
    assert work.labels == 8 * labels
    asked = source.pool.groups[source.pairs]
    assert torch.equal(asked[:, 0], asked[:, 1])
    assert len(set(asked[:, 0].tolist())) == 8 * labels
    assert len(source.waiting) == 40 - 8 * labels


@given(SEEDS)
def test_those_worth_most_are_asked_about(seed):
    source = source_of(seed, difference, labels=10, among=4)  # all wait as candidates
    source.batch(POLICY, 0, stream(seed, "steps"))
    numbers = source.pool.rows.ids[:, 1]
    asked = (numbers[source.pairs[:, 0]] - numbers[source.pairs[:, 1]]).abs()
    left = (numbers[source.waiting[:, 0]] - numbers[source.waiting[:, 1]]).abs()
    assert asked.min() >= left.max()


def test_between_rounds_nobody_is_asked_and_a_resumed_source_goes_on():
    source = source_of(0, difference, labels=5, every=3)
    rng = stream(0, "steps")
    for step in range(4):
        source.batch(POLICY, step, rng)
    assert len(source.pairs) == 10
    again = source_of(0, difference, labels=5, every=3)
    again.load_state_dict(source.state_dict())
    one, other = (s.batch(POLICY, 6, stream(1, "steps")) for s in (source, again))
    assert one.responses == other.responses
    assert len(source.pairs) == 15


def test_an_empty_pool_and_lists_are_refused():
    source = source_of(0, difference, pairs=6, labels=4, every=1)
    source.batch(POLICY, 0, stream(0, "steps"))
    with pytest.raises(ValueError, match="2 pairs are left, 4 were wanted"):
        source.batch(POLICY, 1, stream(0, "steps"))
    lists = Batch.of(WORLD, WORLD.all_prompts[:1] * 3, ["r0", "r1", "r2"], torch.zeros(3).long())
    with pytest.raises(ValueError, match="expected two rows a group, got 3"):
        Asked(lists, bt(WORLD.reward), difference)


# ---- dropout ------------------------------------------------------------------------------------

BASE = load_base("chat-nano", 0)
LAYERS = [layer for block in BASE.blocks for layer in (block.attention, block.feed_forward)]


def rows_of(seed, count=24):
    prompts = CHAT.prompts(count, dice(seed, "test/dropout"))
    texts = [CHAT.demonstration(prompt, dice(seed, prompt.text)) for prompt in prompts]
    asked = [CHAT.encode_prompt(prompt) for prompt in prompts]
    return Rows.of(asked, [CHAT.encode_response(text) for text in texts])


@settings(max_examples=5)
@given(SEEDS)
def test_without_dropout_nothing_is_unsure(seed):
    rows = rows_of(seed)
    mean, spread = uncertain_logps(BASE, rows, LAYERS, stream(seed, "drop"), rate=0.0)
    with torch.no_grad():
        torch.testing.assert_close(mean, sequence_logps(BASE, rows))
    assert float(spread.max()) < 1e-4


@settings(max_examples=5)
@given(SEEDS)
def test_dropout_follows_its_stream_and_leaves_no_trace(seed):
    rows = rows_of(seed)
    with torch.no_grad():
        before = sequence_logps(BASE, rows)
        one, other = (uncertain_logps(BASE, rows, LAYERS, stream(seed, "drop")) for _ in range(2))
        assert torch.equal(sequence_logps(BASE, rows), before)
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert float(one[1].min()) > 0


def test_long_responses_are_the_less_sure_ones():
    rows = rows_of(3, 256)
    spread = uncertain_logps(BASE, rows, LAYERS, stream(3, "drop"))[1]
    lengths = rows.completion_mask.sum(1)
    short, long = spread[lengths < lengths.median()], spread[lengths > lengths.median()]
    assert float(long.mean()) > 1.2 * float(short.mean())


@given(SEEDS, st.floats(0.05, 0.9))
def test_dropped_outputs_are_right_on_average(seed, rate):
    layer = torch.nn.Linear(3, 4)
    x = torch.ones(20_000, 3)
    with torch.no_grad():
        plain = layer(x)
        with dropped([layer], rate, stream(seed, "drop")):
            found = layer(x)
    share = float((found == 0).float().mean())
    assert share == pytest.approx(rate, abs=0.02)
    noise = 6 * plain.abs().max() * (rate / (1 - rate) / len(x)) ** 0.5
    torch.testing.assert_close(found.mean(0), plain[0], rtol=0, atol=float(noise))


def test_bad_rate():
    with (
        pytest.raises(ValueError, match=r"rate: expected a number in \[0, 1\), got 1"),
        dropped(LAYERS, 1.0, stream(0, "drop")),
    ):
        pass
