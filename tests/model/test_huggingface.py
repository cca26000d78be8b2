"""A Hugging Face Llama, or a GPT-2, behaves as a policy of ours, in every part of the contract."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.objective import Objective
from minipref.algorithm.sources import Stored
from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.model.generate import generate
from minipref.model.huggingface import HuggingFacePolicy
from minipref.model.logprobs import sequence_logps
from minipref.model.policy import Policy

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow  # importing transformers takes seconds
VOCABULARY = 11
token_lists = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=5)
rows_of = st.lists(st.tuples(token_lists, token_lists), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from(("llama", "gpt2"))
few = settings(max_examples=15)


def model_of(seed, kind="llama", **options):
    """A small random model: positions are relative in a Llama, absolute in a GPT-2."""
    if kind == "llama":
        sizes = {"hidden_size": 12, "intermediate_size": 16, "num_hidden_layers": 2}
        sizes |= {"num_attention_heads": 2, "max_position_embeddings": 32}
        config = transformers.LlamaConfig(vocab_size=VOCABULARY, **(sizes | options))
    else:
        sizes = {"n_embd": 12, "n_head": 2, "n_layer": 2, "n_positions": 32}
        config = transformers.GPT2Config(vocab_size=VOCABULARY, **sizes)
    model = transformers.AutoModelForCausalLM.from_config(config)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=rng).mul(0.5))
    return model


def policy(seed, kind="llama", **options):
    return HuggingFacePolicy(model_of(seed, kind, **options))


def close(found, expected):
    return torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


def on_the_left(rows):
    """ids and mask of the rows, padded on the left."""
    lengths = rows.attention_mask.sum(1).tolist()
    ids, mask = torch.zeros_like(rows.ids), torch.zeros_like(rows.attention_mask)
    for i, length in enumerate(lengths):
        ids[i, -length:], mask[i, -length:] = rows.ids[i, :length], True
    return ids, mask


class Forgetful(Policy):
    """The same policy without a cache."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def hidden(self, *args, **kwargs):
        return self.model.hidden(*args, **kwargs)

    def unembed(self, hidden):
        return self.model.unembed(hidden)


@few
@given(rows=rows_of, seed=seeds, kind=kinds)
def test_logits_are_the_models_whatever_the_padding(rows, seed, kind):
    model = policy(seed, kind)
    block = Rows.of(*zip(*rows, strict=True))
    ids, mask = on_the_left(block)
    right, left = model(block.ids, block.attention_mask), model(ids, mask)
    for i, (prompt, response) in enumerate(rows):
        alone = model.model(torch.tensor([prompt + response])).logits[0]
        assert close(right[i][block.attention_mask[i]], alone)
        assert close(left[i][mask[i]], alone)


@few
@given(rows=rows_of, seed=seeds)
def test_sequence_logps_are_sums_over_the_models_own(rows, seed):
    model = policy(seed)
    found = sequence_logps(model, Rows.of(*zip(*rows, strict=True)))
    for (prompt, response), logp in zip(rows, found, strict=True):
        table = model.model(torch.tensor([prompt + response])).logits[0].log_softmax(-1)
        expected = sum(table[len(prompt) + i - 1, token] for i, token in enumerate(response))
        assert close(logp, expected)


@few
@given(rows=rows_of, seed=seeds, kind=kinds, draw=st.data())
def test_a_cache_and_retired_rows_change_nothing(rows, seed, kind, draw):
    """Any split of the tokens, padding on the left, some rows leaving on the way."""
    model = policy(seed, kind)
    ids, mask = on_the_left(Rows.of(*zip(*rows, strict=True)))
    going = torch.tensor(sorted(draw.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1))))
    cuts = draw.draw(st.sets(st.integers(1, ids.shape[1]), max_size=4)) - {ids.shape[1]}
    whole, cache = model(ids, mask), model.new_cache(len(rows))
    for start, end in pairwise([0, *sorted(cuts), ids.shape[1]]):
        part = mask[:, start:end]
        found = model(ids[:, start:end], None if part.all() else part, cache)
        assert close(found[part], whole[:, start:end][part])
    cache.select(going)
    token = ids[going, -1:]
    longer = torch.cat([ids[going], token], 1), pad(mask[going], (0, 1), value=True)
    assert close(model(token, None, cache)[:, 0], model(*longer)[:, -1])


@few
@given(rows=rows_of, seed=seeds, draw=st.data())
def test_keep_is_selecting_afterwards(rows, seed, draw):
    model, block = policy(seed), Rows.of(*zip(*rows, strict=True))
    size = block.ids.numel()
    flags = draw.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    keep = torch.tensor(flags).view(block.ids.shape)
    hidden = model.hidden(block.ids, block.attention_mask)
    assert close(model.hidden(block.ids, block.attention_mask, keep=keep), hidden[keep])


@few
@given(prompts=st.lists(token_lists, min_size=1, max_size=6), seed=seeds)
def test_sampling_needs_no_cache_to_say_the_same(prompts, seed):
    model = policy(seed)
    responses = [
        generate(
            asked, prompts, max_new_tokens=6, generator=torch.Generator().manual_seed(seed % 2**31)
        )
        for asked in (model, Forgetful(model))
    ]
    assert responses[0] == responses[1]


def test_dpo_moves_it_and_leaves_the_reference():
    model = policy(0)
    rows = Rows.of([[1, 4, 2]] * 4, [[5, 3], [6, 3], [5, 7, 3], [6, 7, 3]])
    pairs = torch.tensor([[0, 1], [2, 3]])
    batch = Batch(("p",) * 4, ("",) * 4, rows, torch.tensor([0, 0, 1, 1])).with_pairs(pairs)
    before = sequence_logps(model, rows).detach()
    objective = Objective.of("dpo", reference=model)
    step = GradientStep(model, 0.01)
    history = align(model, Stored(batch, 2), AsStored(), objective, 10, step=step).history
    assert abs(history[0]["loss"] - 0.6931) < 1e-3  # the reference was the policy itself
    after = sequence_logps(model, rows).detach()
    assert ((after - before)[::2] > (after - before)[1::2]).all()


def test_it_stays_without_dropout():
    model = policy(0, attention_dropout=0.5).train()
    ids = torch.tensor([[1, 2, 3, 4]])
    assert torch.equal(model(ids), model(ids))


def test_logits_that_are_changed_afterwards_are_refused():
    model = model_of(0)
    model.config.final_logit_softcapping = 30.0
    with pytest.raises(ValueError, match=r"its config has final_logit_softcapping = 30\.0"):
        HuggingFacePolicy(model)
