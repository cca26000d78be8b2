"""What holds for every registered loss: its documentation, its range of numbers, its manners."""

import inspect
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_drawn import hyperparameters, inputs

from minipref import losses
from minipref.losses.coefficient import gradient_coefficient
from minipref.losses.registry import REGISTRY, get
from minipref.losses.vocabulary import belongs_to_policy

OF_THE_BATCH = {"grpo": {"aggregate": "sequence"}}  # settings under which rows do not mix
ONE_A_FAMILY = {entry.family: name for name, entry in REGISTRY.items()}
few = settings(max_examples=5)  # of each loss: the losses share their code
every_loss = pytest.mark.parametrize("name", REGISTRY)


@every_loss
def test_docstring_says_what_a_reader_needs(name):
    entry = REGISTRY[name]
    text = inspect.getdoc(entry.source)
    for section in ("Args:", "Returns: ", "Raises: ", "Conventions: ", "Source: "):
        assert f"\n{section}" in text, section
    arguments = text.split("Args:")[1].split("Returns:")[0]
    for argument in (*entry.inputs, *entry.hyperparameters):
        assert re.search(rf"^ +([\w, ]+, )?{argument}(, [\w, ]+)?: ", arguments, re.M), argument


@every_loss
def test_hyperparameters_are_keyword_only_with_a_range_that_holds_the_default(name):
    entry = REGISTRY[name]
    parameters = inspect.signature(entry.source).parameters.values()
    assert {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} == set(entry.ranges)
    assert all(p.default is not p.empty for p in parameters if p.kind is p.KEYWORD_ONLY)
    assert all(p.default in (p.empty, None) for p in parameters if p.kind is not p.KEYWORD_ONLY)


@every_loss
@few
@given(data=st.data())
def test_defaults_pass_the_checks(name, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    explicit = entry.function(**arguments, **entry.hyperparameters)
    assert torch.equal(entry.function(**arguments), explicit)


@every_loss
def test_importable_registered_and_marked(name):
    entry = get(name)
    assert getattr(losses, name) is entry.function
    assert name in losses.__all__
    parameters = inspect.signature(entry.source).parameters
    needed = [key for key in entry.inputs if parameters[key].default is inspect.Parameter.empty]
    assert entry.reference == any(key.startswith("ref_") for key in needed)
    words = {"sum": "logps", "mean": "mean_logps", "token": "logps"}
    if entry.logps == "none":
        assert not any(key.endswith("logps") for key in needed)
    else:
        assert any(key.endswith(words[entry.logps]) for key in entry.inputs)
    assert entry.on_policy or entry.family != "policy_gradient"


@pytest.mark.parametrize(("wrong", "near"), [("dop", "dpo"), ("simp", "simpo"), ("bradley", "br")])
def test_an_unknown_name_gets_the_nearest(wrong, near):
    with pytest.raises(ValueError, match=rf"'{wrong}'; did you mean .*{near}.*minipref losses"):
        get(wrong)


def test_a_name_like_no_other_gets_no_hint():
    with pytest.raises(ValueError, match=r"'qqqqqq' \(`minipref losses` lists all\)"):
        get("qqqqqq")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@every_loss
@few
@given(data=st.data())
def test_finite_loss_and_gradient_over_the_whole_range(name, dtype, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry, whole=True, dtype=dtype, empty=True))
    trained = [key for key in entry.inputs if belongs_to_policy(key)]
    for key in trained:
        arguments[key].requires_grad_()
    numbers = data.draw(st.just({}) | hyperparameters(entry))
    loss = entry.function(**arguments, **numbers)
    assert loss.dtype == torch.float32
    assert loss.isfinite().all()
    if dtype == torch.float16:  # whose largest number, 65504, a ratio of e^20 exceeds
        return
    loss.sum().backward()
    for key in trained:
        gradient = arguments[key].grad
        assert gradient is None or gradient.isfinite().all()


@every_loss
@few
@given(data=st.data())
def test_nothing_is_mutated_and_float64_stays(name, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    before = {key: value.clone() for key, value in arguments.items()}
    loss = entry.function(**arguments)
    assert loss.dtype == torch.float64
    assert loss.shape == next(iter(arguments.values())).shape[:1]
    assert all(torch.equal(before[key], arguments[key]) for key in before)


@every_loss
@few
@given(data=st.data())
def test_the_order_of_the_rows_does_not_matter(name, data):
    entry = REGISTRY[name]
    arguments = data.draw(inputs(entry))
    loss = entry.function(**arguments)
    order = torch.tensor(data.draw(st.permutations(range(len(loss)))))
    moved = {key: picked(entry, key, x, order) for key, x in arguments.items()}
    torch.testing.assert_close(entry.function(**moved), loss[order], rtol=1e-9, atol=1e-9)


def picked(entry, key, x, rows):
    """These rows of an input, of all its dimensions that run over the batch."""
    for dimension, axis in enumerate(entry.axes(key)):
        x = x.index_select(dimension, rows) if axis == "batch" else x
    return x


@pytest.mark.parametrize("name", [n for n, e in REGISTRY.items() if not e.batchwise])
@few
@given(data=st.data())
def test_a_row_does_not_see_its_neighbours(name, data):
    """So that micro-batches add up; RLOO compares the responses of a group, and needs it whole."""
    entry = REGISTRY[name]
    numbers = OF_THE_BATCH.get(name, {})
    arguments = data.draw(inputs(entry))
    loss = entry.function(**arguments, **numbers)
    alone = [
        entry.function(
            **{k: picked(entry, k, x, torch.tensor([i])) for k, x in arguments.items()}, **numbers
        )
        for i in range(len(loss))
    ]
    torch.testing.assert_close(torch.cat(alone), loss, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [n for n, e in REGISTRY.items() if not e.batchwise])
@settings(max_examples=3)
@given(data=st.data())
def test_per_row_gradients_by_vmap_are_those_of_the_batch(name, data):
    entry, numbers = REGISTRY[name], OF_THE_BATCH.get(name, {})
    arguments = data.draw(inputs(entry))
    first = next(key for key in entry.inputs if belongs_to_policy(key))
    of_a_row = {key: 0 if "batch" in entry.axes(key) else None for key in arguments}

    def one(x, others):
        rows = {k: y if of_a_row[k] is None else y[None] for k, y in others.items()}
        return entry.function(**(rows | {first: x[None]}), **numbers)[0]

    others = {key: x for key, x in arguments.items() if key != first}
    in_dims = (0, {key: of_a_row[key] for key in others})
    gradient = torch.func.vmap(torch.func.grad(one), in_dims)(arguments[first], others)
    delta = gradient_coefficient(entry.function, **arguments, **numbers)
    torch.testing.assert_close(gradient, -delta[first])


@pytest.mark.parametrize("family", ONE_A_FAMILY)
@settings(max_examples=3)
@given(data=st.data())
def test_compiled_in_one_graph(family, data):
    entry = REGISTRY[ONE_A_FAMILY[family]]
    arguments = data.draw(inputs(entry, batch=4))
    torch.compiler.reset()
    compiled = torch.compile(entry.function, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(**arguments), entry.function(**arguments))
