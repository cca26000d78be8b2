"""Strategies: inputs and hyper-parameters of any registered loss, by what it declares."""

import torch
from hypothesis import strategies as st

from minipref.losses.vocabulary import kind_of


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
def inputs(draw, entry, *, whole=False, dtype=torch.float64, empty=False, batch=None):
    """{name: tensor} for a loss: ordinary numbers, or anything of the `whole` range."""
    sizes = {
        "batch": batch or draw(st.integers(2, 5)),
        "length": draw(st.integers(1, 4)),
        "k": draw(st.integers(2, 4)),
        "vocabulary": 3,
    }
    arguments = {}
    for name in entry.inputs:
        kind, shape = kind_of(name), [sizes[axis] for axis in entry.axes(name)]
        count = torch.Size(shape).numel()
        if name.endswith("mask"):
            arguments[name] = draw(masks_of(*shape, empty=empty))
        elif name == "groups":
            arguments[name] = draw(groups_of(*shape))
        elif kind.dtype == "bool":
            flags = st.lists(st.booleans(), min_size=count, max_size=count)
            arguments[name] = torch.tensor(draw(flags)).reshape(shape)
        elif kind.dtype == "integer":
            counts = st.lists(st.integers(kind.low, kind.high), min_size=count, max_size=count)
            arguments[name] = torch.tensor(draw(counts)).reshape(shape)
        else:
            ends = (kind.least, kind.most) if whole else (kind.low, kind.high)
            arguments[name] = draw(tensors(shape, *ends, dtype))
            if entry.axes(name)[-1:] == ["vocabulary"] and name.endswith("logps"):
                arguments[name] = arguments[name].log_softmax(-1)
    return arguments


@st.composite
def hyperparameters(draw, entry):
    """{name: number} anywhere within what the loss allows, at most 3 above the lower end."""
    return {name: draw(number_in(text)) for name, text in entry.ranges.items()}


def number_in(text):
    if text[0] == "{":
        return st.sampled_from(text[1:-1].split(", "))
    low, high = (float(end) for end in text[1:-1].split(","))
    low = -1.5 if low == float("-inf") else low  # to either side of 0
    return st.floats(low if text[0] == "[" else low + 0.01, min(high - 0.01, low + 3))
