"""Mutants: each loss with one fault put in, to find out whether the property suite would notice.

A fixed list of operators is applied, one place at a time, to the syntax tree of the file that
`minipref show` prints: what people paste is what is tested. A mutant that no property can tell from
the loss is either a hole in the suite or the same function written otherwise; the latter are waived
one by one, with the reason, in `EQUIVALENT`.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...losses.export import standalone
from ...losses.formulas import formulas
from ...losses.registry import Entry, get
from ...losses.vocabulary import other_side

SPARED = {"wide"}  # whose own mutant is an operator: its call left out
FLIPPED: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.Gt,
    ast.Gt: ast.Lt,
    ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
}
OTHER_METHOD = {"sum": "mean", "mean": "sum", "minimum": "maximum", "maximum": "minimum"}
DROPPED = {
    "clamp": "missing clamp",
    "detach": "missing detach",
    "flip": "order not reversed",
    "where": "mask not used",
    "any": "reduction left out",
    "softplus": "link left out",
    "relu": "link left out",
}


@dataclass(frozen=True)
class Mutant:
    """One fault: which operator, what stood there and what stands there now, and the function."""

    operator: str
    before: str
    after: str
    text: str
    name: str

    def function(self) -> Callable[..., Tensor]:
        """The faulty loss."""
        names: dict[str, object] = {"__name__": "mutant", "torch": torch}
        exec(compile(self.text, f"mutant of {self.name}", "exec"), names)
        loss = names[self.name]
        assert callable(loss)
        return loss


def mutants(
    name: str, text: str | None = None, function: str | None = None, only: Collection[str] = ()
) -> Iterator[Mutant]:
    """Every mutant of a registered loss.

    Args:
        name: of the loss.
        text: a file other than `minipref show` prints, in which `function` is to be called.
        only: functions of the file that faults are put into, not all.
    """
    tree = ast.parse(text or standalone(name))
    entry = get(name)
    called = function or name
    for part in tree.body:
        if not isinstance(part, ast.FunctionDef) or part.name in SPARED:
            continue
        if only and part.name not in only:
            continue
        without_docstring(part)
        for operator, statement, changed in faulty_statements(part, entry):
            body = [changed if s is statement else s for s in part.body]
            mutant = whole_file(tree, part, body)
            yield Mutant(operator, ast.unparse(statement), ast.unparse(changed), mutant, called)
    narrow = ast.unparse(ast.fix_missing_locations(Narrow().visit(copy.deepcopy(tree))))
    if narrow != ast.unparse(tree) and not only:
        yield Mutant("computed as narrow as it came", "wide(x)", "x", narrow, called)


def faulty_statements(
    function: ast.FunctionDef, entry: Entry
) -> Iterator[tuple[str, ast.stmt, ast.stmt]]:
    """(operator, statement, the same with a fault) for every place in a function."""
    for statement in function.body:
        parents = {id(c): node for node in ast.walk(statement) for c in ast.iter_child_nodes(node)}
        for index, node in enumerate(ast.walk(statement)):
            for operator, replacement in faults(node, parents.get(id(node)), entry):
                changed = replaced(statement, index, replacement)
                if ast.unparse(changed) != ast.unparse(statement):
                    yield operator, statement, changed


class Narrow(ast.NodeTransformer):
    """Leaves out every call of `wide`."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        is_wide = isinstance(node.func, ast.Name) and node.func.id == "wide"
        return node.args[0] if is_wide else node


def whole_file(tree: ast.Module, function: ast.FunctionDef, body: list[ast.stmt]) -> str:
    """The file with another body for one of its functions."""
    other = copy.copy(function)
    other.body = body
    definitions = [other if f is function else f for f in tree.body]
    return ast.unparse(ast.fix_missing_locations(ast.Module(definitions, [])))


def without_docstring(function: ast.FunctionDef) -> None:
    """Nothing to be found in words."""
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:]


def replaced(statement: ast.stmt, index: int, replacement: ast.AST) -> ast.stmt:
    """A copy of the statement with its node of that number (in walking order) replaced."""
    twin = copy.deepcopy(statement)
    target = list(ast.walk(twin))[index]

    class Put(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return replacement if node is target else self.generic_visit(node)

    put = Put().visit(twin)
    assert isinstance(put, ast.stmt)
    return put


def faults(node: ast.AST, parent: ast.AST | None, entry: Entry) -> Iterator[tuple[str, ast.AST]]:
    """(operator, what stands there instead) for every fault that this node can have."""
    within_len = isinstance(parent, ast.Call) and ast.unparse(parent.func) == "len"
    of_a_shape = isinstance(parent, ast.Attribute) and parent.attr in ("shape", "dtype", "device")
    asked_for = isinstance(parent, ast.Compare) and isinstance(parent.ops[0], ast.Is | ast.IsNot)
    if within_len or of_a_shape or asked_for:
        return
    node = copy.deepcopy(node)
    match node:
        case ast.BinOp(left, op, right) if type(op) in FLIPPED:
            yield (
                "sign flip" if isinstance(op, ast.Add | ast.Sub) else "times for divided",
                ast.BinOp(left, FLIPPED[type(op)](), right),
            )
            if isinstance(op, ast.Sub) and isinstance(left, ast.Constant):
                yield "wrong side of smoothing", right
            if isinstance(op, ast.Div):
                yield "not divided", left
        case ast.UnaryOp(ast.USub(), operand) if not is_axis(operand):
            yield "sign flip", operand
        case ast.UnaryOp(ast.Invert(), operand):
            yield "mask inverted", operand
        case ast.Slice(ast.Constant(1), None, None):
            yield "off by one", ast.Slice(None, ast.UnaryOp(ast.USub(), ast.Constant(1)))
        case ast.Slice(None, ast.UnaryOp(ast.USub(), ast.Constant(1)), None):
            yield "off by one", ast.Slice(ast.Constant(1), None)
        case ast.Compare(left, [op], [right]) if type(op) in FLIPPED:
            yield "comparison flipped", ast.Compare(left, [FLIPPED[type(op)]()], [right])
        case ast.Name(name, ast.Load()):
            yield from faults_of_a_name(name, entry)
        case ast.Call(ast.Name("wide"), [ast.Name(name)], _) if name in pushed(entry):
            if not (isinstance(parent, ast.Attribute) and parent.attr == "detach"):
                yield "wrong detach", called(node, "detach")
        case ast.Call(ast.Attribute(_, method)):
            yield from faults_of_a_call(node, method)


def faults_of_a_name(name: str, entry: Entry) -> Iterator[tuple[str, ast.AST]]:
    """A number dropped, a reference dropped, a side swapped, a mask off by one, a broadcast."""
    if name in entry.ranges:
        yield f"dropped {name}", ast.Constant(1.0)
    if name not in entry.inputs:
        return
    if name.startswith(("ref_", "old_")):
        yield "dropped reference", ast.BinOp(ast.Constant(0.0), ast.Mult(), load(name))
    other = other_side(name)
    if other != name and other in entry.inputs:
        yield "swapped arguments", load(other)
    if name.endswith("mask"):
        yield "mask off by one", expression(f"({name} & {name}.roll(1, -1))")
        yield "mask ignored", expression(f"({name} | True)")
    elif entry.axes(name):
        yield "broadcast", expression(f"{name}[..., None]")


def faults_of_a_call(node: ast.Call, method: str) -> Iterator[tuple[str, ast.AST]]:
    """A reduction, a clamp, a detach, a link or a function's arguments gone wrong."""
    assert isinstance(node.func, ast.Attribute)
    owner = node.func.value
    function_of_torch = isinstance(owner, ast.Name) and owner.id in ("F", "torch")
    if method in OTHER_METHOD:
        other = OTHER_METHOD[method]
        names = "sum for mean" if method in ("sum", "mean") else "other bound"
        yield names, ast.Call(ast.Attribute(owner, other, ast.Load()), node.args, node.keywords)
    if method in DROPPED:
        kept = node.args[1 if method == "where" else 0] if function_of_torch else owner
        yield DROPPED[method], kept
    if method == "where" and function_of_torch and len(node.args) == 3:
        condition, yes, no = node.args
        yield "branches swapped", ast.Call(node.func, [condition, no, yes], [])
    if method in ("logsigmoid", "sigmoid"):
        argument = ast.unparse(node.args[0] if function_of_torch else owner)
        whose = ast.unparse(owner) if function_of_torch else "torch"
        yield "argument negated", expression(f"{whose}.{method}(-({argument}))")
        if method == "logsigmoid":
            yield "overflowing form", expression(f"torch.sigmoid({argument}).log()")


def pushed(entry: Entry) -> set[str]:
    """The inputs that the loss has a gradient on."""
    return {left[4:] for left, _ in formulas(entry) if left.startswith("dL/d")}


def is_axis(node: ast.expr) -> bool:
    """A whole number: the -1 of `sum(-1)`, not a quantity."""
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def called(value: ast.expr, method: str) -> ast.Call:
    return ast.Call(ast.Attribute(value, method, ast.Load()), [], [])
