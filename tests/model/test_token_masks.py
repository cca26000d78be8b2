"""Token masks: never negative, made of the states that predict a token, blind to padding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.model.logprobs import completion_logits
from minipref.model.token_masks import TokenMask, activation_mask, activations
from minipref.model.transformer import Config, Transformer

REFERENCE = Transformer(Config(11, width=8, layers=2, heads=2), stream(0, "token masks"))
LAYERS, WIDTH = 2, 8


@st.composite
def rows(draw, responses=3):
    """Prompts and responses of various lengths, no token twice: else places may be all alike."""
    ids = st.lists(st.integers(1, 10), min_size=2, max_size=6, unique=True)
    prompts = [draw(ids) for _ in range(responses)]
    return Rows.of(prompts, [draw(ids) for _ in range(responses)])


@st.composite
def masks(draw):
    """A mask whose numbers were drawn."""
    mask = TokenMask(LAYERS, WIDTH)
    numbers = st.floats(-2, 2, width=32)
    with torch.no_grad():
        for weight in mask.parameters():
            drawn = draw(st.lists(numbers, min_size=weight.numel(), max_size=weight.numel()))
            weight.copy_(torch.tensor(drawn).view_as(weight))
    return mask


@given(rows=rows())
def test_the_states_are_those_that_predict_the_tokens(rows):
    known = activations(REFERENCE, rows)
    logits, seen = completion_logits(REFERENCE, rows)
    torch.testing.assert_close(known["logits"], logits)
    assert {len(state) for state in known.values()} == {int(seen.sum())}
    assert set(known) == {"logits"} | {
        f"blocks.{i}{part}" for i in range(LAYERS) for part in ("", ".attention", ".feed_forward")
    }
    last = REFERENCE.norm(known[f"blocks.{LAYERS - 1}"])
    torch.testing.assert_close(REFERENCE.unembed(last), known["logits"])


@given(rows=rows())
def test_nothing_is_left_on_the_reference(rows):
    activations(REFERENCE, rows)
    assert not any(module._forward_hooks for module in REFERENCE.modules())


@given(rows=rows(), mask=masks())
def test_a_mask_is_the_papers_formula(rows, mask):
    known = activations(REFERENCE, rows)
    total = torch.zeros(len(known["logits"]))
    for layer in range(LAYERS):
        h = known[f"blocks.{layer}"]
        normed = (h - h.mean(1, keepdim=True)) / (
            h.var(1, keepdim=True, correction=0) + 1e-5
        ).sqrt()
        total += mask.mix[layer] * (normed @ mask.weights[layer] + mask.biases[layer]).clamp(min=0)
    found = mask(known)
    torch.testing.assert_close(found, total.clamp(min=0), rtol=1e-4, atol=1e-4)
    assert (found >= 0).all()


@given(rows=rows())
def test_it_begins_as_one_and_can_learn(rows):
    mask = TokenMask(LAYERS, WIDTH)
    weights = mask(activations(REFERENCE, rows))
    torch.testing.assert_close(weights, torch.ones_like(weights))
    weights[0].backward()
    assert mask.weights.grad.abs().sum() > 0


@given(rows=rows())
def test_mapo_has_a_zero_and_a_one_at_every_place(rows):
    known = activations(REFERENCE, rows)
    lengths = rows.completion_mask.sum(1)
    for name in known:
        place = activation_mask({"logits": known[name]}, lengths)
        for part in place.split(lengths.tolist()):
            assert part.min() == 0
            assert part.max() == 1
    mask = activation_mask(known, lengths)
    assert ((mask >= 0) & (mask <= 1)).all()


@given(rows=rows())
def test_mapo_looks_at_one_response_at_a_time(rows):
    together = activation_mask(activations(REFERENCE, rows), rows.completion_mask.sum(1))
    alone = []
    for row in range(len(rows)):
        one = rows[torch.tensor([row])]  # with less padding
        alone.append(activation_mask(activations(REFERENCE, one), one.completion_mask.sum(1)))
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-3, atol=1e-3)


def test_bad_input():
    with pytest.raises(ValueError, match="layers, width: expected at least 1, got 0 and 8"):
        TokenMask(0, 8)
    with pytest.raises(ValueError, match="lengths: expected 3 tokens in all, got 4"):
        activation_mask({"logits": torch.zeros(3, 2)}, torch.tensor([2, 2]))
