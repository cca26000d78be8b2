"""Bad input at every loss: an error that names the loss, the argument, and what was expected."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import hyperparameters, inputs

from minipref import losses
from minipref.losses.checks import check_hyperparameters, checked, within
from minipref.losses.registry import REGISTRY
from minipref.losses.vocabulary import side_of

every_loss = pytest.mark.parametrize("name", REGISTRY)
few = settings(max_examples=2)


def refused(entry, arguments, key, words, **numbers):
    with pytest.raises(ValueError, match=rf"^{entry.name}: {key}\b.*{words}"):
        entry.function(**arguments, **numbers)


@every_loss
@few
@given(data=st.data())
def test_a_trailing_dimension_is_not_broadcast(name, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    for key, value in arguments.items():
        got = value[..., None]
        words = rf"expected shape \(.*\), got {re.escape(str(tuple(got.shape)))}"
        refused(entry, arguments | {key: got}, key, words)


@every_loss
@few
@given(data=st.data())
def test_another_batch_size(name, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    of_rows = [key for key in entry.inputs if entry.axes(key)[:1] == ["batch"]]
    for key in of_rows if len(of_rows) > 1 else []:
        longer = arguments | {key: torch.cat([arguments[key]] * 2)}
        words = rf"^{name}: \w+: batch is \d+, but \w+ has \d+$"
        with pytest.raises(ValueError, match=words) as error:
            entry.function(**longer)
        assert key in str(error.value)


@every_loss
@few
@given(data=st.data())
def test_a_wrong_dtype(name, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    for key, value in arguments.items():
        wrong = torch.float32 if not value.is_floating_point() else torch.int64
        refused(entry, arguments | {key: value.to(wrong)}, key, f"expected .* got {wrong}")


@every_loss
@few
@given(data=st.data(), bad=st.sampled_from([float("nan"), float("inf"), -float("inf")]))
def test_nan_and_inf(name, bad, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    for key, value in arguments.items():
        if value.is_floating_point():
            mask = mask_of(entry, arguments, key)
            seen = (
                torch.tensor(True)
                if mask is None
                else mask.view(mask.shape + (1,) * (value.dim() - mask.dim()))
            )
            refused(entry, arguments | {key: value.masked_fill(seen, bad)}, key, "nan or inf")


def mask_of(entry, arguments, key):
    """The mask of an input of tokens, if the loss takes one."""
    mask = arguments.get(f"{side_of(key)}mask", arguments.get("mask"))
    return mask if "length" in entry.axes(key) else None


MASKED = [n for n, e in REGISTRY.items() if any(key.endswith("mask") for key in e.inputs)]


@pytest.mark.parametrize("name", MASKED)
@few
@given(data=st.data())
def test_what_the_mask_hides_may_be_anything(name, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    for key, value in arguments.items():
        mask = mask_of(entry, arguments, key)
        if mask is not None and value.is_floating_point():
            hidden = ~mask.view(mask.shape + (1,) * (value.dim() - mask.dim()))
            junk = arguments | {key: value.masked_fill(hidden, float("nan"))}
            assert torch.equal(entry.function(**junk), entry.function(**arguments))


@every_loss
@few
@given(data=st.data())
def test_another_device(name, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    for key in entry.inputs if len(entry.inputs) > 1 else ():
        elsewhere = arguments | {key: arguments[key].to("meta")}
        with pytest.raises(ValueError, match=rf"^{name}: \w+ is on \w+, but \w+ on \w+$") as error:
            entry.function(**elsewhere)
        assert "meta" in str(error.value)


@every_loss
@few
@given(data=st.data(), bad=st.sampled_from(["text", 1.0, [1.0]]))
def test_what_is_no_tensor(name, data, bad):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    for key in arguments:
        words = f"expected a tensor, got {type(bad).__name__}"
        refused(entry, arguments | {key: bad}, key, words)


@every_loss
@few
@given(data=st.data())
def test_a_number_out_of_range(name, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    numbers = data.draw(hyperparameters(entry))
    for key in entry.ranges:
        for bad in (float("-inf"), float("nan"), "many", None, True):
            refused(entry, arguments, key, "expected", **(numbers | {key: bad}))


def test_a_missing_or_misspelt_argument_names_the_loss():
    x = torch.zeros(2)
    with pytest.raises(TypeError, match=r"^simpo: missing a required argument: 'rejected_mean"):
        losses.simpo(x)
    with pytest.raises(TypeError, match=r"^simpo: got an unexpected keyword argument 'betta'"):
        losses.simpo(x, x, betta=1.0)


def test_the_message_is_a_sentence():
    x = torch.zeros(3)
    with pytest.raises(ValueError) as error:
        losses.simpo(x, x[:, None])
    message = "simpo: rejected_mean_logps: expected shape (batch,), got (3, 1)"
    assert str(error.value) == message


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_a_group_of_one_has_nobody_to_compare_with(groups):
    x = torch.zeros(len(groups))
    lonely = any(groups.count(group) == 1 for group in groups)
    for function in (losses.group_advantages, lambda r, g: losses.rloo(r, r, g)):
        if lonely:
            with pytest.raises(ValueError, match="groups: expected at least two responses"):
                function(x, torch.tensor(groups))
        else:
            assert torch.equal(function(x, torch.tensor(groups)).abs(), x)


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 2))
def test_within_reads_brackets_as_mathematicians_do(x, low, width):
    high = low + width
    assert within(x, f"[{low}, {high}]") == (low <= x <= high)
    assert within(x, f"({low}, {high})") == (low < x < high)
    assert within(x, f"[{low}, {high})") == (low <= x < high)
    assert not within(float("nan"), f"[{low}, {high}]")


def test_ranges_at_their_ends():
    assert within(0.0, "[0, 0.5)")
    assert not within(0.5, "[0, 0.5)")
    assert not within(0.0, "(0, inf)")
    assert not within(float("inf"), "(0, inf)")
    assert within(False, "{True, False}")
    assert not within("tokens", "{sequence, token}")
    assert not within(True, "[0, 2]")


def test_values_on_another_device_are_not_waited_for():
    x = torch.zeros(2, device="meta")
    assert losses.dpo(x, x, x, x).device.type == "meta"


def test_one_error_for_a_choice_and_one_for_an_interval():
    with pytest.raises(ValueError, match=r"f: a: expected one of \{x, y\}, got 'z'"):
        check_hyperparameters("f", {"a": "z"}, {"a": "{x, y}"})
    with pytest.raises(ValueError, match=r"f: a: expected a number in \(0, 1\), got 1"):
        check_hyperparameters("f", {"a": 1}, {"a": "(0, 1)"})


def test_an_optional_tensor_may_be_absent_and_is_checked_when_present():
    @checked()
    def f(a, b=None):
        return a

    x = torch.zeros(2)
    assert f(x) is x
    assert f(x, None) is x
    with pytest.raises(ValueError, match=r"^f: b: batch is 3, but a has 2$"):
        f(x, torch.zeros(3))
