"""The text of a pytest file for one loss: its formulas as a second opinion, and its manners.

`minipref show NAME --test` prints it below the loss. Nothing is imported but torch and pytest; the
formulas are the docstring's own lines, with the few words that they use spelt out.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator

import torch

from . import formulas
from .registry import Entry
from .vocabulary import Kind, kind_of

SIZES = {"batch": 6, "length": 5, "k": 4, "vocabulary": 3}


def printed_tests(entry: Entry) -> str:
    """The tests of one loss; functions of `formulas` that they name are to be printed above."""
    parts = [
        "# -- its properties: run pytest on this file --",
        drawn(entry),
        formula(entry),
        VALUE_AND_GRADIENT.format(name=entry.name),
        EXTREMES.format(name=entry.name),
        *([] if entry.batchwise else [ROWS.format(name=entry.name, axes=axes(entry))]),
    ]
    if "mask" in entry.inputs:
        parts.append(PADDING.format(name=entry.name))
    return "\n\n\n".join(part.strip() for part in parts)


def drawn(entry: Entry) -> str:
    """A function that draws inputs and hyper-parameters, ordinary ones or extremes."""
    lines = [
        "def drawn(seed, dtype=torch.float64, extreme=False):",
        '    """Inputs and hyper-parameters: ordinary ones, or the ends of what may come."""',
        "    rng = torch.Generator().manual_seed(seed)",
        "",
        "    def uniform(shape, ordinary, ends):",
        "        u = torch.rand(shape, generator=rng, dtype=torch.float64)",
        "        low, high = ends if extreme else ordinary",
        "        return (low + (high - low) * (u.round() if extreme else u)).to(dtype)",
        "",
        "    inputs = {",
        *(f'        "{name}": {expression(entry, name)},' for name in entry.inputs),
        "    }",
        "    numbers = {",
        *(f'        "{name}": {number(text)},' for name, text in entry.ranges.items()),
        "    }",
        "    return inputs, numbers",
    ]
    return "\n".join(lines).replace("    numbers = {\n    }", "    numbers = {}")


def expression(entry: Entry, name: str) -> str:
    """The Python expression that draws one input."""
    kind, shape = kind_of(name), tuple(SIZES[axis] for axis in entry.axes(name))
    if name == "groups":
        return "torch.arange(6) // 2"
    if name.endswith("mask"):
        return f"(uniform({shape}, (0, 1), (0, 1)) < 0.6) | (torch.arange({shape[-1]}) == 2)"
    ordinary, ends = f"({kind.low:g}, {kind.high:g})", f"({kind.least:g}, {kind.most:g})"
    text = f"uniform({shape}, {ordinary}, {ends})"
    if entry.axes(name)[-1:] == ["vocabulary"] and name.endswith("logps"):
        text += ".log_softmax(-1)"
    return text + cast(kind)


def cast(kind: Kind) -> str:
    """What makes numbers flags or counts."""
    return {"bool": " < 0.5", "integer": ".round().long()", "float": ""}[kind.dtype]


def number(text: str) -> str:
    """The Python expression that draws a hyper-parameter."""
    if text[0] == "{":
        choices = text[1:-1].split(", ")
        if choices == ["True", "False"]:
            return "seed % 2 == 0"
        return f'"{" ".join(choices)}".split()[seed % {len(choices)}]'
    low, high = (float(end) for end in text[1:-1].split(","))
    low = max(low, -1.0)
    span = min(high - low, 2.0)
    return f"{low + 0.1 * span:g} + {0.8 * span:g} * torch.rand((), generator=rng).item()"


def formula(entry: Entry) -> str:
    """The docstring's formulas as a function of float64 tensors: losses, a gradient an input."""
    columns = any(len(entry.axes(name)) > 1 for name in entry.inputs)
    names = ", ".join([*entry.inputs, *entry.hyperparameters])
    signature = f"def formula({names}):"
    if len(signature) > 100:
        signature = f"def formula(\n{textwrap.indent(textwrap.fill(names, 96), '    ')}\n):"
    lines = [
        signature,
        '    """The loss and its gradients, as the paper writes them."""',
    ]
    for word, text in words(entry):
        lines.append(f"    {word} = {text}")
    for name in entry.inputs:
        double = ".double()" if kind_of(name).dtype != "float" and name != "groups" else ""
        column = "[:, None]" if columns and entry.axes(name) == ["batch"] else ""
        if double or column:
            lines.append(f"    {name} = {name}{double}{column}")
    lines.append("    gradients = {}")
    for left, right in formulas.formulas(entry):
        right = re.sub(r"\bnamed\(", "locals().get(", right)
        right = re.sub(r"\bmean_of_others\((\w+)\)", r"mean_of_others(\1, groups)", right)
        target = f'gradients["{left[4:]}"]' if left.startswith("dL/d") else left
        lines.append(f"    {target} = {right}")
    lines.append("    return L, gradients")
    return "\n".join(lines)


def used(entry: Entry) -> set[str]:
    """The names in a loss's formulas."""
    text = "\n".join(right for _, right in formulas.formulas(entry))
    return {
        node.id
        for line in text.splitlines()
        for node in ast.walk(ast.parse(line))
        if isinstance(node, ast.Name)
    }


def words(entry: Entry) -> Iterator[tuple[str, str]]:
    """(word, what it is) of the words that formulas are written with."""
    texts = dictionary()
    for word in sorted(used(entry) & set(formulas.WORDS) - set(entry.hyperparameters)):
        if formulas.WORDS[word] is getattr(torch, word, None):
            yield word, f"torch.{word}"
        elif word in texts and texts[word] != word:
            yield word, texts[word]


def dictionary() -> dict[str, str]:
    """The text of every word's definition."""
    for node in ast.parse(inspect.getsource(formulas)).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "WORDS":
            assert isinstance(node.value, ast.Dict)
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {
                str(key.value): ast.unparse(value)
                for key, value in pairs
                if isinstance(key, ast.Constant)
            }
    raise AssertionError("formulas.WORDS is not where it was")


def axes(entry: Entry) -> str:
    """Which inputs have rows, for the printed file."""
    rows = [name for name in entry.inputs if entry.axes(name)[:1] == ["batch"]]
    return repr(set(rows)) if len(rows) < len(entry.inputs) else "set(inputs)"


VALUE_AND_GRADIENT = """
@pytest.mark.parametrize("seed", range(20))
def test_value_and_gradient_are_the_formula_s(seed):
    inputs, numbers = drawn(seed)
    expected, gradients = formula(**inputs, **numbers)
    leaves = {{key: inputs[key].clone().requires_grad_() for key in gradients}}
    losses = {name}(**(inputs | leaves), **numbers)
    torch.testing.assert_close(losses, expected.reshape(losses.shape), rtol=1e-7, atol=1e-7)
    found = torch.autograd.grad(losses.sum(), list(leaves.values()))
    for key, gradient in zip(leaves, found, strict=True):
        wanted = torch.as_tensor(gradients[key], dtype=torch.float64)
        wanted = wanted.reshape(gradient.shape) if wanted.numel() == gradient.numel() else wanted
        torch.testing.assert_close(gradient, wanted.expand_as(gradient), rtol=1e-6, atol=1e-7)
"""
EXTREMES = """
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seed", range(10))
def test_nothing_overflows(seed, dtype):
    inputs, _ = drawn(seed, dtype, extreme=True)
    losses = {name}(**inputs)
    assert losses.dtype == torch.float32
    assert losses.isfinite().all()
"""
ROWS = """
@pytest.mark.parametrize("seed", range(10))
def test_a_row_does_not_see_its_neighbours(seed):
    inputs, _ = drawn(seed)
    rows = {axes}
    first = {{key: x[:2] if key in rows else x for key, x in inputs.items()}}
    part, whole = {name}(**first), {name}(**inputs)
    torch.testing.assert_close(part, whole[:2])
"""
PADDING = """
@pytest.mark.parametrize("seed", range(10))
def test_what_the_mask_hides_does_not_matter(seed):
    inputs, _ = drawn(seed)
    mask = inputs["mask"]
    other = {{
        key: x.masked_fill(~mask, 9.0) if x.shape == mask.shape and x.is_floating_point() else x
        for key, x in inputs.items()
    }}
    torch.testing.assert_close({name}(**other), {name}(**inputs))
"""
