"""From logits to what losses take, by loops over tokens and words."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import masks_of, tensors

from minipref.losses.logits import token_entropies, token_kl

few = settings(max_examples=25)


@st.composite
def two_models(draw):
    """Logits of a policy and a reference over three words, and a mask without the first token."""
    batch, length = draw(st.integers(1, 2)), draw(st.integers(2, 4))
    logits, ref_logits = draw(tensors((2, batch, length, 3), -5, 5, torch.float32))
    return (
        logits,
        ref_logits,
        draw(masks_of(batch, length, empty=True)) & (torch.arange(length) > 0),
    )


@few
@given(two_models())
def test_token_kl_and_entropies_look_at_what_predicts_each_token(drawn):
    logits, ref_logits, mask = drawn
    kl, entropies = torch.zeros(mask.shape), torch.zeros(mask.shape)
    for i, t in mask.nonzero().tolist():
        policy, reference = (x[i, t - 1].double().softmax(-1) for x in (logits, ref_logits))
        kl[i, t] = sum(q * (q / p).log() for p, q in zip(policy, reference, strict=True))
        entropies[i, t] = -sum(p * p.log() for p in policy)
    torch.testing.assert_close(token_kl(logits, ref_logits, mask), kl, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(token_entropies(logits, mask), entropies, rtol=1e-4, atol=1e-5)


@few
@given(two_models())
def test_half_precision_is_widened_before_the_softmax(drawn):
    logits, ref_logits, mask = drawn
    half = logits.bfloat16(), ref_logits.bfloat16()
    assert torch.equal(token_kl(*half, mask), token_kl(*(x.float() for x in half), mask))
    assert torch.equal(token_entropies(half[0], mask), token_entropies(half[0].float(), mask))
