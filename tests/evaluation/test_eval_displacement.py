"""Displacement: CHES as the formula has it, and the exact drift of the chosen response."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.data.streams import stream
from minipref.evaluation.displacement import ches, ches_score, chosen_drift
from minipref.losses import dpo, hinge
from minipref.model.transformer import Config, Transformer

seeds = st.integers(0, 999)
tokens = st.lists(st.integers(4, 9), min_size=1, max_size=4)
rows = st.lists(st.tuples(tokens, tokens), min_size=4, max_size=4)
numbers = st.lists(st.floats(-5, 5), min_size=3, max_size=3)


def policy(seed):
    model = Transformer(Config(10, 8, 1, 2), stream(seed, "policy"))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(10)
    return model


def batch(drawn):
    made = Batch(("",) * 4, ("",) * 4, Rows.of(*zip(*drawn, strict=True)), torch.zeros(4))
    return made.with_pairs(torch.tensor([[1, 0], [2, 3]]))


@given(chosen=numbers, rejected=numbers, longer=st.floats(1.1, 3))
def test_the_score_by_hand(chosen, rejected, longer):
    up, down = torch.tensor(chosen), torch.tensor(rejected)
    by_hand = sum(a * b for a, b in zip(chosen, rejected, strict=True)) - sum(a * a for a in chosen)
    assert float(ches_score(up, down)) == pytest.approx(by_hand, abs=1e-3)
    assert float(ches_score(up, up)) == 0
    assert float(ches_score(up, longer * up)) >= 0  # the same way and further
    assert float(ches_score(up, -up)) <= 0
    assert torch.equal(
        ches_score(torch.stack([up, down]), torch.stack([down, up]))[0], ches_score(up, down)
    )


@pytest.mark.parametrize("normalised", [False, True])
@settings(max_examples=15)
@given(drawn=rows, seed=seeds)
def test_the_masks_leave_what_the_formula_names(normalised, drawn, seed):
    """Razin et al., Eq. 6: states of the prefixes y_<k, k = 1 to |y|, one response at a time."""
    model = policy(seed)
    found = ches(model, batch(drawn), normalised=normalised)
    for score, (chosen, rejected) in zip(found, [(1, 0), (2, 3)], strict=True):
        parts = []
        for prompt, response in (drawn[chosen], drawn[rejected]):
            ids = torch.tensor([prompt + response])
            states = model.hidden(ids)[0].detach()
            last = len(prompt) - 1  # from the prompt's last token, not including the last token
            part = states[last : last + len(response)]
            parts.append(part.mean(0) if normalised else part.sum(0))
        by_hand = parts[0] @ parts[1] - parts[0] @ parts[0]
        assert float(score) == pytest.approx(float(by_hand), rel=1e-3, abs=1e-3)


@given(prompt=tokens, response=tokens, seed=seeds)
def test_equal_responses_score_nothing(prompt, response, seed):
    found = ches(policy(seed), batch([(prompt, response)] * 4))
    assert torch.allclose(found, torch.zeros(2), atol=1e-4)


def test_a_response_of_one_token_is_scored_by_the_prompt():
    model = policy(0)
    state = model.hidden(torch.tensor([[4, 5]]))[0, -1].detach()
    longer = model.hidden(torch.tensor([[4, 5, 6]]))[0, -1].detach()  # after its first token 6
    found = ches(model, batch([([4, 5], [6, 7]), ([4, 5], [8]), ([4, 5], [8]), ([4, 5], [9])]))
    assert float(found[0]) == pytest.approx(float(state @ longer), rel=1e-4)
    assert float(found[1]) == pytest.approx(0, abs=1e-4)  # both read the same prefix


@pytest.mark.parametrize("loss", [dpo, hinge])
@given(seed=seeds, lengths=st.tuples(st.integers(1, 4), st.integers(1, 4)))
def test_the_drift_is_the_slope_of_the_chosen_log_prob_along_a_step(loss, seed, lengths):
    """For any loss on the margin: d/dt log pi(y+) is push * drift, in float64."""
    rng = stream(seed, "drift")
    weight = torch.randn(6, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    states = [torch.randn(n, 3, generator=rng, dtype=torch.float64) for n in lengths]
    words = [torch.randint(6, (n, 1), generator=rng) for n in lengths]

    def logps(weight):
        return [
            (h @ weight.T).log_softmax(-1).gather(1, w).sum()
            for h, w in zip(states, words, strict=True)
        ]

    chosen, rejected = logps(weight)
    drift = chosen_drift(chosen, rejected, [weight])
    reference = (chosen.detach()[None], rejected.detach()[None])
    losses = loss(chosen[None], rejected[None], *reference)
    (gradient,) = torch.autograd.grad(losses.sum(), weight, retain_graph=True)
    (up,) = torch.autograd.grad(chosen, weight, retain_graph=True)
    (down,) = torch.autograd.grad(rejected, weight)
    if float((up - down).norm()) < 1e-6 or float(gradient.norm()) == 0:
        return
    push = float(gradient.norm() / (up - down).norm())
    assert push > 0
    slope = -float((up * gradient).sum())
    assert slope == pytest.approx(push * float(drift.detach()), rel=1e-5, abs=1e-7)
    h = 1e-5
    moved = logps((weight - h * gradient).detach())[0]
    assert float((moved - chosen.detach()) / h) == pytest.approx(slope, rel=1e-2, abs=1e-3)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="chosen, rejected"):
        ches_score(torch.zeros(3), torch.zeros(4))
    with pytest.raises(ValueError, match="pairs"):
        ches(policy(0), batch([([4], [5])] * 4).take(torch.arange(4)))
    with pytest.raises(ValueError, match="chosen_logp"):
        chosen_drift(torch.zeros(2), torch.zeros(1), [])
