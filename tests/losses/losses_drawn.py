"""Strategies: inputs and hyper-parameters of any registered loss, by what it declares."""

import torch
from hypothesis import strategies as st

from minipref.losses.checks import BOOLEAN

RANGES = {  # in which numbers a tensor is drawn, by the last word of its name
    "logps": (-3.0, -1e-3),
    "rewards": (-5.0, 5.0),
    "advantages": (-3.0, 3.0),
    "baselines": (-5.0, 5.0),
    "errors": (0.0, 3.0),
    "kl": (0.0, 5.0),
    "weights": (0.0, 2.0),
    "visits": (0.0, 30.0),
}


def tensors(shape, low, high, dtype=torch.float64):
    count = torch.Size(shape).numel()
    numbers = st.lists(st.floats(low, high), min_size=count, max_size=count)
    return numbers.map(lambda values: torch.tensor(values, dtype=dtype).reshape(shape))


@st.composite
def groups_of(draw, batch):
    """(batch,) integers, each at least twice, in any order."""
    count = draw(st.integers(1, batch // 2))
    return torch.tensor([i % count for i in draw(st.permutations(range(batch)))])


@st.composite
def masks_of(draw, batch, length, empty=False):
    """(batch, length) bool, with a token in every row unless empty rows are asked for."""
    row = st.lists(st.booleans(), min_size=length, max_size=length)
    if not empty:
        row = row.filter(any)
    return torch.tensor([draw(row) for _ in range(batch)])


@st.composite
def inputs(draw, entry, *, ranges=None, dtype=torch.float64, empty=False, batch=None):
    """{name: tensor} for a loss, all its optional tensors present or absent."""
    ranges = RANGES | (ranges or {})
    sizes = {
        "batch": batch or draw(st.integers(2, 5)),
        "length": draw(st.integers(1, 4)),
        "k": draw(st.integers(1, 4)),
    }
    arguments = {}
    for name in entry.inputs:
        shape = [sizes[axis] for axis in entry.shapes.get(name, "batch").split()]
        if name == "mask":
            arguments[name] = draw(masks_of(*shape, empty=empty))
        elif name in BOOLEAN:
            flags = st.lists(st.booleans(), min_size=shape[0], max_size=shape[0])
            arguments[name] = torch.tensor(draw(flags))
        elif name == "groups":
            arguments[name] = draw(groups_of(*shape))
        else:
            arguments[name] = draw(tensors(shape, *ranges[name.split("_")[-1]], dtype))
    return arguments


@st.composite
def hyperparameters(draw, entry):
    """{name: number} anywhere within what the loss allows, at most 3 above the lower end."""
    return {name: draw(number_in(text)) for name, text in entry.ranges.items()}


def number_in(text):
    if text[0] == "{":
        return st.sampled_from(text[1:-1].split(", "))
    low, high = (float(end) for end in text[1:-1].split(","))
    return st.floats(low if text[0] == "[" else low + 0.01, min(high - 0.01, low + 3))
