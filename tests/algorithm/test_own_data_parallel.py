"""Shares of a batch add up to the batch: its units, its loss, its gradient and its metrics."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.objective import Objective
from minipref.algorithm.own_data import parallel
from minipref.algorithm.own_data.parallel import Known, Shared, checkpoint_of, share_of
from minipref.data.records import Pair, Point, Ranking
from minipref.data.streams import stream
from minipref.data.texts import Texts, batch_of
from minipref.model.transformer import Config, Transformer

words = st.text("abc", max_size=4)
POLICY = Transformer(Config(260, 8, 1, 1, 16), stream(0, "policy"))
REFERENCE = Transformer(Config(260, 8, 1, 1, 16), stream(0, "reference"))


def batch_from(kind, said):
    records = {
        "pairs": [Pair(str(i), a, b) for i, (a, b) in enumerate(said)],
        "points": [Point(str(i), a, len(b) > 1) for i, (a, b) in enumerate(said)],
        "rankings": [Ranking(str(i), (a, b, "")) for i, (a, b) in enumerate(said)],
    }
    return batch_of(Texts(), records[kind])


several = st.lists(st.tuples(words, words), min_size=2, max_size=7)
kinds = st.sampled_from(["pairs", "points", "rankings"])


@given(said=several, kind=kinds, draw=st.data())
def test_every_unit_is_in_one_share(said, kind, draw):
    count = draw.draw(st.integers(1, len(said)))
    shares = [share_of(batch_from(kind, said), rank, count) for rank in range(count)]
    whole = batch_from(kind, said)
    assert abs(sum(part for _, part in shares) - 1) < 1e-9
    found = sorted((p.text, r) for mine, _ in shares for p, r in _texts(mine))
    assert found == sorted((p.text, r) for p, r in _texts(whole))
    sizes = [len(mine) for mine, _ in shares]
    assert max(sizes) - min(sizes) <= len(whole) // len(said)


def _texts(batch):
    return list(zip(batch.prompts, batch.responses, strict=True))


class Turns:
    """`torch.distributed` for processes that take turns: sums come out right in the second round.

    In the first round every rank's numbers are added up, call by call; in the second they are
    handed out.
    """

    def __init__(self, count):
        self.count, self.rank, self.sums, self.call = count, 0, [], 0

    def get_rank(self):
        return self.rank

    def get_world_size(self):
        return self.count

    def all_reduce(self, tensor):
        if self.call == len(self.sums):
            self.sums.append(torch.zeros_like(tensor))
        if self.adding:
            self.sums[self.call] += tensor
        else:
            tensor.copy_(self.sums[self.call])
        self.call += 1

    def every(self, work):
        """What each process gets from `work`."""
        for adding in (True, False):
            self.adding, found = adding, []
            for rank in range(self.count):
                self.rank, self.call = rank, 0
                found.append(work())
        return found


def gradient_of(objective, batch):
    weights = list(POLICY.parameters())
    loss, metrics = objective(POLICY, batch)
    grads = torch.autograd.grad(2 * loss, weights)  # a factor above has to come through
    return float(loss.detach()), grads, metrics


@given(said=several, loss=st.sampled_from(["dpo", "simpo", "sft", "tdpo1"]), draw=st.data())
def test_every_process_sees_the_whole_batch_s_numbers(said, loss, draw):
    count = draw.draw(st.integers(1, len(said)))
    batch = batch_from("points" if loss == "sft" else "pairs", said)
    objective = Objective.of(loss, reference=REFERENCE)
    value, grads, metrics = gradient_of(objective, batch)
    turns, real = Turns(count), parallel.dist
    try:
        parallel.dist = turns
        everywhere = turns.every(lambda: gradient_of(Shared(objective), batch))
    finally:
        parallel.dist = real
    for its_value, its_grads, its_metrics in everywhere:
        assert abs(its_value - value) < 1e-4
        for ours, theirs in zip(grads, its_grads, strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-5)
        assert its_metrics.keys() == metrics.keys()
        for name, number in metrics.items():
            assert abs(its_metrics[name] - number) < 1e-3


@given(numbers=st.lists(st.floats(-9, 9), min_size=1, max_size=4), factor=st.floats(-9, 9))
def test_a_known_gradient_is_passed_on(numbers, factor):
    weights = [torch.zeros(2, requires_grad=True) for _ in numbers]
    grads = tuple(torch.full((2,), number) for number in numbers)
    value = Known.apply(torch.tensor(3.0), grads, *weights)
    assert float(value.detach()) == 3.0
    for found, given_ in zip(torch.autograd.grad(factor * value, weights), grads, strict=True):
        assert torch.allclose(found, factor * given_)


def test_a_helper_leaves_the_checkpoint_alone(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    path.write_text("first")
    monkeypatch.setattr(parallel, "is_first", lambda: False)
    with checkpoint_of(path) as mine:
        assert mine.read_text() == "first"
        mine.write_text("second")
    assert path.read_text() == "first"
    assert not mine.exists()
    monkeypatch.setattr(parallel, "is_first", lambda: True)
    with checkpoint_of(path) as mine:
        assert mine == path
