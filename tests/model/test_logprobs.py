"""Log-probs of tokens and sequences against loops, sums over all continuations, bad input."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import pad

from minipref.data.rows import Rows
from minipref.data.streams import dice
from minipref.model.logprobs import (
    logps_from_logits,
    sequence_logps,
    token_entropies,
    token_logps,
)
from minipref.model.tabular import TabularPolicy
from minipref.model.transformer import Config, Transformer

WORDS = 5
token_lists = st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=4)
rows_of = st.lists(st.tuples(token_lists, token_lists), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)


def policy(seed):
    model = Transformer(Config(WORDS, 8, 1, 2), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(30)  # far from uniform, so that a shift by one shows
    return model.requires_grad_(False)


def table(model, ids):
    """log p(. | ids[:t]) for t = 1 ...: (length, words), by float64 and the plain forward."""
    return model(torch.tensor([ids]))[0].double().log_softmax(-1)


@st.composite
def blocks(draw, dtype=torch.float64):
    """Any logits, ids and mask, holes in the mask included."""
    batch, length = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    count = batch * length
    logits = draw(st.lists(st.floats(-30, 30), min_size=count * WORDS, max_size=count * WORDS))
    ids = draw(st.lists(st.integers(0, WORDS - 1), min_size=count, max_size=count))
    mask = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return (
        torch.tensor(logits, dtype=dtype).view(batch, length, WORDS),
        torch.tensor(ids).view(batch, length),
        torch.tensor(mask).view(batch, length),
    )


@given(block=blocks())
def test_logps_from_logits_are_those_of_a_loop(block):
    logits, ids, mask = block
    found = logps_from_logits(logits, ids, mask)
    assert found.dtype == torch.float32
    for i, t in product(*map(range, ids.shape)):
        expected = 0.0
        if t > 0 and mask[i, t]:
            scores = logits[i, t - 1].tolist()
            expected = scores[ids[i, t]] - math.log(sum(map(math.exp, scores)))
        assert math.isclose(found[i, t], expected, rel_tol=1e-4, abs_tol=1e-4)


@given(rows=rows_of, seed=seeds)
def test_token_logps_are_those_of_a_loop(rows, seed):
    model = policy(seed)
    found = token_logps(model, Rows.of(*zip(*rows, strict=True)))
    expected = torch.zeros(found.shape)
    for i, (prompt, response) in enumerate(rows):
        known = table(model, prompt + response)
        for t, token in enumerate(response, start=len(prompt)):
            expected[i, t] = known[t - 1, token]
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


@given(rows=rows_of, seed=seeds, draw=st.data())
def test_both_ways_agree_on_any_mask(rows, seed, draw):
    model, block = policy(seed), Rows.of(*zip(*rows, strict=True))
    size = block.ids.numel()
    flags = torch.tensor(draw.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    mask = flags.view(block.ids.shape) & block.attention_mask
    found = token_logps(model, Rows(block.ids, block.attention_mask, mask))
    logits = model(block.ids, block.attention_mask)
    expected = logps_from_logits(logits, block.ids, mask)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert not found[~mask].any()


@given(rows=rows_of, seed=seeds)
def test_a_sequence_is_the_sum_of_its_tokens(rows, seed):
    model = policy(seed)
    found = sequence_logps(model, Rows.of(*zip(*rows, strict=True)))
    for (prompt, response), logp in zip(rows, found, strict=True):
        known = table(model, prompt + response)
        start = len(prompt) - 1
        probability = math.prod(known[start + i, w].exp() for i, w in enumerate(response))
        assert math.isclose(logp, math.log(probability), rel_tol=1e-4, abs_tol=1e-4)


@given(prompt=token_lists, seed=seeds, length=st.integers(1, 3))
def test_all_continuations_together_are_certain(prompt, seed, length):
    every = [list(words) for words in product(range(WORDS), repeat=length)]
    logps = sequence_logps(policy(seed), Rows.of([prompt] * len(every), every))
    assert math.isclose(float(logps.double().exp().sum()), 1.0, rel_tol=1e-5)


@given(rows=rows_of, seed=seeds)
def test_entropies_are_those_of_a_loop(rows, seed):
    model, block = policy(seed), Rows.of(*zip(*rows, strict=True))
    found = token_entropies(model, block)
    expected = torch.zeros(found.shape)
    for i, (prompt, response) in enumerate(rows):
        known = table(model, prompt + response)
        for t in range(len(prompt), len(prompt) + len(response)):
            expected[i, t] = -sum(p.exp() * p for p in known[t - 1])
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert found.max() <= math.log(WORDS) + 1e-5


@given(rows=rows_of, seed=seeds, more=st.integers(1, 3), token=st.integers(0, WORDS - 1))
def test_padding_and_neighbours_change_nothing(rows, seed, more, token):
    model, block = policy(seed), Rows.of(*zip(*rows, strict=True))
    masks = pad(block.attention_mask, (0, more)), pad(block.completion_mask, (0, more))
    wider = Rows(pad(block.ids, (0, more), value=token), *masks)
    for measure in (token_logps, token_entropies):
        expected = measure(model, block)
        assert torch.allclose(measure(model, wider), pad(expected, (0, more)), rtol=1e-4, atol=1e-4)
        for (prompt, response), row in zip(rows, expected, strict=True):
            alone = measure(model, Rows.of([prompt], [response]))[0]
            assert torch.allclose(row[: len(alone)], alone, rtol=1e-4, atol=1e-4)


@given(rows=rows_of)
def test_a_uniform_policy(rows):
    """Closed form: every word costs log(words), and that is the entropy too."""
    model, block = policy(0), Rows.of(*zip(*rows, strict=True))
    with torch.no_grad():
        model.embedding.weight.zero_()
    lengths = block.completion_mask.sum(1)
    assert torch.allclose(sequence_logps(model, block), -lengths * math.log(WORDS))
    assert torch.allclose(token_entropies(model, block).sum(1), lengths * math.log(WORDS))


def test_an_empty_response_is_certain():
    assert sequence_logps(policy(0), Rows.of([[1, 2]], [[]])).tolist() == [0.0]


def test_half_precision_is_summed_in_float32():
    model = TabularPolicy(1, 3)
    with torch.no_grad():
        model.table.copy_(torch.tensor([[1.0, 2.0, -4.0]]))
    rows = Rows.of([[0]], [[1]])
    exact = torch.tensor([[0.0, 2 - math.log(math.e + math.e**2 + math.e**-4)]])
    found = token_logps(model.bfloat16(), rows)
    assert found.dtype == torch.float32
    assert torch.allclose(found, exact, atol=1e-6)  # bfloat16 itself would be off by 1e-3
    assert torch.allclose(
        logps_from_logits(model(rows.ids), rows.ids, rows.completion_mask), exact, atol=1e-6
    )


def test_huge_logits_stay_finite():
    logits = torch.tensor([[[3e38, -3e38], [0.0, 0.0]]])
    ids, mask = torch.tensor([[0, 0]]), torch.tensor([[False, True]])
    assert logps_from_logits(logits, ids, mask).tolist() == [[0.0, 0.0]]


def test_the_gradient_is_the_chosen_word_less_the_probabilities():
    """d log p(w) / d logits = 1[w] - p, and nothing where the mask is False."""
    logits = torch.tensor([[[0.5, -1.0, 2.0]] * 3], dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False]])
    logps_from_logits(logits, torch.tensor([[0, 2, 1]]), mask).sum().backward()
    expected = torch.zeros(1, 3, 3, dtype=torch.float64)
    expected[0, 0] = torch.eye(3, dtype=torch.float64)[2] - logits[0, 0].softmax(-1).detach()
    assert torch.allclose(logits.grad, expected, atol=1e-6)


IDS, MASK, LOGITS = torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 3).bool(), (2, 3, 4)


@pytest.mark.parametrize(
    ("logits", "ids", "mask", "message"),
    [
        (LOGITS, IDS.float(), MASK, r"ids: expected int64 \(batch, length\), got torch.float32"),
        (LOGITS, IDS[0], MASK, r"ids: expected int64 .* got torch.int64 \(3,\)"),
        ((2, 4), IDS, MASK, r"logits: expected \(2, 3, 'vocabulary'\), got \(2, 4\)"),
        ((2, 2, 4), IDS, MASK, r"logits: expected \(2, 3, 'vocabulary'\), got \(2, 2, 4\)"),
        (LOGITS, IDS, MASK[:, 1:], r"completion_mask: expected bool \(2, 3\), got .*\(2, 2\)"),
        (LOGITS, IDS, MASK.long(), r"completion_mask: expected bool \(2, 3\), got torch.int64"),
    ],
)
def test_bad_input(logits, ids, mask, message):
    with pytest.raises(ValueError, match=message):
        logps_from_logits(torch.zeros(logits), ids, mask)


@given(
    lengths=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 40)), min_size=2, max_size=12),
    seed=st.integers(0, 99),
)
def test_rows_read_in_parts_are_the_rows_read_one_by_one(lengths, seed):
    rng = dice(seed, "ragged")
    prompts, responses = (
        [[rng.randrange(4, 11) for _ in range(pair[side])] for pair in lengths] for side in (0, 1)
    )
    model = Transformer(Config(11, 16, 2, 2), torch.Generator().manual_seed(seed)).double()
    together = sequence_logps(model, Rows.of(prompts, responses))
    alone = torch.cat(
        [
            sequence_logps(model, Rows.of([prompt], [response]))
            for prompt, response in zip(prompts, responses, strict=True)
        ]
    )
    assert torch.allclose(together, alone, atol=1e-4)
    weights = torch.arange(1.0, len(lengths) + 1)
    gradients = [
        torch.autograd.grad((weights * logps).sum(), list(model.parameters()))
        for logps in (together, alone)
    ]
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-3)
