"""A fingerprint of the code that a stored result speaks of.

It changes with what a row computes: its module, the papers' modules that it shares, and the
definitions that it imports by name from the rest of minipref. It does not change with comments,
docstrings, formatting, or with what only describes the row (PAPER, FIGURE, a claim's `paper`).
A result is one level deep: what an imported definition calls is its own tests' to watch.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOSSES = HERE.parent / "losses" / "__init__.py"
FRAME = {"paper", "figure", "runner"}  # how rows are declared and run; their tests speak for them
DESCRIBES = {"PAPER", "FIGURE"}


@functools.cache
def fingerprint(path: Path) -> str:
    """Twelve hexadecimal digits for the row whose module stands at `path`."""
    parts: dict[str, str] = {}
    row(path, parts)
    text = "\n".join(f"{name}: {code}" for name, code in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def row(path: Path, parts: dict[str, str]) -> None:
    """Add the module at `path`, the papers' modules it imports, and the definitions it imports."""
    name = f"{path.parent.name}/{path.name}"  # the same on every machine
    if name in parts:
        return
    parts[name] = plain(tree(path).body)
    for file, wanted in imports(path):
        if HERE in file.parents:
            if file.parent != HERE or file.stem not in FRAME:
                row(file, parts)
        elif (code := definition(file, wanted)) is not None:
            parts[f"{file.stem}.{wanted}"] = code
    for name in texts(path):  # a loss may be named by a text: Objective.of("dpo")
        if (code := definition(LOSSES, name)) is not None:
            parts[f"losses.{name}"] = code


def texts(path: Path) -> set[str]:
    """Every text in a module that could be a name."""
    found = (node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant))
    return {text for text in found if isinstance(text, str) and text.isidentifier()}


def imports(path: Path) -> list[tuple[Path, str]]:
    """(file, name) of every `from ...x import name` of minipref's own."""
    found = []
    for node in tree(path).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for alias in node.names:
                if (base / f"{alias.name}.py").exists():
                    found.append((base / f"{alias.name}.py", "*"))
                elif base.with_suffix(".py").exists():
                    found.append((base.with_suffix(".py"), alias.name))
                else:
                    found.append((base / "__init__.py", alias.name))
    return found


def definition(file: Path, name: str) -> str | None:
    """The code of a name of a module, followed through re-exports; "*" is the whole module."""
    if not file.exists():
        return None
    if name == "*":
        return plain(tree(file).body)
    for node in tree(file).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef() if node.name == name:
                return plain([node])
            case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                return plain([node])
            case ast.AnnAssign(target=ast.Name(id=target)) if target == name:
                return plain([node])
    for other, exported in imports(file):
        if exported == name:
            return definition(other, name)
    return None


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


class Stripped(ast.NodeTransformer):
    """Code without docstrings and without what a claim quotes from its paper."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node.func) == "Claim":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "paper"]
        return self.generic_visit(node)


def plain(body: list[ast.stmt]) -> str:
    """Statements as text that only a change of their meaning changes."""
    kept = [node for node in body if not describes(node)]
    source = ast.parse("\n".join(ast.unparse(node) for node in kept))  # a copy: trees are shared
    return ast.dump(Stripped().visit(source))


def describes(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in DESCRIBES
