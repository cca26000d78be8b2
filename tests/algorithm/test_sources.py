import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.mismatch import mismatched
from minipref.algorithm.sources import Sampled, Stored, with_reference
from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.model.tabular import TabularPolicy

ids = st.lists(st.integers(4, 30), min_size=1, max_size=6)


@st.composite
def batches(draw, paired=True):
    """Rows that say who they are: response i is a run of the number 100 + i."""
    count = draw(st.integers(2, 8)) * 2
    prompts = [draw(ids) for _ in range(count)]
    responses = [[100 + i] * draw(st.integers(1, 6)) for i in range(count)]
    texts = tuple(f"response {i}" for i in range(count))
    groups = torch.arange(count) // 2
    batch = Batch(texts, texts, Rows.of(prompts, responses), groups)
    return batch.with_pairs(torch.arange(count).view(-1, 2)) if paired else batch


def names(batch):
    """The numbers of the rows' responses, read from their ids."""
    return [response[0] - 100 for response in batch.rows.split()[1]]


@given(batch=batches(), size=st.integers(1, 4), bucket=st.integers(1, 3), seed=st.integers(0, 9))
def test_an_epoch_shows_every_pair_once(batch, size, bucket, seed):
    size = min(size, len(batch.pairs))
    source = Stored(batch, size, bucket)
    steps = len(batch.pairs) // size
    seen = []
    for step in range(steps):
        part = source.batch(None, step, stream(seed, "source"))
        rows = names(part)
        assert list(part.responses) == [f"response {row}" for row in rows]
        chosen, rejected = ([rows[i] for i in column] for column in part.pairs.T.tolist())
        assert [row + 1 for row in chosen] == rejected  # pairs were (0, 1), (2, 3), ...
        seen += chosen
    assert len(seen) == len(set(seen)) == steps * size


@given(batch=batches(), step=st.integers(0, 50))
def test_a_batch_depends_on_the_step_alone(batch, step):
    fresh, used = Stored(batch, 1), Stored(batch, 1)
    for earlier in range(0, step, 7):
        used.batch(None, earlier, stream(0, "source"))
    rng = stream(0, "source")
    torch.rand(3, generator=rng)
    assert names(fresh.batch(None, step, stream(0, "source"))) == names(used.batch(None, step, rng))


def test_buckets_save_padding():
    lengths = torch.randint(1, 60, (400,), generator=stream(0, "lengths")).tolist()
    rows = Rows.of([[1]] * 400, [[5] * length for length in lengths])
    texts = ("",) * 400
    batch = Batch(texts, texts, rows, torch.arange(400))

    def padded(bucket):
        source = Stored(batch, 20, bucket)
        return sum(source.batch(None, i, stream(0, "s")).rows.ids.numel() for i in range(20))

    assert padded(20) < 0.6 * padded(1)


@pytest.mark.parametrize("size", [0, 9])
def test_a_batch_larger_than_the_data_is_refused(size):
    texts = ("",) * 8
    batch = Batch(texts, texts, Rows.of([[1]] * 8, [[2]] * 8), torch.arange(8))
    with pytest.raises(ValueError, match="batch_size"):
        Stored(batch, size)


@given(batch=batches(paired=False), data=st.data())
def test_mismatched_rows_answer_another_prompt(batch, data):
    order = torch.tensor(data.draw(st.permutations(range(len(batch)))))
    shuffled = batch.take(order)
    prompts, responses = mismatched(shuffled).split()
    assert prompts == shuffled.rows.split()[0]
    owner = {100 + row: group for row, group in enumerate(batch.groups.tolist())}
    for group, response in zip(shuffled.groups.tolist(), responses, strict=True):
        assert owner[response[0]] != group
    assert sorted(response[0] for response in responses) == sorted(owner)


def test_one_prompt_alone_has_no_mismatch():
    texts = ("",) * 3
    batch = Batch(texts, texts, Rows.of([[1]] * 3, [[2]] * 3), torch.tensor([0, 0, 1]))
    with pytest.raises(ValueError, match="owns 2 of the batch's 3"):
        mismatched(batch)


def test_samples_come_in_groups_that_follow_the_policy():
    world = Bandit(prompts=4, responses=6, seed=0)
    policy = TabularPolicy(4, 6)
    with torch.no_grad():
        next(policy.parameters()).copy_(torch.randn(4, 6, generator=stream(0, "table")))
    prompts = world.all_prompts
    source = Sampled(world, prompts, batch_size=1000, per_prompt=4)
    batch = source.batch(policy, 0, stream(0, "source"))
    asked, answered = batch.rows.ids.T
    assert bool((asked.view(-1, 4) == asked.view(-1, 4)[:, :1]).all())
    assert batch.by_group().shape == (1000, 4)
    for prompt in range(4):
        counts = torch.bincount(answered[asked == prompt], minlength=6)
        expected = policy.probabilities()[prompt].detach()
        assert torch.allclose(counts / counts.sum(), expected, atol=0.06)


def test_stored_reference_log_probs_equal_live_ones():
    world = Bandit(prompts=4, responses=6, seed=0)
    policy = TabularPolicy(4, 6)
    prompts = world.all_prompts
    batch = Sampled(world, prompts).batch(policy, 0, stream(0, "source"))
    batch = batch.with_pairs(torch.arange(len(batch)).view(-1, 2))
    stored = with_reference(batch, policy, batch_size=3)
    assert torch.equal(stored.pairs, batch.pairs)
    assert torch.allclose(stored.columns["ref_logps"], torch.tensor(6.0).log().neg())
