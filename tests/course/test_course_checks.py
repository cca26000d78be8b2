"""A right loss passes, and every wrong one is told what is wrong with it."""

import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from minipref.course.checks import NotYet, check_function, check_loss, check_number
from minipref.course.logps_checks import check_logps
from minipref.losses import dpo, registry
from minipref.model.logprobs import logps_from_logits

GRADED = ["reward", "pairwise", "pointwise"]


@pytest.mark.parametrize(
    "name", [name for name, entry in registry.REGISTRY.items() if entry.family in GRADED]
)
@given(seed=st.integers(0, 5))
def test_every_registered_loss_passes_its_own_check(name, seed):
    assert name in check_loss(registry.get(name).function, name, seed=seed)


def delta(c, r, rc, rr):
    return (c - rc) - (r - rr)


def in_place(c, r, rc, rr, *, beta=0.1):
    c -= rc
    return -F.logsigmoid(beta * (c - (r - rr)))


WRONG = {
    "nothing there": lambda *x, beta: (_ for _ in ()).throw(NotImplementedError),
    "cannot be called": lambda c, r, *, beta: -F.logsigmoid(beta * (c - r)),
    "returns nothing": lambda *x, beta: None,
    "returns a float": lambda *x, beta: 0.5,
    "one number for the batch": lambda *x, beta: -F.logsigmoid(beta * delta(*x)).mean(),
    "the shape": lambda *x, beta: -F.logsigmoid(beta * delta(*x))[:, None],
    "changes the tensors": in_place,
    "nan or inf": lambda *x, beta: -F.logsigmoid(beta * delta(*x)) / 0.0,
    "does not use ref_chosen": lambda c, r, rc, rr, *, beta: -F.logsigmoid(beta * (c - r + rr)),
    "rows leak": lambda *x, beta: -F.logsigmoid(beta * (delta(*x) - delta(*x).mean())),
    "no gradient": lambda *x, beta: -F.logsigmoid(beta * delta(*x)).detach(),
    "the wrong way": lambda *x, beta: -F.logsigmoid(-beta * delta(*x)),
    "same factor": lambda *x, beta: -F.logsigmoid(beta * delta(*x)) / beta,
    "from row to row": lambda *x, beta: -F.logsigmoid(2 * beta * delta(*x)),
    "same constant": lambda *x, beta: -F.logsigmoid(beta * delta(*x)) + 1.0,
    "values are not": lambda *x, beta: (
        -F.logsigmoid(beta * delta(*x)) + (beta * delta(*x)).detach()
    ),
    "does not use beta": lambda *x, beta: -F.logsigmoid(0.1 * delta(*x)),
    "stable step": lambda *x, beta: (1 + (-beta * delta(*x)).exp()).log(),
}


@pytest.mark.parametrize("complaint", WRONG)
def test_a_wrong_dpo_is_told_what_is_wrong(complaint):
    with pytest.raises(NotYet, match=complaint):
        check_loss(WRONG[complaint], "dpo")


def test_a_loss_that_uses_too_much_is_told():
    def with_reference_left_in(c, r, *, beta, gamma):
        return -F.logsigmoid(beta * (c - r) - gamma) + 0 * c

    assert check_loss(with_reference_left_in, "simpo")

    def both(c, r, rc, rr, *, tau):
        return (delta(c, r, rc, rr) - 1 / (2 * tau)).square() + 0.01 * rc.square()

    with pytest.raises(NotYet):
        check_loss(both, "ipo")


def test_an_unknown_loss_is_the_callers_mistake():
    with pytest.raises(ValueError, match="dpo"):
        check_loss(dpo, "dpoo")


@given(truth=st.floats(-20, 20).filter(lambda x: abs(x) > 0.1), factor=st.floats(0.1, 0.99))
def test_numbers_are_graded_by_what_they_are(truth, factor):
    assert check_number(truth, truth) == "right"
    assert check_number(torch.tensor(truth, dtype=torch.float64), truth) == "right"
    for answer in (truth * factor, truth / factor, -truth, ..., "0.5", True):
        with pytest.raises(NotYet) as caught:
            check_number(answer, truth)
        assert not re.search(r"\d", str(caught.value)), "the message gives the answer away"


def test_a_known_mistake_gets_its_own_message():
    with pytest.raises(NotYet, match="forgot beta"):
        check_number(2.0, 0.2, wrong={"you forgot beta": 2.0})
    with pytest.raises(NotYet, match="sign is not"):
        check_number(-0.2, 0.2)
    with pytest.raises(NotYet, match="too large"):
        check_number(0.3, 0.2)
    with pytest.raises(NotYet, match="too small"):
        check_number(0.1, 0.2)


def test_functions_are_graded_case_by_case():
    cases = [(1.0, 2.0), (3.0, -1.0)]
    assert "2 cases" in check_function(lambda a, b: a + b, lambda a, b: a + b, cases)
    for wrong, complaint in [
        (lambda a, b: None, "returns nothing"),
        (lambda a, b: ..., "returns nothing"),
        (lambda a, b: a - b, "too small"),
        (lambda a, b: a + abs(b), r"\(3, -1\).*too large"),
        (lambda a, b: float("nan"), "nan"),
        (lambda a, b: [a + b], "shape"),
        (lambda a, b: (_ for _ in ()).throw(NotImplementedError), "nothing there"),
    ]:
        with pytest.raises(NotYet, match=complaint):
            check_function(wrong, lambda a, b: a + b, cases)


def right_logps(logits, ids, mask):
    return logps_from_logits(logits, ids, mask)


def unshifted(logits, ids, mask):
    return logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0].where(mask, 0.0)


def from_after(logits, ids, mask):
    logps = logits.roll(-1, 1).log_softmax(-1)
    return logps.gather(-1, ids[..., None])[..., 0].where(mask, 0.0)


def mask_off_by_one(logits, ids, mask):
    later = mask.clone()
    later[:, 1:] = mask[:, :-1]
    return logps_from_logits(logits, ids, mask & later)


def raw_logits(logits, ids, mask):
    read = logits[:, :-1].gather(-1, ids[:, 1:, None])[..., 0] - 10.0
    return F.pad(read, (1, 0)).where(mask, 0.0)


def scaled(logits, ids, mask):
    flat = logits[:, :-1].softmax(-1).mul(0.5).log()
    return F.pad(flat.gather(-1, ids[:, 1:, None])[..., 0], (1, 0)).where(mask, 0.0)


LOGPS_WRONG = {
    "its own place": unshifted,
    "after it|ignores": from_after,
    "first token of the response": mask_off_by_one,
    "prompt tokens": lambda logits, ids, mask: logps_from_logits(
        logits, ids, torch.ones_like(mask)
    ),
    "sum to": raw_logits,
    "sum to 0.5": scaled,
    "positive": lambda logits, ids, mask: -logps_from_logits(logits, ids, mask),
    "shape": lambda logits, ids, mask: logps_from_logits(logits, ids, mask)[:, 1:],
    "nothing there": lambda *x: (_ for _ in ()).throw(NotImplementedError),
}


@given(seed=st.integers(0, 20))
def test_right_logps_pass(seed):
    assert check_logps(right_logps, seed=seed)


@pytest.mark.parametrize("complaint", LOGPS_WRONG)
def test_wrong_logps_are_told_what_is_wrong(complaint):
    with pytest.raises(NotYet, match=complaint):
        check_logps(LOGPS_WRONG[complaint])
