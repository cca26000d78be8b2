import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minipref.data.streams import stream
from minipref.model.merging import combine
from minipref.model.transformer import Config, Transformer

numbers = st.floats(-4, 4, width=32)


def tiny(seed, dtype=torch.float64):
    model = Transformer(Config(11, width=8), stream(seed, "merging"))
    for weight in model.parameters():  # norms begin as ones everywhere
        weight.data += torch.randn(weight.shape, generator=stream(seed, "noise"))
    return model.to(dtype)


def apart(a, b):
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return max((x - y).detach().abs().max().item() for x, y in pairs)


@given(coefficients=st.lists(numbers, min_size=1, max_size=3), seed=st.integers(0, 99))
def test_every_parameter_is_the_sum(coefficients, seed):
    models = [tiny(seed + i) for i in range(len(coefficients))]
    mixed = dict(combine(models, coefficients).named_parameters())
    parts = [dict(model.named_parameters()) for model in models]
    for name, weight in mixed.items():
        exact = sum(c * part[name] for c, part in zip(coefficients, parts, strict=True))
        torch.testing.assert_close(weight, exact, rtol=1e-12, atol=1e-12)


@given(share=st.floats(-3, 3), seed=st.integers(0, 99))
def test_a_model_combined_with_itself_stays(share, seed):
    model = tiny(seed)
    assert apart(combine([model, model], [share, 1 - share]), model) < 1e-12


def test_inputs_stay_and_the_outcome_is_new():
    a, b = tiny(0), tiny(1)
    mixed = combine([a, b], [0.5, 0.5])
    assert apart(a, tiny(0)) == apart(b, tiny(1)) == 0
    assert mixed.embedding.weight.data_ptr() != a.embedding.weight.data_ptr()
    assert all(weight.requires_grad for weight in mixed.parameters())


def test_a_tied_weight_takes_part_once():
    tied = nn.ModuleDict({"in": nn.Linear(3, 3, bias=False), "out": nn.Linear(3, 3, bias=False)})
    nn.init.ones_(tied["in"].weight)
    tied["out"].weight = tied["in"].weight
    mixed = combine([tied, tied], [1.0, 1.0])
    assert mixed["in"].weight is mixed["out"].weight
    assert bool((mixed["in"].weight == 2).all())


def test_buffers_are_those_of_the_first():
    models = [nn.BatchNorm1d(2), nn.BatchNorm1d(2)]
    models[1].running_mean.fill_(5.0)
    mixed = combine(models, [0.5, 0.5])
    assert mixed.running_mean.tolist() == [0, 0]
    assert mixed.num_batches_tracked.dtype == torch.int64


def test_half_precision_is_summed_in_float32():
    models = [nn.Linear(1, 1, bias=False).bfloat16() for _ in range(2)]
    for model, value in zip(models, (1.0, 1.0078125), strict=True):
        nn.init.constant_(model.weight, value)  # neighbours in bfloat16
    grown = combine(models, [257.0, -256.0])  # 1 - 256 / 128; 257 itself is no bfloat16
    assert grown.weight.item() == -1.0


def test_a_coefficient_of_zero_leaves_a_ruined_model_out():
    ruined = tiny(1)
    nn.init.constant_(ruined.embedding.weight, torch.inf)
    assert apart(combine([tiny(0), ruined], [1.0, 0.0]), tiny(0)) == 0


@pytest.mark.parametrize(
    ("models", "coefficients", "message"),
    [
        ([], [], "coefficients: expected one for each of 0 models"),
        ([tiny(0)], [1.0, 2.0], "coefficients: expected one for each of 1 models"),
        ([tiny(0)], [float("nan")], "coefficients: expected finite"),
        ([tiny(0), Transformer(Config(12, width=8))], [0.5, 0.5], "models: model 1 .*embedding"),
        ([tiny(0), nn.Linear(2, 2)], [0.5, 0.5], "models: model 1"),
    ],
)
def test_bad_input(models, coefficients, message):
    with pytest.raises(ValueError, match=message):
        combine(models, coefficients)
