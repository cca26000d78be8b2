"""Steering a base: what the product is, that sampling with a cache draws from it, and ARGS."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.decoding.prefix_scored import PrefixScored
from minipref.algorithm.decoding.product import Product
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.losses import cpo, dpo
from minipref.model.generate import generate
from minipref.model.heads import RewardModel
from minipref.model.kl import token_kl
from minipref.model.logprobs import sequence_logps
from minipref.model.tabular import TabularPolicy
from minipref.model.transformer import Config, Transformer

V = 11
alphas = st.floats(-2, 4)


def model(name, width=8, vocabulary=V):
    policy = Transformer(Config(vocabulary, width, 1, 2, context=40), stream(0, name))
    with torch.no_grad():
        for weight in policy.parameters():
            weight.mul_(20 if weight.dim() == 2 else 1)  # far from uniform
    return policy


BASE, ARM, OTHER = model("base", 16), model("arm"), model("other")
IDS = torch.randint(4, V, (3, 7), generator=stream(0, "ids"))


def logps(policy):
    with torch.no_grad():
        return policy(IDS).log_softmax(-1)


@given(alpha=alphas)
def test_the_formula(alpha):
    ours = logps(Product(BASE, [ARM], [alpha]))
    expected = (logps(BASE) + alpha * logps(ARM)).log_softmax(-1)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.exp().sum(-1), torch.ones(3, 7))


@given(a=alphas)
def test_a_guide_of_no_weight_is_not_there(a):
    one = logps(Product(BASE, [ARM], [a]))
    torch.testing.assert_close(logps(Product(BASE, [ARM, OTHER], [a, 0.0])), one)
    torch.testing.assert_close(logps(Product(BASE, [OTHER], [0.0])), logps(BASE))


@given(alpha=alphas)
def test_a_uniform_guide_changes_nothing(alpha):
    uniform = TabularPolicy(V, V)
    torch.testing.assert_close(logps(Product(BASE, [uniform], [alpha])), logps(BASE))


@given(a=alphas, b=alphas)
def test_products_may_be_nested(a, b):
    both = Product(BASE, [ARM, OTHER], [a, b])
    nested = Product(Product(BASE, [ARM], [a]), [OTHER], [b])
    torch.testing.assert_close(logps(both), logps(nested), rtol=1e-3, atol=1e-3)


@given(alpha=st.floats(0, 2), shift=st.floats(-50, 50))
def test_each_model_is_normalised_by_itself(alpha, shift):
    """A constant on a guide's logits changes nothing."""
    guide = TabularPolicy(V, V)
    with torch.no_grad():
        guide.table.copy_(torch.randn(V, V, generator=stream(0, "table")))
    before = logps(Product(BASE, [guide], [alpha]))
    with torch.no_grad():
        guide.table.add_(shift)
    torch.testing.assert_close(logps(Product(BASE, [guide], [alpha])), before, rtol=1e-3, atol=1e-3)


class Uncached(Transformer):
    def new_cache(self, rows, length=None):
        return None


PROMPTS = [[5, 6, 7], [8], [9, 4, 4, 10, 5]]
DRAWN = {"max_new_tokens": 12, "eos": 3}


def drawn(policy, eos=3):
    asked = DRAWN | {"eos": eos}
    return generate(policy, PROMPTS * 4, generator=stream(0, "draws"), **asked)


def test_sampling_with_caches_reads_what_reading_anew_reads():
    uncached = Uncached(BASE.config)
    uncached.load_state_dict(BASE.state_dict())
    product = Product(BASE, [ARM, OTHER], [0.5, 0.3])
    assert product.new_cache(2, 5) is not None
    plain = Product(uncached, [ARM, OTHER], [0.5, 0.3])
    assert plain.new_cache(2, 5) is None
    lengths = set()
    for eos in range(3, V):  # whichever ends a response: finished rows are retired
        found = drawn(product, eos)
        assert found == drawn(plain, eos)
        lengths |= {len(response) for response in found}
    assert len(lengths) > 3


def test_alpha_zero_samples_from_the_base():
    assert drawn(Product(BASE, [ARM], [0.0])) == drawn(BASE)


def test_responses_have_the_products_log_probs_and_a_kl():
    rows = Rows.of([[5, 6, 7], [8]], [[4, 5, 3], [9, 10, 6, 3]])
    product = Product(BASE, [ARM], [0.7])
    with torch.no_grad():
        found = sequence_logps(product, rows)
        assert float(token_kl(product, BASE, rows).sum()) > 0.1
        assert float(token_kl(product, product, rows).abs().sum()) < 1e-5
    every = (logps_of(BASE, rows) + 0.7 * logps_of(ARM, rows)).log_softmax(-1)  # (2, length, V)
    own = every[:, :-1].gather(-1, rows.ids[:, 1:, None])[..., 0]
    torch.testing.assert_close(
        found, (own * rows.completion_mask[:, 1:]).sum(1), rtol=1e-4, atol=1e-4
    )


def logps_of(policy, rows):
    with torch.no_grad():
        return policy(rows.ids, rows.attention_mask).log_softmax(-1)


@pytest.mark.parametrize("wrong", [[], [1.0, 2.0], [math.nan], [math.inf]])
def test_an_alpha_for_every_guide(wrong):
    with pytest.raises(ValueError, match="alphas"):
        Product(BASE, [ARM], wrong)


def test_another_vocabulary():
    with pytest.raises(ValueError, match="vocabulary"):
        Product(BASE, [model("wide", vocabulary=V + 1)], [1.0])(IDS)


# ---- the guide's loss ---------------------------------------------------------------------------

nats = st.lists(st.floats(-300, 0), min_size=1, max_size=5)


@given(ours=nats, data=st.data(), beta=st.floats(0.01, 1), shift=st.floats(-50, 50))
def test_the_guides_loss_is_dpo_without_a_reference(ours, data, beta, shift):
    chosen = torch.tensor(ours, dtype=torch.float64)
    rejected = torch.tensor(
        data.draw(st.lists(st.floats(-300, 0), min_size=len(ours), max_size=len(ours))),
        dtype=torch.float64,
    )
    flat = torch.full_like(chosen, -7.0)
    loss = cpo(chosen, rejected, chosen, beta=beta, alpha=0.0)
    torch.testing.assert_close(loss, dpo(chosen, rejected, flat, flat, beta=beta))
    shifted = cpo(chosen + shift, rejected + shift, chosen, beta=beta, alpha=0.0)
    torch.testing.assert_close(shifted, loss)
    even = cpo(chosen, chosen, chosen, beta=beta, alpha=0.0)
    torch.testing.assert_close(even, torch.full_like(even, math.log(2)))
    assert bool((cpo(chosen + 1, rejected, chosen, beta=beta, alpha=0.0) <= loss).all())


# ---- scoring beginnings -------------------------------------------------------------------------


def reward_model(seed="head"):
    scorer = RewardModel(model("trunk"), 8)
    with torch.no_grad():
        scorer.head.weight.copy_(torch.randn(1, 8, generator=stream(0, seed)))
    return scorer


def by_hand(policy, prefix):
    """The steered distribution after a prefix, each candidate read from the start: (V,)."""
    with torch.no_grad():
        base = policy.base(torch.tensor([prefix])).log_softmax(-1)[0, -1]
        logits = torch.full((V,), -1e4)
        for token in base.topk(policy.candidates).indices.tolist():
            rows = Rows.of([prefix], [[token]])
            logits[token] = base[token] + policy.weight * policy.model(rows)[0]
    return logits.softmax(-1)


@given(weight=st.floats(-1, 1), candidates=st.integers(1, V), length=st.integers(1, 7))
def test_every_candidate_is_scored_as_if_it_were_the_answer(weight, candidates, length):
    policy = PrefixScored(BASE, reward_model(), weight, candidates)
    found = policy(IDS[:, :length])[0, -1].softmax(-1)
    torch.testing.assert_close(
        found, by_hand(policy, IDS[0, :length].tolist()), rtol=1e-3, atol=1e-4
    )


def test_a_reward_of_no_weight_leaves_the_base():
    policy = PrefixScored(BASE, reward_model(), 0.0, V)
    torch.testing.assert_close(policy(IDS).log_softmax(-1), logps(BASE), rtol=1e-4, atol=1e-4)
    assert drawn(policy) == drawn(BASE)


def test_cached_sampling_draws_what_was_scored():
    """Greedy steps, prompts padded on the left and rows retired, against reading anew."""
    policy = PrefixScored(BASE, reward_model(), 0.5, 4)
    found = generate(policy, PROMPTS, generator=stream(0, "x"), temperature=0, **DRAWN)
    for prompt, response in zip(PROMPTS, found, strict=True):
        for place, token in enumerate(response):
            assert token == int(by_hand(policy, prompt + response[:place]).argmax())


def test_kl_to_the_base_is_finite_along_samples():
    policy = PrefixScored(BASE, reward_model(), 1.0, 3)
    responses = generate(policy, PROMPTS, generator=stream(0, "kl"), **DRAWN)
    with torch.no_grad():
        kl = token_kl(policy, BASE, Rows.of(PROMPTS, responses))
    assert bool(kl.isfinite().all())
    assert float(kl.sum()) > 0


@pytest.mark.parametrize(("weight", "candidates"), [(1.0, 0), (math.nan, 3)])
def test_nothing_to_choose_from(weight, candidates):
    with pytest.raises(ValueError, match="candidates"):
        PrefixScored(BASE, reward_model(), weight, candidates)
