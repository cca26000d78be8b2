"""An untied policy is the policy, until its output layer moves; then the embedding does not."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.model.generate import generate
from minipref.model.logprobs import sequence_logps
from minipref.model.transformer import Config, Transformer
from minipref.model.untied import Untied

words = st.lists(st.integers(4, 9), min_size=1, max_size=5)


def policy(seed):
    model = Transformer(Config(10, 8, 1, 2), stream(seed, "policy"))
    with torch.no_grad():
        model.embedding.weight.mul_(10)
    return model


@settings(max_examples=15)
@given(seed=st.integers(0, 99), prompt=words, response=words)
def test_at_first_it_says_what_the_policy_says(seed, prompt, response):
    model, rows = policy(seed), Rows.of([prompt], [response])
    assert torch.equal(sequence_logps(Untied(model), rows), sequence_logps(model, rows))
    ours, theirs = (
        generate(m, [prompt], max_new_tokens=4, generator=stream(seed, "words"))
        for m in (Untied(model), model)
    )
    assert ours == theirs


@given(seed=st.integers(0, 99), prompt=words, response=words)
def test_only_its_output_layer_moves(seed, prompt, response):
    model, rows = policy(seed), Rows.of([prompt], [response])
    untied = Untied(model)
    assert [name for name, w in untied.named_parameters() if w.requires_grad] == ["weight"]
    hidden = untied.hidden(rows.ids)
    with torch.no_grad():
        untied.weight.add_(1.0)
    assert torch.equal(untied.hidden(rows.ids), hidden)
    assert torch.equal(model.embedding.weight, untied.trunk.embedding.weight)
    assert torch.allclose(untied(rows.ids), hidden @ (model.embedding.weight + 1).T, atol=1e-5)
