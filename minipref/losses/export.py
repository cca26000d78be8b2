"""One loss as a file that runs by itself: the names in its source say what else is printed."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from importlib.util import resolve_name

from .printed_tests import printed_tests
from .registry import Entry, get
from .training_step import PREAMBLE, training_step

TESTED_WITH = """
import pytest
import torch
from .formulas import batch_matched, larger, mean_of_others, where
"""
Import = tuple[str, str, str]  # module, name in it or "", name here if it is another or ""


def standalone(
    name: str, *, checked: bool = False, from_logits: bool = False, tests: bool = False
) -> str:
    """The text of a Python file that holds one loss and all that it needs, torch excepted.

    Args:
        name: of a registered loss.
        checked: add a guard that names the tensor of a wrong shape, dtype or value.
        from_logits: add the way from a model's output to the loss, and a training step that runs.
        tests: add what pytest finds in it: the formulas as a second opinion, extremes, rows, masks.

    Raises: ValueError for an unknown name, with the nearest ones.
    """
    entry = get(name)
    file, module = File(), entry.source.__module__
    script = training_step(entry) if from_logits else ""
    file.add_names(script, Scope(f"{PREAMBLE}\nfrom {module} import {name}", __name__), but=name)
    if checked:
        file.add("guarded", "minipref.losses.guard")
    file.add(name, module)
    if checked:
        file.texts[name] = f"{guard(entry)}\n{file.texts[name]}"
    properties = printed_tests(entry) if tests else ""
    file.add_names(properties, Scope(TESTED_WITH, __name__), but=name)
    parts = [header(entry) + "\n\n" + file.import_lines(), *file.texts.values(), script, properties]
    return "\n\n\n".join(part.strip() for part in parts if part)


class File:
    """The file in the making: imports, and definitions, each after everything that it uses."""

    def __init__(self) -> None:
        self.imports: set[Import] = set()
        self.texts: dict[str, str] = {}

    def add(self, name: str, module: str) -> None:
        """Add what one of our modules calls by that name."""
        if name not in self.texts:
            scope = Scope(inspect.getsource(importlib.import_module(module)), module)
            self.add_names(scope.texts[name], scope, but=name)
            self.texts[name] = scope.texts[name]

    def add_names(self, text: str, scope: Scope, but: str) -> None:
        """Add whatever a text takes from its module, except one name."""
        used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        for name in sorted(used - {but}):
            origin, original, _ = scope.imports.get(name, ("", "", ""))
            if origin.startswith("minipref."):
                self.add(original, origin)
            elif origin:
                self.imports.add(scope.imports[name])
            elif name in scope.texts:
                self.add(name, scope.module)

    def import_lines(self) -> str:
        """Standard library before torch, modules before names, the names of one module together."""
        plain: dict[str, list[str]] = {}
        for module, name, alias in sorted(self.imports):
            shown = (name or module) + (f" as {alias}" if alias else "")
            plain.setdefault(module if name else f"import {shown}", []).append(shown)
        lines = [
            key if key.startswith("import ") else f"from {key} import {', '.join(names)}"
            for key, names in plain.items()
        ]
        torch = [line for line in lines if line.split()[1].startswith("torch")]
        others = [line for line in lines if line not in torch]
        pytest = [others.pop(others.index("import pytest"))] if "import pytest" in others else []
        groups = [
            sorted(group, key=lambda line: (line[0] == "f", line))
            for group in (others, [*pytest, *torch])
        ]
        return "\n\n".join("\n".join(group) for group in groups if group)


class Scope:
    """What a module's text defines and imports at its top."""

    def __init__(self, text: str, module: str) -> None:
        self.module = module
        self.texts: dict[str, str] = {}
        self.imports: dict[str, Import] = {}
        lines = text.splitlines()
        for node in ast.parse(text).body:
            source = "\n".join(lines[node.lineno - 1 : node.end_lineno])  # decorators stand above
            if isinstance(node, ast.FunctionDef):
                self.texts[node.name] = source
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.texts[node.targets[0].id] = source
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (alias.name, "", alias.asname or "")
            elif isinstance(node, ast.ImportFrom):
                dots, package = "." * node.level, module.rpartition(".")[0]
                origin = resolve_name(dots + (node.module or ""), package)
                for alias in node.names:
                    name = alias.asname or alias.name
                    self.imports[name] = (origin, alias.name, alias.asname or "")


def header(entry: Entry) -> str:
    """What it is, where it is from, and under which licence it may be pasted."""
    text = inspect.getdoc(entry.source) or ""
    source = re.split(r"^Source: ", text, flags=re.MULTILINE)[-1]
    lines = [
        f"{entry.name}: {text.splitlines()[0]}",
        f"Source: {' '.join(source.split())}",
        "From minipref, copyright (c) 2026 the minipref authors, MIT licence.",
    ]
    return "\n".join(textwrap.fill(f"# {line}", 100, subsequent_indent="#   ") for line in lines)


def guard(entry: Entry) -> str:
    """The guard's line above the loss: it names the dimensions that are not (batch,)."""
    axes = [f'{name}="{entry.shapes[name]}"' for name in entry.inputs if name in entry.shapes]
    line = f"@guarded({', '.join(axes)})"
    if len(line) <= 100:
        return line
    inner = ", ".join(axes)
    lines = [inner] if len(inner) <= 96 else [f"{axis}," for axis in axes]
    return "@guarded(\n" + "\n".join(f"    {line}" for line in lines) + "\n)"
